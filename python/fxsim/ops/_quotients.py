"""Exact quotients of integers, rounded by any quantizer that saturates.

The quotient's floor is kept with a few bits more than the rounding looks at, the last of them "anything below";
then the core rounds it as it rounds every integer, so that modes, random bits and counts are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fxsim.formats import Format
from fxsim.ops._plan import WordPlan
from fxsim.rounding import Quantizer

Integers = npt.NDArray[Any]
"""An array of int64, or of Python ints where those are too narrow."""

SAFE_BITS: Final = 62
"""Of integers that int64 carries with a bit to spare."""

_SATURATING: Final = ("saturate", "saturate_symmetric", "saturate_zero")


def fraction_bits(quantizer: Quantizer) -> int:
    """Bits of a fraction that decide its rounding: the random ones, half of the last, and whether anything is left."""
    return quantizer.random_bits + 2


def check_quantizer(name: str, what: str, quantizer: Quantizer) -> None:
    """Refuse quantizers that quotients are not rounded by: what divides by almost nothing has no bound.

    Raises:
        ValueError: the quantizer wraps or refuses, or its format is too wide.
    """
    if quantizer.overflow not in _SATURATING:
        raise ValueError(
            f"{name}: {what} is {quantizer}: a quotient has no largest value, so it must saturate; choose "
            f"{', '.join(_SATURATING)}"
        )
    widest = SAFE_BITS - fraction_bits(quantizer)
    if quantizer.format.wl > widest:
        raise ValueError(
            f"{name}: {what} is {quantizer}: quotients are rounded to at most {widest} bits so; choose a narrower "
            f"format, or fewer random bits"
        )


def magnitude(values: Integers) -> int:
    """The largest absolute value; 0 of none."""
    return max(abs(int(values.max())), abs(int(values.min()))) if values.size else 0


def widened(values: Integers, bits: int) -> Integers:
    """The same integers, as Python ints if `bits` bits do not fit in int64."""
    return values.astype(object) if bits > SAFE_BITS and values.dtype != object else values


def shifted(values: Integers, shift: int) -> Integers:
    """values * 2**shift, exactly; shift is 0 or more."""
    return widened(values, magnitude(values).bit_length() + shift) << shift


def quotients(numerator: Integers, denominator: Integers, fl: int, quantizer: Quantizer) -> npt.NDArray[np.int64]:
    """Words of `quotient_fl` that round as numerator / denominator * 2**-fl does; denominators are positive."""
    bits, form = fraction_bits(quantizer), quantizer.format
    shift = form.fl + bits - fl
    numerator, denominator = shifted(numerator, max(shift, 0)), shifted(denominator, max(-shift, 0))
    whole = numerator // denominator
    whole |= numerator != whole * denominator
    beyond = 1 << form.wl
    inside = np.minimum(np.maximum(whole >> bits, -beyond), beyond)
    words: npt.NDArray[np.int64] = ((inside << bits) | (whole & ((1 << bits) - 1))).astype(np.int64)
    return words


def each(rows: Integers, form: Format, compute: Callable[[Integers], npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """`compute` of every element of raws (rows, C), where it depends on raw and channel alone.

    Of a narrow format all values are computed once a channel, and looked up.
    """
    count, channels = rows.shape
    if 1 << form.wl >= count:
        return compute(rows.astype(np.int64))
    table = compute(np.arange(form.raw_min, form.raw_max + 1, dtype=np.int64)[:, None].repeat(channels, 1))
    places = rows.astype(np.int32)
    places -= np.int32(form.raw_min)
    places *= np.int32(channels)
    places += np.arange(channels, dtype=np.int32)
    return table.reshape(-1).take(places)


def quotient_fl(plan: WordPlan) -> int:
    """The fractional length of what `quotients` gives."""
    return plan.format.fl + fraction_bits(plan.quantizer)
