"""Models that are not run count what running them counts, zeros apart."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import nn

import fxsim as fx
from fxsim.cost.counting import count
from fxsim.cost.counts import Counts
from fxsim.cost.shapes import Assumed, assumed_counts
from fxsim.models import AlexNet, LeNet5, ResNet20
from fxsim.ops.records import OpRecord

FORMATS = Assumed(weight=fx.Format(8, 6), activation=fx.Format(8, 5), gradient=fx.Format(8, 10))


def shapes(counts: Counts) -> set[OpRecord]:
    """Products without their names, outputs' formats and zeros."""
    same = {"op": "", "output": "", "zero_a_macs": 0, "zero_b_macs": 0, "zero_macs": 0, "nnz_a": 0, "nnz_b": 0}
    events = {"round_to_zero": 0, "inexact": 0, "elements_read": 0, "inexact_carriers": 0}
    return {
        dataclasses.replace(each, **same, **events, nz_macs=each.macs - each.pad_macs)
        for each in counts.records
        if each.macs
    }


def ran(model: nn.Module, x: torch.Tensor, assumed: Assumed) -> Counts:
    gradient = None if assumed.gradient is None else fx.Quantizer(assumed.gradient)
    assert assumed.weight is not None
    assert assumed.activation is not None
    numerics = fx.Numerics(
        weight=assumed.weight,
        activation=assumed.activation,
        grad_output=gradient,
        accumulator=assumed.accumulator,
        accumulator_dgrad=assumed.accumulator,
        accumulator_wgrad=assumed.accumulator,
    )
    converted = fx.convert(model, numerics)
    with count(floats=False) as counts:
        converted(x).square().sum().backward()
    return counts


GROUPED = nn.Sequential(nn.Conv2d(4, 6, (3, 2), 2, 1, 2, groups=2), nn.Flatten(), nn.Linear(120, 5))
CASES = {
    "lenet5": (LeNet5(), (2, 1, 32, 32)),
    "resnet20": (ResNet20(), (2, 3, 32, 32)),
    "alexnet": (AlexNet(), (1, 3, 32, 32)),
    "groups": (
        nn.Sequential(nn.Conv2d(4, 6, (3, 2), 2, 1, 2, groups=2), nn.Flatten(), nn.Linear(120, 5)),
        (3, 4, 9, 9),
    ),
}


@pytest.mark.parametrize("gradient", [fx.Format(8, 10), None])
@pytest.mark.parametrize("name", CASES)
def test_shapes_are_those_of_a_step_that_ran(name: str, gradient: fx.Format | None) -> None:
    model, x_shape = CASES[name]
    assumed = dataclasses.replace(FORMATS, gradient=gradient)
    counts = assumed_counts(copy.deepcopy(model), x_shape, assumed)
    counts.check()
    executed = shapes(ran(copy.deepcopy(model), torch.randn(x_shape), assumed))
    first = next(each.layer for each in counts.records)
    kept = {each for each in executed if (each.layer, each.pass_) != (first, "dgrad")}
    assert shapes(counts) == kept


def test_inference_has_no_gradients() -> None:
    counts = assumed_counts(LeNet5(), (1, 1, 32, 32), FORMATS, training=False)
    assert set(counts.by("pass_")) == {"fwd"}
    assert counts.total.macs == 416_520


def test_zeros_follow_from_densities() -> None:
    sparse = dataclasses.replace(FORMATS, activation_density=0.5, weight_density=0.25)
    counts = assumed_counts(nn.Sequential(nn.Linear(40, 10)), (8, 40), sparse, training=False)
    counts.check()
    [record] = counts.records
    assert (record.macs, record.zero_a_macs, record.zero_b_macs, record.nz_macs) == (3200, 1600, 2400, 400)
    assert (record.nnz_a, record.nnz_b) == (160, 100)


@pytest.mark.parametrize("density", [0.0, 1 / 3, 0.999, 1.0])
def test_rounded_zeros_stay_possible(density: float) -> None:
    sparse = dataclasses.replace(FORMATS, activation_density=density, gradient_density=density, weight_density=0.7)
    assumed_counts(nn.Sequential(nn.Linear(7, 3), nn.Linear(3, 1)), (5, 7), sparse).check()


def test_without_formats_everything_is_float32() -> None:
    counts = assumed_counts(LeNet5(), (1, 1, 32, 32), Assumed())
    assert set(counts.by("format")) == {"fp32 x fp32"}
    assert fx.accelerators.systolic(32, 32, "os").evaluate(counts).total.macs == counts.total.macs


def test_what_cannot_be_assumed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Assumed: weight_density is 1\.5: accepted are shares from 0 to 1"):
        Assumed(weight_density=1.5)
    with pytest.raises(ValueError, match="give formats for weight and activation both, or for neither"):
        Assumed(weight=fx.Format(8, 4))
    with pytest.raises(ValueError, match="gradient has a format, weight and activation have none"):
        Assumed(gradient=fx.Format(8, 4))
    with pytest.raises(ValueError, match="assumed_counts: the model has no convolution and no linear layer"):
        assumed_counts(nn.ReLU(), (2, 3), FORMATS)
    shared = nn.Linear(4, 4)
    with pytest.raises(ValueError, match="assumed_counts: 0 runs twice in a forward"):
        assumed_counts(nn.Sequential(shared, shared), (2, 4), FORMATS)
