import pytest
import torch
from torch import nn

from fxsim import models
from fxsim.nn import layers
from fxsim.nn.activations import Clamp, RowNorm, Sign
from fxsim.policies import AdaPT, BinaryNet, DoReFa, Sakr, Wage
from fxsim.train.convert_for import convert_for


def kinds(model: nn.Module) -> list[str]:
    return [type(module).__name__ for module in model.modules() if not list(module.children())]


def test_sakr_puts_a_clip_in_the_place_of_every_activation() -> None:
    plain = models.build("lenet5", 10, 1)
    model = convert_for(Sakr(), plain)
    clips = [module for module in model.modules() if isinstance(module, Clamp)]
    assert [(clip.low, clip.high) for clip in clips] == [(0.0, 2.0)] * 4
    assert "Tanh" not in kinds(model)
    assert kinds(plain).count("Tanh") == 4  # a copy was changed


def test_binarynet_is_normalised_signs_and_max_pools_without_biases() -> None:
    model = convert_for(BinaryNet(), models.build("lenet5", 10, 1))
    assert (kinds(model).count("Sign"), kinds(model).count("AvgPool2d"), kinds(model).count("MaxPool2d")) == (4, 0, 2)
    assert (kinds(model).count("BatchNorm2d"), kinds(model).count("RowNorm")) == (3, 2)
    fixed = dict(layers(model))
    assert [name for name, layer in fixed.items() if getattr(layer, "bias", None) is not None] == []
    assert [str(layer.numerics.activation) for layer in fixed.values()] == ["<8,5>", *["<2,0>"] * 3, "<8,6>"]
    assert isinstance(model.get_submodule(list(fixed)[-1].rpartition(".")[0]), nn.Sequential)


def test_a_model_that_normalises_already_gets_no_second_normalisation() -> None:
    model = convert_for(DoReFa(), models.build("resnet20", 10, 3))
    plain = kinds(models.build("resnet20", 10, 3))
    assert kinds(model).count("BatchNorm2d") == plain.count("BatchNorm2d")
    assert kinds(model).count("Clamp") == plain.count("ReLU")


def test_dorefa_leaves_the_first_and_the_last_layer_in_float() -> None:
    model = convert_for(DoReFa(), models.build("lenet5", 10, 1))
    assert [name for name, _ in layers(model)] == ["conv2", "conv3", "fc1"]
    assert type(model.get_submodule("conv1")) is nn.Conv2d
    assert model.get_submodule("fc2").bias is not None
    small = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(
        ValueError, match="policy dorefa leaves the first and the last weighted layer in float, and the"
    ):
        convert_for(DoReFa(), small)


def test_wage_has_no_normalisation_and_no_biases() -> None:
    model = convert_for(Wage(), models.build("resnet20", 10, 3))
    assert "BatchNorm2d" not in kinds(model)
    assert all(getattr(layer, "bias", None) is None for _, layer in layers(model))
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_wage_stretches_weights_that_would_all_be_zero_in_two_bits() -> None:
    plain = nn.Sequential(nn.Linear(16, 12, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        plain[2].weight.mul_(10.0)
    model = convert_for(Wage(), plain)
    assert float(model[0].weight.detach().abs().max()) == pytest.approx(0.75)
    assert torch.allclose(model[0].weight / plain[0].weight, torch.tensor(0.75) / plain[0].weight.abs().max())
    assert torch.equal(model[2].weight, plain[2].weight)  # wide enough
    assert float(plain[0].weight.detach().abs().max()) < 0.3


def test_rows_of_tokens_are_normalised_together() -> None:
    norm = RowNorm(3)
    x = torch.randn(4, 5, 3)
    assert torch.equal(norm(x), nn.BatchNorm1d(3)(x.view(20, 3)).view(4, 5, 3))


def test_other_policies_take_models_as_they_are() -> None:
    plain = models.build("lenet5", 10, 1)
    assert kinds(convert_for(AdaPT(), plain)).count("Tanh") == 4
    assert not any(isinstance(module, Sign) for module in plain.modules())
