"""Numbers into a format: one value, then arrays of floats or of other raws."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from fxsim.formats import Format
from fxsim.reference.counts import Counts
from fxsim.reference.overflow import OutsideError, bounds, overflow_infinity, overflow_raw, shown
from fxsim.reference.rounding import round_real
from fxsim.rng import Key, random_bits
from fxsim.rounding import Quantizer

INDEX_ORDERS = ("c", "channels_last")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One quantized value, and what happened to it.

    Attributes:
        raw: the stored integer.
        overflowed: overflow handling changed the rounded integer, or the value was infinite.
        inexact: rounding dropped a non-zero fraction.
        rounded_to_zero: the value was not 0, and the rounded integer is.
        clipped: the rounded integer lay outside [raw_min, raw_max].
    """

    raw: int
    overflowed: bool
    inexact: bool
    rounded_to_zero: bool
    clipped: bool


def value_of(raw: int, format: Format) -> Fraction:
    """The real number that a stored integer stands for."""
    return raw * Fraction(2) ** -format.fl


def quantize_value(value: Fraction | float, q: Quantizer, u: int | None = None) -> Outcome:
    """One real number into a format.

    Args:
        value: the real; floats are taken for what they are, exactly.
        q: format and modes.
        u: the random integer, where the rounding is stochastic.

    Raises:
        ValueError: the value is NaN, or a stochastic rounding lacks its random integer.
        OutsideError: the value does not fit and the mode is "error"; or it is infinite, and the mode "wrap".
    """
    if isinstance(value, float) and not math.isfinite(value):
        return _quantize_special(value, q)
    exact = Fraction(value)
    s = exact * Fraction(2) ** q.format.fl
    rounded = round_real(s, q.rounding, u)
    raw = overflow_raw(rounded, q.format, q.overflow)
    return Outcome(
        raw=raw,
        overflowed=raw != rounded,
        inexact=s.denominator != 1,
        rounded_to_zero=exact != 0 and rounded == 0,
        clipped=not q.format.raw_min <= rounded <= q.format.raw_max,
    )


def quantize(
    x: npt.NDArray[np.floating[Any]],
    q: Quantizer | Format | str,
    key: Key | None = None,
    index_offset: int = 0,
    index_order: str = "c",
) -> tuple[npt.NDArray[np.int64], Counts]:
    """An array of floats into a format.

    Args:
        x: float array of any shape.
        q: format and modes.
        key: where random bits come from; needed if the rounding is stochastic.
        index_offset: number of elements of the logical tensor that stand before this array.
        index_order: how elements are numbered: "c", or "channels_last" for an array (N, C, ...).

    Returns:
        The raws, int64 of x's shape, and the counts.

    Raises:
        ValueError: an element is NaN, a key is missing, or an index is out of the range of random bits.
        OverflowError: the first element that does not fit under "error", or is infinite under "wrap" or "error".
    """
    for position in _positions(x.shape, index_order):
        if math.isnan(x[position]):
            raise ValueError(f"quantize: element {position} is NaN; only numbers can be quantized: replace it first")
    return _each("quantize", x, float, Quantizer.of(q), key, index_offset, index_order)


def requantize(
    raw: npt.NDArray[Any],
    format_in: Format,
    q: Quantizer | Format | str,
    key: Key | None = None,
    index_offset: int = 0,
    index_order: str = "c",
) -> tuple[npt.NDArray[np.int64], Counts]:
    """An array of raws of one format into another; arguments and errors as in `quantize`."""

    def value(element: Any) -> Fraction:
        return value_of(int(element), format_in)

    return _each("requantize", raw, value, Quantizer.of(q), key, index_offset, index_order)


def _each(
    name: str,
    x: npt.NDArray[Any],
    value: Callable[[Any], Fraction | float],
    q: Quantizer,
    key: Key | None,
    index_offset: int,
    index_order: str,
) -> tuple[npt.NDArray[np.int64], Counts]:
    check_key(name, key, q)
    raws, counts = np.zeros(x.shape, np.int64), Counts()
    for i, position in enumerate(_positions(x.shape, index_order)):
        u = draw(key, index_offset + i, q)
        counts.random_draws += u is not None
        try:
            outcome = quantize_value(value(x[position]), q, u)
        except OutsideError as outside:
            raise OverflowError(f"{name}: element {position} {_complaint(outside, q.format)}") from None
        raws[position] = outcome.raw
        counts.output_overflows += outcome.overflowed
        counts.inexact += outcome.inexact
        counts.round_to_zero += outcome.rounded_to_zero
        counts.clipped += outcome.clipped
    return raws, counts


def _complaint(outside: OutsideError, format: Format) -> str:
    if outside.raw is None:
        return (
            f"is infinite, which {format} takes under the saturating modes only; "
            f'choose overflow="saturate" or replace it'
        )
    raw = shown(outside.raw)
    return f"rounds to raw {raw}, outside {bounds(format)}; widen the format, or choose another overflow mode"


def draw(key: Key | None, index: int, q: Quantizer, site: int = 0, ordinal: int = 0) -> int | None:
    """The random integer of one rounding; None where the rounding takes none."""
    if not q.is_stochastic or key is None:
        return None
    return random_bits(key, index, q.random_bits, site=site, ordinal=ordinal)


def check_key(name: str, key: Key | None, *quantizers: Quantizer | None) -> None:
    """Refuses a stochastic rounding without a key, before anything is computed.

    Raises:
        ValueError: naming the missing argument.
    """
    for q in quantizers:
        if q is not None and q.is_stochastic and key is None:
            raise ValueError(f"{name}: {q} rounds stochastically and key is None; give key=Key(seed, stream)")


def _positions(shape: tuple[int, ...], index_order: str) -> list[tuple[int, ...]]:
    """Every position of an array, in the order that numbers the elements."""
    if index_order == "c":
        return list(np.ndindex(*shape))
    if index_order != "channels_last" or len(shape) < 2:
        raise ValueError(
            f"index_order = {index_order!r} of {len(shape)} dimensions: accepted are 'c', and 'channels_last' "
            f"for two or more dimensions (N, C, ...)"
        )
    last_first = np.ndindex(shape[0], *shape[2:], shape[1])
    return [(n, channel, *space) for n, *space, channel in last_first]


def _quantize_special(value: float, q: Quantizer) -> Outcome:
    if math.isnan(value):
        raise ValueError("NaN is in no format")
    raw = overflow_infinity(value, q.format, q.overflow)
    return Outcome(raw=raw, overflowed=True, inexact=False, rounded_to_zero=False, clipped=True)
