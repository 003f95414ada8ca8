"""A training step of a model, counted: every layer and pass is there, and nothing twice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import fxsim as fx
from fxsim.cost.counting import count
from fxsim.cost.counts import Counts

FLOAT_BACKWARD = fx.Numerics(weight="<8,6>", activation="<6,3>", output="<8,3>")
INTEGER_BACKWARD = fx.Numerics(weight="<8,6>", activation="<6,3>", output="<8,3>", grad_output="<7,6>,stochastic")


def network(numerics: fx.Numerics | None) -> torch.nn.Module:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(4, 6, 3, groups=2),
        torch.nn.Flatten(),
        torch.nn.Linear(24, 5),
    )
    return model if numerics is None else fx.convert(model, numerics)


def counted_step(model: torch.nn.Module) -> Counts:
    x, target = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2])
    with count() as counts:
        torch.nn.functional.cross_entropy(model(x), target).backward()
    counts.check()
    return counts


# batch * outputs * k forward, batch * inputs * k in dgrad, weights * k in wgrad; the same for float and integer
MACS = {
    ("0", "fwd"): 3 * 4 * 16 * 9,
    ("0", "wgrad"): 4 * 9 * 3 * 16,
    ("2", "fwd"): 3 * 6 * 4 * 2 * 9,
    ("2", "dgrad"): 3 * 4 * 16 * 3 * 9,
    ("2", "wgrad"): 6 * 2 * 9 * 3 * 4,
    ("4", "fwd"): 3 * 5 * 24,
    ("4", "dgrad"): 3 * 5 * 24,
    ("4", "wgrad"): 3 * 5 * 24,
}


@pytest.mark.parametrize("numerics", [FLOAT_BACKWARD, INTEGER_BACKWARD], ids=["float", "integer"])
def test_each_layer_and_pass_has_its_macs(numerics: fx.Numerics) -> None:
    counts = counted_step(network(numerics))
    found = {key: total.macs for key, total in counts.by("layer", "pass_").items() if total.macs}
    assert found == MACS


def test_a_float_backward_costs_float32() -> None:
    counts = counted_step(network(FLOAT_BACKWARD))
    formats = counts.by("pass_", "format")
    assert {key for key, total in formats.items() if total.macs} == {
        ("fwd", "<6,3> x <8,6>"),
        ("dgrad", "fp32 x fp32"),
        ("wgrad", "fp32 x fp32"),
    }
    forward = sum(macs for (_, pass_), macs in MACS.items() if pass_ == "fwd")
    backward = sum(MACS.values()) - forward
    assert counts.bit_operations == forward * 6 * 8 + backward * 32 * 32


def test_what_stays_float_is_named_and_products_are_not_among_it() -> None:
    counts = counted_step(network(INTEGER_BACKWARD))
    assert {each.op for each in counts.uncounted} >= {"aten.relu", "aten._log_softmax", "aten.nll_loss_forward"}
    assert not [each.op for each in counts.uncounted if "mm" in each.op or "conv" in each.op]


def test_structural_zeros_of_a_float_backward_equal_the_integer_ones() -> None:
    def pads(numerics: fx.Numerics) -> dict[tuple[str, ...], int]:
        totals = counted_step(network(numerics)).by("layer", "pass_")
        return {key: total.pad_macs for key, total in totals.items() if total.macs}

    assert pads(FLOAT_BACKWARD) == pads(INTEGER_BACKWARD)


def test_the_float_network_has_the_same_macs_in_float32() -> None:
    total = counted_step(network(None)).total
    assert total.macs == sum(MACS.values())
    assert total.relative_bit_operations == 1.0


def test_counting_changes_no_bit() -> None:
    def gradients(model: torch.nn.Module, *, counted: bool) -> list[Tensor]:
        x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
        if counted:
            with count(keep_order=True, float_zeros=True):
                model(x).sum().backward()
        else:
            model(x).sum().backward()
        return [each.grad for each in model.parameters() if each.grad is not None]

    plain = gradients(network(INTEGER_BACKWARD), counted=False)
    watched = gradients(network(INTEGER_BACKWARD), counted=True)
    assert len(plain) == 6
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))


def test_a_hundred_steps_take_no_more_room_than_one() -> None:
    model = network(INTEGER_BACKWARD)
    counts = counted_step(model)
    records, macs = len(counts.records), counts.total.macs
    for _ in range(99):
        counts.merge(counted_step(model))
    assert len(counts.records) == records
    assert counts.total.macs == 100 * macs
    counts.check()
