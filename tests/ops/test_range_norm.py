"""Range BN on words against the exact reference: values, statistics, gradients, counts, refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fxsim as fx
from fxsim import reference
from fxsim.formats import Format
from fxsim.normalization import chunk_count, nearest_even, range_constant, scale_floor
from fxsim.ops import bias_grad, range_norm_dgrad, range_norm_wgrad, records, statistics_format
from fxsim.ops.records import OpRecord
from fxsim.reference import Normalization

KEY = fx.Key(2**63 + 1, 77)
ROUNDINGS = [
    "floor", "ceil", "zero", "away", "nearest_up", "nearest_down", "nearest_zero", "nearest_away", "nearest_even",
    "nearest_odd", "stochastic", "stochastic(3,half)", "stochastic(32,nearest_even)",
]  # fmt: skip
PLAIN = Normalization(Format(8, 4), Format(8, 6), Format(12, 8))

PUBLISHED = {256: 0.9171, 1024: 0.9426, 4096: 0.9605, 65536: 0.9844}
EXPECTED_RANGE = {2: 1.128, 3: 1.693, 5: 2.326, 10: 3.078, 100: 5.015}  # of any table for control charts


def words(shape: tuple[int, ...], form: Format, seed: int) -> fx.FixedTensor:
    drawn = np.random.default_rng(seed).integers(form.raw_min, form.raw_max, shape, endpoint=True, dtype=np.int64)
    return fx.FixedTensor(torch.from_numpy(np.array(drawn)), form)


def heard_of(heard: list[OpRecord]) -> list[tuple[int, ...]]:
    names = ("output_overflows", "inexact", "round_to_zero", "random_draws")
    return [tuple(getattr(record, name) for name in names) for record in heard]


def counted(counts: reference.Counts) -> tuple[int, ...]:
    return counts.output_overflows, counts.inexact, counts.round_to_zero, counts.random_draws


def compare(rules: Normalization, g_format: Format, quantizer: str, shape: tuple[int, ...], seed: int = 0) -> None:
    """Every function of the integer face, with the batch's statistics and with others."""
    x, g = words(shape, rules.x, seed), words(shape, g_format, seed + 1)
    weight, bias = words(shape[1:2], rules.weight, seed + 2), words(shape[1:2], rules.bias, seed + 3)
    settings: dict[str, Any] = {"constant": rules.constant, "eps": rules.eps}
    raws = [each.raw.numpy() for each in (x, weight, bias)]
    mean, sigma = reference.range_statistics(raws[0], rules)
    for running in (False, True):
        if running:
            mean, sigma = [value // 3 + 1 for value in mean], [value // 2 for value in sigma]
        form = statistics_format(rules.x)
        given = fx.ops.RangeStatistics(*(fx.FixedTensor(torch.tensor(each), form) for each in (mean, sigma)))
        known = {"mean": mean, "sigma": sigma}
        with records.listen((heard := []).append):
            y, used = fx.range_norm(
                x, weight, bias, quantizer, statistics=given if running else None, key=KEY, index_offset=5, **settings
            )
        assert (used.mean.raw.tolist(), used.sigma.raw.tolist()) == (mean, sigma)
        expected, counts = reference.range_norm(*raws, rules, quantizer, **known, key=KEY, index_offset=5)
        assert y.raw.tolist() == expected.tolist()
        assert heard_of(heard) == [counted(counts)]

        with records.listen((heard := []).append):
            through = range_norm_dgrad(
                g, x, weight, used, quantizer, running=running, key=KEY, index_offset=5, **settings
            )
            of_weight = range_norm_wgrad(g, x, used, quantizer, eps=rules.eps, key=KEY)
            of_bias = bias_grad(g, out=quantizer, key=KEY, channels_last=False)
        gradients = reference.range_norm_backward(
            g.raw.numpy(), g_format, raws[0], raws[1], rules, quantizer, quantizer, **known, running=running,
            keys=(KEY, KEY, KEY), index_offset=5,
        )  # fmt: skip
        for result, (raw, _) in zip((through, of_weight, of_bias), gradients, strict=True):
            assert result.raw.tolist() == raw.tolist()
        assert heard_of(heard) == [counted(counts) for _, counts in gradients]


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_every_rounding(rounding: str) -> None:
    compare(PLAIN, Format(8, 9), f"<6,3>,{rounding}", (4, 3, 4, 4))


@pytest.mark.parametrize("overflow", ["saturate", "saturate_symmetric", "saturate_zero"])
def test_every_overflow_that_saturates(overflow: str) -> None:
    compare(PLAIN, Format(8, 9), f"<4,3>,nearest_even,{overflow}", (3, 2, 5, 5))


@pytest.mark.parametrize("constant", ["reference", "paper", "gauss"])
def test_every_constant(constant: str) -> None:
    compare(replace(PLAIN, constant=constant), Format(8, 9), "<12,6>", (2, 2, 9, 8))


@pytest.mark.parametrize(
    ("rules", "g", "quantizer"),
    [
        (Normalization(Format(1, 0, False), Format(2, 0), Format(1, 0)), Format(2, 3), "<3,1>,stochastic"),
        (Normalization(Format(3, 20, False), Format(4, -9), Format(6, 30)), Format(5, 40), "<20,9>,stochastic"),
        (Normalization(Format(16, 12), Format(16, 14), Format(16, 8)), Format(16, 20), "<16,10>,stochastic"),
        (Normalization(Format(32, 20), Format(32, 28), Format(64, 40)), Format(32, 30), "<44,24>,stochastic"),
        (
            Normalization(Format(32, -64), Format(32, 64), Format(1, 64, False)),
            Format(32, -64),
            "<28,190>,stochastic(32)",
        ),
        (replace(PLAIN, eps=0.0), Format(8, 9), "<9,5>"),
        (replace(PLAIN, eps=7.03125), Format(8, 9), "<9,5>"),
    ],
)
def test_formats_of_every_width(rules: Normalization, g: Format, quantizer: str) -> None:
    compare(rules, g, quantizer, (2, 2, 6, 6))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_settings(data: st.DataObject) -> None:
    def form(least: int = 1) -> Format:
        signed = data.draw(st.booleans())
        return Format(data.draw(st.integers(least, 20)), data.draw(st.integers(-6, 24)), signed)

    rules = Normalization(form(), form(), form(), data.draw(st.sampled_from(["reference", "paper"])))
    shape = data.draw(st.sampled_from([(1, 1, 1, 2), (3, 1, 1, 1), (2, 3, 4, 4), (5, 2, 8, 1), (1, 2, 17, 3)]))
    quantizer = f"{form(2)},{data.draw(st.sampled_from(ROUNDINGS))}"
    compare(rules, form(), quantizer, shape, data.draw(st.integers(0, 99)))


def test_ties_among_extremes_go_to_the_first() -> None:
    x = fx.FixedTensor(torch.tensor([1, 3, 3, 0, 0, 2]).view(1, 1, 2, 3), "<4,0>")
    one = fx.FixedTensor(torch.tensor([1]), "<4,0>")
    g = fx.FixedTensor(torch.tensor([0, 0, 4, 0, 0, 0]).view(1, 1, 2, 3), "<6,0>")
    y, used = fx.range_norm(x, one, one, "<8,4>")
    through = range_norm_dgrad(g, x, one, used, "<12,8>").raw.flatten()
    assert through[0] == through[5] == through[4]  # elements whose gradient is the mean's alone
    assert through[1] < through[0] < through[3]
    assert y.raw.flatten()[1] == y.raw.flatten()[2]


def test_a_constant_chunk_beside_others_pulls_nowhere() -> None:
    values = torch.tensor([5] * 16 + list(range(-8, 8))).view(2, 1, 4, 4)
    x, one = fx.FixedTensor(values, "<5,2>"), fx.FixedTensor(torch.tensor([3]), "<4,0>")
    g = words((2, 1, 4, 4), Format(8, 6), 5)
    rules = Normalization(x.format, one.format, one.format)
    _, used = fx.range_norm(x, one, one, "<12,6>")
    known = {"mean": used.mean.raw.tolist(), "sigma": used.sigma.raw.tolist()}
    raw, _ = reference.range_norm_backward(
        g.raw.numpy(), g.format, values.numpy(), one.raw.numpy(), rules, "<20,12>", "<20,12>", **known
    )[0]
    assert range_norm_dgrad(g, x, one, used, "<20,12>").raw.tolist() == raw.tolist()


def test_a_constant_channel_gives_the_bias() -> None:
    x = fx.FixedTensor(torch.full((2, 1, 4, 4), 77), "<8,4>")
    weight, bias = fx.FixedTensor(torch.tensor([100]), "<8,0>"), fx.FixedTensor(torch.tensor([-5]), "<8,3>")
    y, used = fx.range_norm(x, weight, bias, "<8,3>")
    assert used.sigma.raw.tolist() == [0]
    assert y.raw.unique().tolist() == [-5]


def test_zero_means_of_a_gradient_stay_zero() -> None:
    """The gradient of what only shifts and stretches a channel vanishes, up to the roundings of a and b."""
    x = words((8, 2, 8, 8), Format(8, 4), 3)
    one, nothing = fx.FixedTensor(torch.tensor([1, 1]), "<2,0>"), fx.FixedTensor(torch.tensor([0, 0]), "<2,0>")
    _, used = fx.range_norm(x, one, nothing, "<20,12>")
    ones = fx.FixedTensor(torch.ones_like(x.raw), "<8,0>")
    assert range_norm_dgrad(ones, x, one, used, "<20,12>").raw.abs().max() == 0


def test_layouts_do_not_matter() -> None:
    x, weight, bias = words((3, 4, 5, 6), PLAIN.x, 0), words((4,), PLAIN.weight, 1), words((4,), PLAIN.bias, 2)
    y, _ = fx.range_norm(x, weight, bias, "<6,3>,stochastic", key=KEY)
    other = fx.FixedTensor(x.raw.to(memory_format=torch.channels_last), x.format)
    assert fx.range_norm(other, weight, bias, "<6,3>,stochastic", key=KEY)[0] == y
    wide = fx.FixedTensor(torch.zeros((3, 4, 5, 12), dtype=torch.int64), x.format)
    wide.raw[..., ::2] = x.raw
    assert fx.range_norm(wide[..., ::2], weight, bias, "<6,3>,stochastic", key=KEY)[0] == y


def test_an_empty_batch_with_running_statistics() -> None:
    x, weight, bias = words((0, 4, 5, 6), PLAIN.x, 0), words((4,), PLAIN.weight, 1), words((4,), PLAIN.bias, 2)
    form = statistics_format(PLAIN.x)
    used = fx.ops.RangeStatistics(*(fx.FixedTensor(torch.zeros(4, dtype=torch.int64), form) for _ in range(2)))
    assert fx.range_norm(x, weight, bias, "<6,3>", statistics=used)[0].shape == (0, 4, 5, 6)
    assert range_norm_dgrad(x, x, weight, used, "<6,3>", running=True).shape == (0, 4, 5, 6)
    assert range_norm_wgrad(x, x, used, "<6,3>").raw.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_reference_constant_is_the_published_share_of_a_normal_deviation(size: int) -> None:
    share = range_constant(size, "reference") / range_constant(size, "gauss")
    assert share == pytest.approx(PUBLISHED[size], rel=5e-3)
    assert 1.69 < range_constant(size, "paper") / range_constant(size, "gauss") < 1.83


@pytest.mark.parametrize("size", EXPECTED_RANGE)
def test_the_normal_constant_is_one_over_the_expected_range(size: int) -> None:
    assert 2**16 / range_constant(size, "gauss") == pytest.approx(
        EXPECTED_RANGE[size], rel=5e-4
    )  # three decimals are printed


def test_chunks_are_the_largest_divisor_that_leaves_sixteen_values() -> None:
    counts = {1: 1, 15: 1, 31: 1, 32: 2, 48: 3, 64: 4, 100: 5, 256: 16, 289: 1, 1024: 16, 17 * 18: 9}
    assert {count: chunk_count(count) for count in counts} == counts


def test_numbers_are_rounded_exactly() -> None:
    assert [nearest_even(value, 2) for value in (-5, -3, -1, 1, 3, 5)] == [-2, -2, 0, 0, 2, 2]
    assert (nearest_even(1, 3), nearest_even(2, 3), nearest_even(-2, 3)) == (0, 1, -1)
    assert (scale_floor(1e-5, 12), scale_floor(0.0, 60), scale_floor(1.5, 0), scale_floor(2.5, 0)) == (1, 1, 2, 2)
    with pytest.raises(ValueError, match="range_constant: size = 1: a range takes 2 values or more"):
        range_constant(1, "paper")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"x": words((2, 3), PLAIN.x, 0)},
            r"^range_norm: x has shape \(2, 3\): accepted is \(N, C, H, W\); reshape it",
        ),
        ({"x": words((1, 2, 1, 1), PLAIN.x, 0)}, "statistics take 2 values a channel or more; give statistics"),
        ({"x": words((2, 2, 2, 2), Format(33, 0), 0)}, "x is <33,0>: accepted are 1 to 32 bits"),
        ({"weight": words((2,), Format(33, 0), 0)}, "weight is <33,0>: accepted are 1 to 32 bits"),
        ({"bias": words((3,), PLAIN.bias, 0)}, r"bias has shape \(3,\): accepted is \(2,\), x's channels"),
        ({"out": "<8,4>,floor,wrap"}, "out is <8,4>,floor,wrap: a quotient has no largest value, so it must saturate"),
        ({"out": "<61,4>"}, "out is <61,4>: quotients are rounded to at most 60 bits so"),
        ({"out": "<8,4>,stochastic"}, "rounding is stochastic and key is None"),
        ({"constant": "guess"}, "range_norm: constant = 'guess': accepted are reference, paper, gauss"),
        ({"eps": -1.0}, r"range_norm: eps = -1.0: accepted are finite numbers of 0 or more"),
    ],
)
def test_refusals(change: dict[str, Any], text: str) -> None:
    given = {
        "x": words((2, 2, 2, 2), PLAIN.x, 0), "weight": words((2,), PLAIN.weight, 0),
        "bias": words((2,), PLAIN.bias, 0), "out": "<8,4>",
    } | change  # fmt: skip
    with pytest.raises(ValueError, match=text):
        fx.range_norm(**given)


def test_refusals_of_gradients() -> None:
    x, weight, bias = words((2, 2, 2, 2), PLAIN.x, 0), words((2,), PLAIN.weight, 0), words((2,), PLAIN.bias, 0)
    _, used = fx.range_norm(x, weight, bias, "<8,4>")
    with pytest.raises(ValueError, match=r"range_norm_dgrad: g has shape \(2, 2, 2, 1\) and x \(2, 2, 2, 2\)"):
        range_norm_dgrad(x[..., :1], x, weight, used, "<8,4>")
    with pytest.raises(ValueError, match=r"statistics.mean is <17,12>: of x in <8,3> it is <17,11>; requantize it"):
        range_norm_wgrad(x, fx.FixedTensor(x.raw, "<8,3>"), used, "<8,4>")
    with pytest.raises(TypeError, match="range_norm_wgrad: g is Tensor: a FixedTensor is needed"):
        range_norm_wgrad(x.raw, x, used, "<8,4>")  # type: ignore[arg-type]
