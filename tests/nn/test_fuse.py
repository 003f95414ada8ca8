"""fx.fuse: only what is sure, with the same parameters, and a model that trains as before."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fxsim as fx
from fxsim.models import LeNet5, ResNet20

NUMERICS = fx.Numerics("<8,6>", "<8,5>")


def stack() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 4))


def resnet() -> ResNet20:
    torch.manual_seed(0)
    return ResNet20()


def kinds(model: nn.Module) -> dict[str, str]:
    """Types of the normalisations by path."""
    return {name: type(each).__name__ for name, each in model.named_modules() if isinstance(each, nn.BatchNorm2d)}


def losses(model: nn.Module, image: Tensor, steps: int = 4) -> list[float]:
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)
    labels = torch.arange(len(image)) % 4
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(image), labels)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def test_neighbours_of_a_sequential_are_fused() -> None:
    model = stack()
    fused = fx.fuse(model)
    assert kinds(model) == {"1": "BatchNorm2d"}
    assert kinds(fused) == {"1": "BatchNormReLU2d"}
    assert isinstance(fused[2], nn.Identity)
    assert fused[1].name == "1"
    x = torch.randn(6, 3, 6, 6)
    assert torch.allclose(fused(x), model(x), atol=1e-5)
    assert losses(fused, x) == pytest.approx(losses(model, x), rel=1e-4)


def test_every_relu_of_resnet20_is_fused_additions_included() -> None:
    model = resnet()
    fused = fx.fuse(model)
    assert [name for name, kind in kinds(fused).items() if kind == "BatchNorm2d"] == [
        "blocks.3.shortcut.1",
        "blocks.6.shortcut.1",
    ]
    assert sum(kind == "BatchNormReLU2d" for kind in kinds(fused).values()) == 19
    assert not any(isinstance(each, nn.ReLU) for each in fused.modules())
    x = torch.randn(4, 3, 32, 32)
    with fx.count(keep_order=True) as counts:
        y = fused.eval()(x)
    assert torch.allclose(y, model.eval()(x), atol=1e-4)
    added = [each for each in counts.ordered if each.op == "batch_norm_relu" and each.elements_read > each.m * 1.5]
    assert [each.layer for each in added] == [f"blocks.{i}.bn2" for i in range(9)]
    assert losses(fused.train(), x, 3) == pytest.approx(losses(model.train(), x, 3), rel=1e-2)


def test_checkpoints_go_both_ways() -> None:
    model, fused = resnet(), fx.fuse(ResNet20())
    assert list(fused.state_dict()) == list(model.state_dict())
    fused.load_state_dict(model.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert torch.allclose(fused.eval()(x), model.eval()(x), atol=1e-4)
    fused.train()(x)
    model.load_state_dict(fused.state_dict())
    assert torch.allclose(model.eval()(x), fused.eval()(x), atol=1e-4)


def test_inplace_keeps_parameters_buffers_and_mode() -> None:
    model = stack()
    weight, running = model[1].weight, model[1].running_mean
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    assert fx.fuse(model.eval(), inplace=True) is model
    assert model[1].weight is weight
    assert model[1].running_mean is running
    assert not model[1].training
    assert [id(each) for group in optimizer.param_groups for each in group["params"]] == [
        id(each) for each in model.parameters()
    ]


def test_before_and_after_convert_are_the_same() -> None:
    x = torch.randn(4, 3, 6, 6)
    before = fx.convert(fx.fuse(stack()), NUMERICS, seed=1)
    after = fx.fuse(fx.convert(stack(), NUMERICS, seed=1))
    assert kinds(before) == kinds(after) == {"1": "BatchNormReLU2d"}
    assert losses(before, x) == losses(after, x)
    assert "BatchNormReLU2d" in str(fx.summary(after))


def test_a_copy_of_a_fused_model_is_fused() -> None:
    fused = fx.fuse(resnet())
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(copy.deepcopy(fused).eval()(x), fused.eval()(x))


def hooked() -> nn.Module:
    model = stack()
    model[1].register_forward_hook(lambda *_: None)
    return model


def shared() -> nn.Module:
    norm = nn.BatchNorm2d(3)
    return nn.Sequential(norm, nn.ReLU(), nn.Conv2d(3, 3, 1), norm)


class Subclass(nn.BatchNorm2d):
    """Somebody's own."""


class Chain(nn.Sequential):
    """Somebody's own order."""


NOT_SURE = {
    "no normalisation": LeNet5,
    "not neighbours": lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Identity(), nn.ReLU()),
    "other order": lambda: nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3)),
    "hook between": hooked,
    "two places": shared,
    "subclass": lambda: nn.Sequential(Subclass(3), nn.ReLU()),
    "other container": lambda: Chain(nn.BatchNorm2d(3), nn.ReLU()),
    "float64": lambda: stack().double(),
    "between quantizers": lambda: fx.convert(stack(), NUMERICS, wrap=[nn.BatchNorm2d]),
    "fused already": lambda: fx.fuse(stack()),
}


@pytest.mark.parametrize("make", NOT_SURE.values(), ids=NOT_SURE)
def test_what_is_not_sure_stays(make: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"^fuse: \w+ has no BatchNorm2d that is surely followed by a ReLU; accepted"):
        fx.fuse(make())
