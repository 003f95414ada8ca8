"""The numbers that Range BN needs besides its data: chunks, the constant of the range, the floor of the scale.

All are integers, found by exact arithmetic or by decimals of forty digits, so that no machine's float decides one.

Source: Banner, Hubara, Hoffer and Soudry, "Scalable methods for 8-bit training of neural networks", NeurIPS 2018.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache
from typing import Final

GUARD_BITS: Final = 8
"""Fractional bits that mean and deviation have beyond the input, and the two sums of a gradient beyond the gradient."""

CONSTANT_BITS: Final = 16
"""Fractional bits of the constant."""

CONSTANTS: Final = ("reference", "paper", "gauss")

_MOST_CHUNKS: Final = 16
_LEAST_CHUNK: Final = 16
_DIGITS: Final = 40
_PI: Final = Decimal("3.141592653589793238462643383279502884197")
_STEPS_PER_UNIT: Final = 8
_FURTHEST: Final = 12  # of 2**40 normal numbers the chance that one lies beyond is 2**-68


def chunk_count(count: int) -> int:
    """Chunks that the `count` values of a channel are cut into: the largest divisor up to 16 with 16 values or more.

    At least 1, whatever `count` is.
    """
    most = max(1, min(_MOST_CHUNKS, count // _LEAST_CHUNK))
    return next(chunks for chunks in range(most, 0, -1) if count % chunks == 0)


def check_constant(name: str, constant: str) -> None:
    """Refuse unknown constants.

    Raises:
        ValueError: `constant` is none of `CONSTANTS`; the text begins with `name`.
    """
    if constant not in CONSTANTS:
        raise ValueError(f"{name}: constant = {constant!r}: accepted are {', '.join(CONSTANTS)}")


def check_eps(name: str, eps: float) -> float:
    """eps, if it can be one.

    Raises:
        ValueError: it is negative or not finite; the text begins with `name`.
    """
    if not 0.0 <= eps < math.inf:
        raise ValueError(f"{name}: eps = {eps}: accepted are finite numbers of 0 or more")
    return eps


@lru_cache(maxsize=4096)
def range_constant(size: int, constant: str) -> int:
    """c(n) * 2**16 to the nearest integer, ties to even; the deviation is about c(n) times the range of n values.

    Args:
        size: n, values in a chunk, 2 or more.
        constant: "reference", 0.5 * 0.35 * (1 + sqrt(pi ln 4)) / sqrt(2 ln n), as the authors compute it; "paper",
            1 / sqrt(2 ln n); "gauss", one over the expected range of n normal numbers of deviation 1.

    Raises:
        ValueError: `size` is below 2, or there is no such constant.
    """
    check_constant("range_constant", constant)
    if size < 2:
        raise ValueError(f"range_constant: size = {size}: a range takes 2 values or more")
    with localcontext(Context(prec=_DIGITS)):
        if constant == "gauss":
            value = 1 / _expected_range(size)
        else:
            value = 1 / (2 * Decimal(size).ln()).sqrt()
            if constant == "reference":
                value *= Decimal("0.175") * (1 + (_PI * Decimal(4).ln()).sqrt())
        return round(Fraction(value) * (1 << CONSTANT_BITS))


def scale_floor(eps: float, fl: int) -> int:
    """What is added to the deviation before it divides: eps on the grid of step 2**-fl, nearest even, at least 1."""
    return max(1, round(Fraction(eps) * Fraction(2) ** fl))


def nearest_even(numerator: int, denominator: int) -> int:
    """A quotient to the nearest integer, ties to even; the denominator is positive."""
    below, rest = divmod(numerator, denominator)
    return below + (2 * rest + (below & 1) > denominator)


def _expected_range(size: int) -> Decimal:
    """The integral of 1 - F**n - (1 - F)**n over the reals, F the normal distribution, by the trapezoidal rule.

    The integrand is entire and falls off like exp(-x**2 / 2), so the rule's error is far below the last digit kept.
    """
    total = _missed(_normal(Decimal(0)), size) / 2
    for step in range(1, _FURTHEST * _STEPS_PER_UNIT):
        total += _missed(_normal(Decimal(step) / _STEPS_PER_UNIT), size)
    return 2 * total / _STEPS_PER_UNIT


def _missed(below: Decimal, size: int) -> Decimal:
    return 1 - below**size - (1 - below) ** size


@lru_cache(maxsize=2 * _FURTHEST * _STEPS_PER_UNIT)
def _normal(x: Decimal) -> Decimal:
    """F(x) for x >= 0: 1/2 + exp(-x**2 / 2) / sqrt(2 pi) * (x + x**3 / 3 + x**5 / (3 * 5) + ...)."""
    term, total, odd = x, Decimal(0), 1
    while total + term != total:
        total += term
        odd += 2
        term *= x * x / odd
    return Decimal("0.5") + (-x * x / 2).exp() / (2 * _PI).sqrt() * total
