"""The reference quantizer: outcomes, counts, orders and errors."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxsim.formats import Format
from fxsim.reference import quantize, quantize_value, requantize
from fxsim.rng import Key, random_bits
from fxsim.rounding import OVERFLOWS, ROUNDINGS, Quantizer, Stochastic

formats = st.builds(Format, st.integers(1, 20), st.integers(-30, 30), st.booleans())
quantizers = st.builds(Quantizer, formats, st.sampled_from(ROUNDINGS[:-1]), st.sampled_from(OVERFLOWS[:-1]))
floats = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "quantizer", "raw", "overflowed", "inexact", "rounded_to_zero", "clipped"),
    [
        (0.5, "<4,1>", 1, False, False, False, False),
        (0.3, "<4,1>", 1, False, True, False, False),
        (0.2, "<4,1>", 0, False, True, True, False),
        (-0.0, "<4,1>,floor", 0, False, False, False, False),
        (5e-324, "<4,1>,ceil", 1, False, True, False, False),
        (-5e-324, "<4,1>,zero", 0, False, True, True, False),
        (3.75, "<4,1>", 7, True, True, False, True),  # the carry of the rounding overflows
        (3.75, "<4,1>,floor", 7, False, True, False, False),
        (-4.0, "<4,1>,floor,saturate_symmetric", -7, True, False, False, False),
        (8.0, "<4,1>,floor,wrap", 0, True, False, False, True),
        (100.0, "<4,1>,floor,saturate_zero", 0, True, False, False, True),
        (3.0, "<4,-1>", 2, False, True, False, False),
        (1.0, "<4,-1>", 0, False, True, True, False),
        (1e300, "<4,-192>,floor", 7, True, False, False, True),
    ],
)
def test_outcomes(
    value: float,
    quantizer: str,
    raw: int,
    overflowed: bool,
    inexact: bool,
    rounded_to_zero: bool,
    clipped: bool,
) -> None:
    outcome = quantize_value(value, Quantizer.parse(quantizer))
    assert outcome.raw == raw
    assert (outcome.overflowed, outcome.inexact) == (overflowed, inexact)
    assert (outcome.rounded_to_zero, outcome.clipped) == (rounded_to_zero, clipped)


@given(floats, quantizers)
def test_idempotent(value: float, quantizer: Quantizer) -> None:
    raw = quantize_value(value, quantizer).raw
    again = quantize_value(raw * Fraction(2) ** -quantizer.format.fl, quantizer)
    assert (again.raw, again.overflowed, again.inexact, again.clipped) == (raw, False, False, False)


@given(floats, floats, quantizers.filter(lambda q: q.overflow in ("saturate", "saturate_symmetric")))
def test_monotone_where_it_saturates(a: float, b: float, quantizer: Quantizer) -> None:
    assert quantize_value(min(a, b), quantizer).raw <= quantize_value(max(a, b), quantizer).raw


@given(floats, quantizers)
def test_a_float_and_its_exact_value_are_the_same(value: float, quantizer: Quantizer) -> None:
    assert quantize_value(value, quantizer) == quantize_value(Fraction(value), quantizer)


@given(st.integers(-(2**19), 2**19 - 1), st.integers(-20, 20), quantizers)
def test_requantizing_is_quantizing_the_value(raw: int, fl: int, quantizer: Quantizer) -> None:
    requantized = requantize(np.array([raw]), Format(20, fl), quantizer)
    quantized = quantize(np.array([math.ldexp(raw, -fl)]), quantizer)
    assert requantized[0] == quantized[0]
    assert requantized[1] == quantized[1]


def test_an_array_and_its_counts() -> None:
    x = np.array([[0.2, 0.5, 3.9], [-9.0, -np.inf, -0.3]])
    raw, counts = quantize(x, "<4,1>")
    assert raw.dtype == np.int64
    assert raw.tolist() == [[0, 1, 7], [-8, -8, -1]]
    assert counts.output_overflows == 3
    assert counts.clipped == 3
    assert counts.inexact == 3
    assert counts.round_to_zero == 1
    assert counts.random_draws == 0


@pytest.mark.parametrize("tail", ["truncate", "half", "nearest_even"])
@pytest.mark.parametrize("bits", [3, 12, 32])
def test_elements_draw_by_their_index(tail: str, bits: int) -> None:
    quantizer, key = Quantizer("<8,2>", Stochastic(bits, tail)), Key(3, 4)
    x = np.linspace(-3, 3, 24).reshape(2, 3, 4)
    raw, counts = quantize(x, quantizer, key, index_offset=7)
    expected = [
        quantize_value(value, quantizer, random_bits(key, 7 + i, bits)).raw for i, value in enumerate(x.reshape(-1))
    ]
    assert raw.reshape(-1).tolist() == expected
    assert counts.random_draws == 24
    channels_last, _ = quantize(x, quantizer, key, 7, "channels_last")
    moved, _ = quantize(np.moveaxis(x, 1, -1), quantizer, key, 7)
    assert (np.moveaxis(channels_last, 1, -1) == moved).all()
    assert (channels_last != raw).any()


def test_a_slab_with_its_offset_is_part_of_the_whole() -> None:
    key, quantizer = Key(1), Quantizer("<4,0>", "stochastic")
    x = np.linspace(0, 3, 35).reshape(7, 5)
    whole, _ = quantize(x, quantizer, key)
    assert (quantize(x[3:], quantizer, key, index_offset=15)[0] == whole[3:]).all()


def test_every_element_of_a_stochastic_call_is_a_draw() -> None:
    _, counts = quantize(np.array([0.0, 1.0, 0.5, np.inf]), "<4,0>,stochastic", Key(0))
    assert counts.random_draws == 4


def test_nan_is_found_first() -> None:
    x = np.array([[np.inf, 1.0], [np.nan, np.nan]])
    with pytest.raises(
        ValueError, match=r"quantize: element \(1, 0\) is NaN; only numbers can be quantized: replace it first"
    ):
        quantize(x, "<4,0>,floor,error")


def test_the_first_overflow_is_named() -> None:
    x = np.zeros((1, 2, 3))
    x[0, 1, 0], x[0, 0, 2] = 9.0, 12.0
    with pytest.raises(
        OverflowError, match=r"quantize: element \(0, 0, 2\) rounds to raw 12, outside <4,0> \(-8\.\.7\)"
    ):
        quantize(x, "<4,0>,floor,error")
    with pytest.raises(OverflowError, match=r"quantize: element \(0, 1, 0\) rounds to raw 9, outside"):
        quantize(x, "<4,0>,floor,error", index_order="channels_last")
    with pytest.raises(OverflowError, match=r"requantize: element \(1,\) rounds to raw 3, outside <2,0>"):
        requantize(np.array([0, 5]), Format(4, 1), "<2,0>,ceil,error")


def test_a_stochastic_call_needs_a_key() -> None:
    with pytest.raises(ValueError, match="rounds stochastically and key is None; give key="):
        quantize(np.zeros(0), "<4,0>,stochastic")


def test_channels_last_needs_channels() -> None:
    with pytest.raises(ValueError, match="index_order = 'channels_last' of 1 dimensions"):
        quantize(np.zeros(3), "<4,0>", index_order="channels_last")
