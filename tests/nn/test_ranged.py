"""Modules whose grids follow their tensors: what they remember, and what stands between them."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

import fxsim as fx
from fxsim.ranges import Affine, Block, Plain, RangedNumerics

AFFINE = RangedNumerics(
    weight=Affine(4), activation=Affine(8), grad_output=Affine(8, random_bits=16), evaluation_bits=6
)
BLOCKS = RangedNumerics(weight=Block(8), activation=Block(8), output=Block(8), grad_output=Block(8))
FLOAT = RangedNumerics(weight=Plain(), activation=Plain(), grad_output=Plain())


def batch(seed: int = 0) -> Tensor:
    return torch.randn(3, 2, 6, 6, generator=torch.Generator().manual_seed(seed))


def plain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 4))


def converted(numerics: RangedNumerics) -> nn.Module:
    return fx.convert(plain(), numerics, wrap=[nn.BatchNorm2d, nn.AvgPool2d], seed=7)


def test_convert_gives_ranged_layers_and_float_numerics_leave_the_float_result() -> None:
    model = converted(FLOAT)
    kinds = [type(layer) for _, layer in fx.nn.layers(model)]
    assert kinds == [fx.nn.RangedConv2d, fx.nn.RangedModule, fx.nn.RangedModule, fx.nn.RangedLinear]
    assert torch.equal(model(batch()), plain()(batch()))


@pytest.mark.parametrize("numerics", [AFFINE, BLOCKS], ids=["affine", "blocks"])
def test_a_state_and_a_copy_go_on_with_the_same_bits(numerics: RangedNumerics) -> None:
    model = converted(numerics)
    model(batch())
    restored, twin = converted(FLOAT), copy.deepcopy(model)
    restored.load_state_dict(model.state_dict())
    expected = model(batch(1))
    assert torch.equal(restored(batch(1)), expected)
    assert torch.equal(twin(batch(1)), expected)
    assert [layer.numerics for _, layer in fx.nn.layers(restored)] == [numerics] * 4


def test_a_state_of_the_float_model_can_be_loaded() -> None:
    model = converted(AFFINE)
    model[0].load_state_dict(plain()[0].state_dict())  # type: ignore[index]


def test_evaluation_uses_the_running_range_and_its_own_bits() -> None:
    layer = fx.nn.RangedLinear(4, 2, numerics=AFFINE)
    assert all(map(math.isnan, layer.running_range.tolist()))
    layer(torch.tensor([[0.0, 1.0, 2.0, 4.0]]))
    assert layer.running_range.tolist() == [0.0, 4.0]
    layer(torch.tensor([[-10.0, 1.0, 2.0, 14.0]]))
    assert layer.running_range.tolist() == pytest.approx([-1.0, 5.0])
    layer.eval()
    before = layer.running_range.clone()
    assert layer.int_weight().format == fx.Format(6, 0, signed=False)
    assert torch.equal(layer(torch.full((1, 4), 100.0)), layer(torch.full((1, 4), float(before[1]))))
    assert torch.equal(layer.running_range, before)


def test_samples_do_not_meet_in_evaluation() -> None:
    model = converted(AFFINE)
    model(batch())
    model.eval()
    whole = model(batch(1))
    assert torch.equal(torch.cat([model(each[None]) for each in batch(1)]), whole)


def test_pooling_is_rounded_and_normalisation_has_rounded_parameters() -> None:
    pool = fx.nn.RangedModule(nn.AvgPool2d(2), BLOCKS)
    x = batch().requires_grad_()
    y = pool(x)
    assert not torch.equal(y, nn.AvgPool2d(2)(x))
    assert (y.max() - y.min()) / fx.range_quantize(y.detach(), Block(8, 0)).scale <= 255
    y.backward(torch.randn(y.shape))
    assert x.grad is not None
    assert x.grad.unique().numel() <= 256
    norm = fx.nn.RangedModule(nn.BatchNorm2d(2), BLOCKS)
    with torch.no_grad():
        norm.module.weight.copy_(torch.tensor([1.0, 0.3]))  # type: ignore[operator]
    weight = norm(batch()).detach().std((0, 2, 3))
    assert norm.module.weight.tolist() == pytest.approx([1.0, 0.3])  # type: ignore[operator]
    assert float(weight[1] / weight[0]) in [pytest.approx(each / 64, rel=1e-3) for each in (19, 20)]


def test_refusals_say_what_is_needed() -> None:
    layer = fx.nn.RangedLinear(4, 2, numerics=AFFINE)
    with pytest.raises(TypeError, match="RangedLinear: numerics is Numerics: a RangedNumerics is needed"):
        layer.numerics = fx.Numerics("<8,4>", "<8,4>")  # type: ignore[assignment]
    with pytest.raises(TypeError, match=r"0 lays its grid over the weight it has, .* call its range_words"):
        fx.int_state_dict(converted(AFFINE))
    layer.numerics = FLOAT
    with pytest.raises(ValueError, match="the layer computes in float32 and has no words"):
        layer.range_words()
    assert layer.weight_carrier() is layer.weight
