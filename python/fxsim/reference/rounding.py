"""The eleven roundings, each in the words of its own definition."""

from __future__ import annotations

import math
from fractions import Fraction

from fxsim.rounding import Rounding, Stochastic, parse_rounding

_HALF = Fraction(1, 2)


def round_real(s: Fraction, rounding: Rounding, u: int | None = None) -> int:
    """The integer that a real number is rounded to.

    Args:
        s: the real, in steps of the grid.
        rounding: any rounding; HLS names are understood.
        u: the random integer of a stochastic rounding, 0 <= u < 2**random_bits; unused by the others.

    Raises:
        ValueError: the rounding is stochastic and `u` is None or out of range.
    """
    match parse_rounding(rounding):
        case "floor":
            return math.floor(s)
        case "ceil":
            return math.ceil(s)
        case "zero":
            return math.ceil(s) if s < 0 else math.floor(s)
        case "away":
            return math.floor(s) if s < 0 else math.ceil(s)
        case "nearest_up":
            return math.floor(s + _HALF)
        case "nearest_down":
            return math.ceil(s - _HALF)
        case "nearest_zero":
            return math.floor(s + _HALF) if s < 0 else math.ceil(s - _HALF)
        case "nearest_away":
            return math.ceil(s - _HALF) if s < 0 else math.floor(s + _HALF)
        case "nearest_even":
            return _nearest(s, parity=0)
        case "nearest_odd":
            return _nearest(s, parity=1)
        case Stochastic() as stochastic:
            return _stochastic(s, stochastic, u)
        case name:
            raise AssertionError(f"no definition of rounding {name!r}")


def _nearest(s: Fraction, *, parity: int) -> int:
    """The nearest integer; of two equally near, the one that is even (parity 0) or odd (parity 1)."""
    below, above = math.floor(s), math.ceil(s)
    if s - below != above - s:
        return below if s - below < above - s else above
    return below if below % 2 == parity or below == above else above


def _stochastic(s: Fraction, rounding: Stochastic, u: int | None) -> int:
    """The random integer is added to the dropped fraction, in units of 2**-random_bits; a carry steps up."""
    one = 1 << rounding.random_bits
    if u is None or not 0 <= u < one:
        raise ValueError(f"rounding is {rounding} and u = {u}: a random integer of 0 to {one - 1} is needed")
    below = math.floor(s)
    fraction = s - below
    if fraction == 0:
        return below
    scaled = fraction * one
    match rounding.tail:
        case "truncate":
            carry = math.floor(scaled) + u >= one
        case "half":
            carry = scaled + u + _HALF >= one
        case "nearest_even":
            carry = _nearest(scaled, parity=0) + u >= one
        case tail:
            raise AssertionError(f"no definition of tail {tail!r}")
    return below + carry
