"""Sums, bounds and means of windows on words, against the exact reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fxsim as fx
from fxsim import reference
from fxsim.formats import Format
from fxsim.ops import avg_pool2d_dgrad, records
from fxsim.ops.records import OpRecord

KEY = fx.Key(2**63 + 1, 78)
ROUNDINGS = [
    "floor", "ceil", "zero", "away", "nearest_up", "nearest_down", "nearest_zero", "nearest_away", "nearest_even",
    "nearest_odd", "stochastic", "stochastic(3,half)", "stochastic(32,nearest_even)",
]  # fmt: skip


def words(shape: tuple[int, ...], form: Format, seed: int) -> fx.FixedTensor:
    drawn = np.random.default_rng(seed).integers(form.raw_min, form.raw_max, shape, endpoint=True, dtype=np.int64)
    return fx.FixedTensor(torch.from_numpy(np.array(drawn)), form)


def same(result: fx.FixedTensor, expected: tuple[Any, Format, reference.Counts], heard: list[OpRecord]) -> None:
    raw, form, counts = expected
    assert result.format == form
    assert result.raw.tolist() == raw.tolist()
    names = ("output_overflows", "inexact", "round_to_zero", "random_draws")
    assert [[getattr(record, name) for name in names] for record in heard] == [[getattr(counts, n) for n in names]]


def add_both(a: fx.FixedTensor, b: fx.FixedTensor, out: str | None, order: str = "c") -> None:
    with records.listen((heard := []).append):
        result = fx.add(a, b, out, key=KEY, index_offset=3, index_order=order)
    operands = a.raw.numpy(), a.format, b.raw.numpy(), b.format
    same(result, reference.add(*operands, out, KEY, 3, order), heard)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("overflow", ["saturate", "saturate_symmetric", "saturate_zero", "wrap"])
def test_add_aligns_and_rounds_once(rounding: str, overflow: str) -> None:
    out = f"<5,2>,{rounding},{overflow}"
    add_both(words((6, 7), Format(6, 3), 0), words((6, 7), Format(8, 5), 1), out)
    add_both(words((2, 3, 4, 5), Format(6, 7), 0), words((2, 3, 4, 5), Format(8, 3, False), 1), out, "channels_last")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("<8,4>", "<8,4>"),
        ("<8,4>", "u<8,4>"),
        ("u<8,4>", "u<3,6>"),
        ("<8,-4>", "<8,20>"),
        ("<1,0>", "u<1,0>"),
        ("<62,0>", "<63,0>"),
    ],
)
def test_an_exact_sum_has_the_narrowest_format(a: str, b: str) -> None:
    for one, other in ((a, b), (b, a)):
        add_both(words((4, 9), Format.parse(one), 0), words((4, 9), Format.parse(other), 1), None)


def test_add_under_error_names_the_element() -> None:
    a = fx.FixedTensor(torch.tensor([1, 100]), "<8,4>")
    with pytest.raises(OverflowError, match=r"^add: element \(1,\) rounds to raw 200, outside <8,4>"):
        fx.add(a, a, "<8,4>,nearest_even,error")


def test_layouts_do_not_matter_to_a_sum() -> None:
    a, b = words((2, 3, 4, 5), Format(6, 3), 0), words((2, 3, 4, 5), Format(8, 5), 1)
    one = fx.add(a, b, "<5,2>,stochastic", key=KEY, index_order="channels_last")
    other = fx.FixedTensor(a.raw.to(memory_format=torch.channels_last), a.format)
    assert fx.add(other, b, "<5,2>,stochastic", key=KEY, index_order="channels_last") == one
    assert one.raw.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("form", ["<4,2>", "u<4,2>", "<5,-1>", "<3,4>"])
@pytest.mark.parametrize("bounds", [(None, None), (0.0, None), (None, 1.3), (-0.3, 1.3), (-100.0, 100.0), (0.0, 6.0)])
def test_clip_moves_bounds_inwards_to_the_grid(form: str, bounds: tuple[float | None, float | None]) -> None:
    parsed = Format.parse(form)
    every = torch.arange(parsed.raw_min, parsed.raw_max + 1)
    result = fx.clip(fx.FixedTensor(every, form), *bounds)
    assert result.format == parsed
    assert result.raw.tolist() == reference.clip(every.numpy(), parsed, *bounds).tolist()


def test_relu_is_the_greater_of_x_and_zero() -> None:
    x = fx.FixedTensor(torch.tensor([[-8, -1], [0, 7]]), "<4,2>")
    with records.listen((heard := []).append):
        assert fx.relu(x).raw.tolist() == [[0, 0], [0, 7]]
    assert [(record.op, record.m, record.a, record.output) for record in heard] == [("relu", 4, "<4,2>", "<4,2>")]


WINDOWS = [((2, 2), (2, 2), (0, 0)), ((3, 3), (2, 1), (1, 1)), ((1, 5), (3, 4), (0, 2)), ((4, 3), (4, 3), (0, 0))]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_means_and_their_gradient(window: tuple[tuple[int, int], ...], rounding: str) -> None:
    x, out = words((2, 3, 8, 9), Format(6, 3), 0), f"<7,4>,{rounding}"
    with records.listen((heard := []).append):
        y = fx.avg_pool2d(x, *window, out=out, key=KEY, index_offset=7)
    same(y, reference.avg_pool2d(x.raw.numpy(), x.format, *window, out, KEY, 7), heard)
    g = words(tuple(y.shape), Format(5, 6, False), 1)
    with records.listen((heard := []).append):
        through = avg_pool2d_dgrad(g, (8, 9), *window, out=out, key=KEY, index_offset=7)
    same(through, reference.avg_pool2d_dgrad(g.raw.numpy(), g.format, (8, 9), *window, out, KEY, 7), heard)


@pytest.mark.parametrize("out", [None, "<7,4>,nearest_odd,wrap", "<4,3>,stochastic,saturate_zero"])
def test_means_of_a_power_of_two_are_exact_before_any_rounding(out: str | None) -> None:
    x, window = words((2, 3, 8, 8), Format(6, 3), 0), ((4, 2), (4, 2), (0, 0))
    with records.listen((heard := []).append):
        y = fx.avg_pool2d(x, (4, 2), out=out, key=KEY)
    same(y, reference.avg_pool2d(x.raw.numpy(), x.format, *window, out, KEY), heard)
    assert out is not None or y.format == Format(9, 6)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_any_window(data: st.DataObject) -> None:
    sizes = [data.draw(st.integers(1, 4)) for _ in range(2)]
    window = (
        tuple(sizes),
        tuple(data.draw(st.integers(1, 4)) for _ in sizes),
        tuple(data.draw(st.integers(0, k // 2)) for k in sizes),
    )
    shape = (data.draw(st.integers(0, 2)), 2, data.draw(st.integers(4, 6)), data.draw(st.integers(4, 6)))
    form = Format(data.draw(st.integers(1, 16)), data.draw(st.integers(-9, 9)), data.draw(st.booleans()))
    out = f"<{data.draw(st.integers(1, 20))},{data.draw(st.integers(-9, 9))}>,{data.draw(st.sampled_from(ROUNDINGS))}"
    x = words(shape, form, data.draw(st.integers(0, 99)))
    y = fx.avg_pool2d(x, *window, out=out, key=KEY)
    raw, _, _ = reference.avg_pool2d(x.raw.numpy(), form, *window, out, KEY)
    assert y.raw.tolist() == raw.tolist()
    through = avg_pool2d_dgrad(y, shape[2:], *window, out=out, key=KEY)
    raw, _, _ = reference.avg_pool2d_dgrad(y.raw.numpy(), y.format, shape[2:], *window, out, KEY)
    assert through.raw.tolist() == raw.tolist()


X, IMAGE = words((2, 3), Format(8, 4), 0), words((1, 1, 3, 3), Format(8, 4), 0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: fx.add(X, X[:1]), r"add: a has shape \(2, 3\) and b \(1, 3\): both must be the same; expand one"),
        (lambda: fx.add(X, words((2, 3), Format(64, 4), 0)), "the exact sum of <8,4> and <64,4> has 65 bits: accepted"),
        (lambda: fx.add(X, X, "<8,4>,stochastic"), "add: rounding is stochastic and key is None"),
        (lambda: fx.clip(X, 1.0, float("inf")), "clip: a bound is inf: accepted are finite numbers, and None"),
        (lambda: fx.clip(X, 0.01, 0.02), "clip: no value of <8,4> lies between 0.01 and 0.02"),
        (lambda: fx.avg_pool2d(X, 2), r"avg_pool2d: x has shape \(2, 3\): accepted is \(N, C, H, W\)"),
        (lambda: fx.avg_pool2d(IMAGE, 3), "out is None: a mean of 9 values has no exact format; name the one"),
        (lambda: fx.avg_pool2d(IMAGE, 3, out="<8,4>,floor,wrap"), "a quotient has no largest value"),
        (lambda: fx.avg_pool2d(IMAGE, 4, out="<8,4>"), r"a window of \(4, 4\) has no place in an image of \(3, 3\)"),
        (lambda: fx.avg_pool2d(IMAGE, 2, 1, 2), "padding of up to half the size"),
        (lambda: fx.avg_pool2d(IMAGE, 2, 0), "accepted are sizes and strides of 1 or more"),
        (lambda: fx.avg_pool2d(words((1, 1, 2, 2), Format(61, 0), 0), 2), "sums of 4 words of <61,0> do not fit"),
        (lambda: avg_pool2d_dgrad(IMAGE, (5, 5), 2), r"means of an image of \(5, 5\) have \(2, 2\)"),
    ],
)  # fmt: skip
def test_refusals(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
    with pytest.raises(TypeError, match="relu: x is Tensor: a FixedTensor is needed"):
        fx.relu(torch.ones(2))  # type: ignore[arg-type]
