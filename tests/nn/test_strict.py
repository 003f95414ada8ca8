"""Float parts of a model are found, named and refused; a whole ResNet has none."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fxsim as fx
from fxsim import models

NUMERICS = fx.Numerics(
    "<8,6>", "<8,4>", "<8,4>", grad_output="<8,8>,stochastic", grad_weight="<16,8>,stochastic",
    grad_input="<8,8>,stochastic",
)  # fmt: skip
INFERENCE = fx.Numerics("<8,6>", "<8,4>", "<8,4>")

pytestmark = pytest.mark.filterwarnings("ignore:.*each range is taken of")


class Functional(nn.Module):
    """Everything that hides from whoever lists modules."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.inner = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Tanh())
        self.weight = nn.Parameter(torch.ones(3, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        x = torch.add(x, self.inner(x))
        x = F.max_pool2d(x, 2)
        x *= 2.0
        return F.linear(x.mean((2, 3)), self.weight)


def found(model: nn.Module, x: Tensor) -> list[tuple[str, str, str]]:
    return [(part.module, part.what, part.pass_) for part in fx.float_parts(model, x)]


def test_functional_calls_are_found_where_they_stand() -> None:
    model = fx.convert(Functional(), INFERENCE).eval()
    parts = fx.float_parts(model, torch.randn(2, 1, 4, 4))
    assert [(part.module, part.what) for part in parts] == [
        ("inner.1", "aten.tanh"), ("", "aten.add"), ("", "aten.mul_"), ("", "aten.mean"), ("", "aten.mm"),
    ]  # fmt: skip
    lines = [int(re.fullmatch(r"test_strict\.py:(\d+)", part.line)[1]) for part in parts[1:]]  # type: ignore[index]
    assert [line - lines[0] for line in lines] == [0, 2, 3, 3]
    assert parts[1].advice == "add with fx.nn.Sum() and name it in also, or use fx.nn.Add"
    assert str(parts[0]).startswith("inner.1: aten.tanh (forward, test_strict.py:")


def test_in_training_gradients_are_looked_at_too() -> None:
    x = torch.randn(2, 1, 4, 4)
    model = fx.convert(nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.MaxPool2d(2)), INFERENCE)
    assert found(model.eval(), x) == []
    assert found(model.train(), x) == [("0", "gradients", "backward")]
    fx.set_numerics(model, "*", NUMERICS)
    assert found(model, x) == []
    model[2] = nn.MaxPool2d(2, 1)
    assert found(model, x) == [("", "aten.max_pool2d_with_indices_backward", "backward")]


class Residual(nn.Module):
    """A convolution and its input, added; with modules for both or without."""

    def __init__(self, *, modules: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.split, self.sum = (fx.nn.Split(), fx.nn.Sum()) if modules else (None, None)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.split is None or self.sum is None:
            return self.conv(x) + x
        x, z = self.split(x)
        out: Tensor = self.sum(self.conv(x), z)
        return out


def test_gradients_that_meet_are_found() -> None:
    x = torch.randn(2, 1, 4, 4)
    plain = fx.convert(Residual(modules=False), NUMERICS)
    assert ("", "aten.add", "backward") in found(plain, x)
    assert "a tensor is used twice" in str(fx.float_parts(plain, x)[1])
    model = fx.convert(Residual(modules=True), NUMERICS, also=[fx.nn.Split, fx.nn.Sum])
    # one layer used twice: its weight's gradients meet as well
    assert found(model, x) == [("", "aten.add", "backward")]


def test_what_was_looked_at_keeps_its_state() -> None:
    model = fx.convert(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)), NUMERICS)
    before = {name: value.clone() for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    random = torch.random.get_rng_state()
    assert found(model, torch.randn(4, 1, 4, 4, generator=torch.Generator()))
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_strict_refuses_with_the_whole_list_and_changes_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(ValueError, match="convert: strict=True, and 5 parts of the model compute in floats") as raised:
        fx.convert(model, NUMERICS, {"3": None}, inplace=True, strict=True, sample=torch.randn(2, 1, 4, 4))
    lines = str(raised.value).splitlines()
    assert lines[1].startswith("  1: aten.native_batch_norm (forward, test_strict.py:")
    assert lines[1].endswith("name nn.BatchNorm2d in also, or for inference fold it first with fx.fold_batch_norm")
    assert lines[2].startswith("  3: aten.addmm (forward")
    assert [line.split(":")[1] for line in lines[3:]] == [
        " aten.mm (backward)", " aten.sum (backward)", " aten.native_batch_norm_backward (backward)",
    ]  # fmt: skip
    assert type(model[0]) is nn.Conv2d
    with pytest.raises(ValueError, match="convert: strict=True needs sample, an input of the model"):
        fx.convert(model, NUMERICS, strict=True)
    with pytest.raises(TypeError, match="float_parts: sample is no tensor and no sequence of tensors"):
        fx.float_parts(model, ["x"])  # type: ignore[list-item]


def test_wrapped_modules_are_float() -> None:
    model = fx.convert(nn.Sequential(nn.Linear(2, 2), nn.GELU()), INFERENCE, wrap=[nn.GELU]).eval()
    assert found(model, torch.randn(3, 2)) == [("1.module", "aten.gelu", "forward")]


def test_fused_normalisation_is_float() -> None:
    model = fx.convert(nn.Sequential(nn.Conv2d(1, 2, 1), fx.nn.BatchNormReLU2d(2)), NUMERICS)
    x = torch.randn(2, 1, 4, 4)
    assert found(model, x) == [
        ("1", "fxsim.batch_norm_relu", "forward"), ("", "fxsim.batch_norm_relu_backward", "backward"),
    ]  # fmt: skip


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_a_whole_resnet_is_strict(training: bool) -> None:
    torch.manual_seed(0)
    model = models.ResNet20().train(training)
    x = torch.randn(2, 3, 32, 32)
    converted = fx.convert(model, NUMERICS, also=fx.nn.INTEGER_FORMS, strict=True, sample=x)
    assert {type(module) for module in converted.modules() if not list(module.children())} == {
        fx.nn.Conv2d, fx.nn.RangeBatchNorm2d, fx.nn.ReLU, fx.nn.Add, fx.nn.Fork, fx.nn.AvgPool2d, fx.nn.Linear,
        nn.Sequential,
    }  # fmt: skip
    logits = converted(x)
    logits.sum().backward()
    assert torch.equal(logits * 16, (logits * 16).round())
    assert all(parameter.grad is not None for parameter in converted.parameters())


def test_a_folded_resnet_is_strict_at_inference() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 3, 32, 32)
    folded = fx.fold_batch_norm(models.ResNet20())
    also = [kind for kind in fx.nn.INTEGER_FORMS if kind is not nn.BatchNorm2d]
    converted = fx.convert(folded, INFERENCE, also=also, strict=True, sample=x)
    assert not any(isinstance(module, fx.nn.RangeBatchNorm2d) for module in converted.modules())
