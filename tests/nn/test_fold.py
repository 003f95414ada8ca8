"""A folded model gives what the model gives, and what cannot be folded is said."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import fxsim as fx
from fxsim import models


def lived_in(model: nn.Module) -> nn.Module:
    """Statistics and vectors as training leaves them."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
            if module.affine:
                nn.init.uniform_(module.weight, -2.0, 2.0, generator=generator)
                nn.init.normal_(module.bias, generator=generator)
    return model.eval()


CASES = {
    "conv2d": (nn.Sequential(nn.Conv2d(2, 3, 3, groups=1), nn.BatchNorm2d(3)), (2, 2, 5, 5)),
    "no bias": (nn.Sequential(nn.Conv2d(2, 4, 3, groups=2, bias=False), nn.BatchNorm2d(4), nn.ReLU()), (2, 2, 5, 5)),
    "not affine": (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, affine=False)), (2, 2, 5, 5)),
    "linear": (nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3, eps=0.1)), (4, 6)),
    "conv1d": (nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3)), (2, 2, 6)),
    "conv3d": (nn.Sequential(nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3)), (2, 2, 4, 4, 4)),
}


@pytest.mark.parametrize(("model", "shape"), CASES.values(), ids=CASES)
def test_a_folded_model_gives_the_same(model: nn.Module, shape: tuple[int, ...]) -> None:
    model = lived_in(model).double()
    folded = fx.fold_batch_norm(model)
    x = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(folded(x), model(x), rtol=1e-12, atol=1e-12)
    assert not any("BatchNorm" in type(module).__name__ for module in folded.modules())
    assert any("BatchNorm" in type(module).__name__ for module in model.modules())
    assert not folded.training


def test_the_statement_is_exact() -> None:
    model = lived_in(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)))
    conv, norm = model[0], model[1]
    folded = fx.fold_batch_norm(model)[0]
    scale = 1 / (norm.running_var.double() + norm.eps).sqrt() * norm.weight.double()
    assert torch.equal(folded.weight, (conv.weight.double() * scale[:, None, None, None]).float())
    bias = (conv.bias.double() - norm.running_mean.double()) * scale + norm.bias.double()
    assert torch.equal(folded.bias, bias.float())


def test_a_resnet_folds_whole() -> None:
    torch.manual_seed(0)
    model, x = lived_in(models.ResNet20()).double(), torch.randn(2, 3, 32, 32).double()
    folded = fx.fold_batch_norm(model)
    scale = model(x).abs().max()
    assert (folded(x) - model(x)).abs().max() < 1e-9 * scale


class Preact(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(2)
        self.conv = nn.Conv2d(2, 2, 1)
        self.bn2 = nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn2(self.conv(torch.relu(self.bn(x))))
        return out


class Reused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        out: Tensor = self.bn(y) + y
        return out


class Choosing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn(self.conv(x if x.sum() > 0 else -x))
        return out


def test_what_does_not_fold_is_named() -> None:
    with pytest.raises(ValueError, match=r"fold_batch_norm: bn does not follow an nn.Linear or nn.Conv that is used"):
        fx.fold_batch_norm(Preact())
    with pytest.raises(ValueError, match="fold_batch_norm: bn does not follow"):
        fx.fold_batch_norm(Reused())
    with pytest.raises(ValueError, match=r"fold_batch_norm: the model cannot be traced .*; name its pairs"):
        fx.fold_batch_norm(Choosing())


def test_pairs_are_folded_as_they_are_named() -> None:
    model, x = lived_in(Preact()).double(), torch.randn(2, 2, 3, 3).double()
    folded = fx.fold_batch_norm(model, {"bn2": "conv"})
    assert isinstance(folded.bn, nn.BatchNorm2d)
    torch.testing.assert_close(folded(x), model(x))
    with pytest.raises(ValueError, match="fold_batch_norm: the model has no module 'x'"):
        fx.fold_batch_norm(model, {"x": "conv"})
    with pytest.raises(ValueError, match=r"'conv' is a Conv2d and 'bn' a BatchNorm2d: a BatchNorm and an nn.Linear"):
        fx.fold_batch_norm(model, {"conv": "bn"})
    with pytest.raises(ValueError, match="'1' has no running statistics, or other channels than '0' gives"):
        fx.fold_batch_norm(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(4)), {"1": "0"})


def test_folding_comes_before_converting() -> None:
    numerics = fx.Numerics("<12,8>", "<12,8>", "<12,8>", bias="<20,12>")
    model = lived_in(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)))
    converted = fx.convert(fx.fold_batch_norm(model), numerics)
    x = torch.randn(2, 2, 5, 5)
    assert (converted(x) - model(x)).abs().max() < 0.1
    with pytest.raises(ValueError, match="fold before convert"):
        fx.fold_batch_norm(fx.convert(nn.Sequential(nn.ReLU(), nn.ReLU()), numerics, also=[nn.ReLU]), {"0": "1"})
