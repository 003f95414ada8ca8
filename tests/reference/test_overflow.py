"""What the reference does with integers that do not fit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxsim.formats import Format
from fxsim.reference import overflow_raw, quantize_value
from fxsim.rounding import OVERFLOWS, Quantizer

formats = st.builds(Format, st.integers(1, 63), st.just(0), st.booleans())
raws = st.integers(-(2**70), 2**70)


@pytest.mark.parametrize(
    ("mode", "signed", "unsigned"),
    [
        #                      -9  -8  -5  -4  -3   3   4   8    and for u<3,0>  -1  0  7  8  15
        ("saturate", [-4, -4, -4, -4, -3, 3, 3, 3], [0, 0, 7, 7, 7]),
        ("saturate_symmetric", [-3, -3, -3, -3, -3, 3, 3, 3], [0, 0, 7, 7, 7]),
        ("saturate_zero", [0, 0, 0, -4, -3, 3, 0, 0], [0, 0, 7, 0, 0]),
        ("wrap", [-1, 0, 3, -4, -3, 3, -4, 0], [7, 0, 7, 0, 7]),
    ],
)
def test_three_bits(mode: str, signed: list[int], unsigned: list[int]) -> None:
    assert [overflow_raw(raw, Format(3, 0), mode) for raw in (-9, -8, -5, -4, -3, 3, 4, 8)] == signed
    assert [overflow_raw(raw, Format(3, 0, False), mode) for raw in (-1, 0, 7, 8, 15)] == unsigned


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("saturate", [-1, -1, 0, 0]),
        ("saturate_symmetric", [0, 0, 0, 0]),
        ("saturate_zero", [0, -1, 0, 0]),
        ("wrap", [0, -1, 0, -1]),
    ],
)
def test_one_signed_bit(mode: str, expected: list[int]) -> None:
    assert [overflow_raw(raw, Format(1, 0), mode) for raw in (-2, -1, 0, 1)] == expected


@pytest.mark.parametrize("mode", [mode for mode in OVERFLOWS if mode != "error"])
@given(raw=raws, format=formats)
def test_the_result_is_in_range(mode: str, raw: int, format: Format) -> None:
    stored = overflow_raw(raw, format, mode)
    assert format.raw_min <= stored <= format.raw_max
    assert overflow_raw(stored, format, mode) == stored
    if format.raw_min <= raw <= format.raw_max and (mode, raw) != ("saturate_symmetric", format.raw_min):
        assert stored == raw


@given(raw=raws, format=formats)
def test_wrap_is_congruent(raw: int, format: Format) -> None:
    assert (overflow_raw(raw, format, "wrap") - raw) % 2**format.wl == 0


@given(raw=raws, format=formats)
def test_error_raises_exactly_outside(raw: int, format: Format) -> None:
    if format.raw_min <= raw <= format.raw_max:
        assert overflow_raw(raw, format, "error") == raw
    else:
        with pytest.raises(OverflowError):
            overflow_raw(raw, format, "error")


@pytest.mark.parametrize(
    ("mode", "format", "low", "high"),
    [
        ("saturate", "<4,1>", -8, 7),
        ("saturate_symmetric", "<4,1>", -7, 7),
        ("saturate_zero", "<4,1>", 0, 0),
        ("saturate", "u<4,1>", 0, 15),
        ("saturate_symmetric", "u<4,1>", 0, 15),
        ("saturate_zero", "u<4,1>", 0, 0),
        ("saturate_symmetric", "<1,1>", 0, 0),
    ],
)
def test_infinities(mode: str, format: str, low: int, high: int) -> None:
    quantizer = Quantizer(format, overflow=mode)
    for value, raw in ((-math.inf, low), (math.inf, high)):
        outcome = quantize_value(value, quantizer)
        assert (outcome.raw, outcome.overflowed, outcome.clipped) == (raw, True, True)
        assert not outcome.inexact
        assert not outcome.rounded_to_zero


@pytest.mark.parametrize("mode", ["wrap", "error"])
@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinities_have_no_residue(mode: str, value: float) -> None:
    with pytest.raises(OverflowError, match=r"an infinity is outside <4,1> \(-8\.\.7\)"):
        quantize_value(value, Quantizer("<4,1>", overflow=mode))


def test_a_huge_float_wraps_as_the_integer_it_is() -> None:
    odd = float(2**80 + 2**30)
    assert quantize_value(odd, Quantizer("<33,0>", overflow="wrap")).raw == 2**30
    assert quantize_value(odd, Quantizer("<20,0>", overflow="wrap")).raw == 0
