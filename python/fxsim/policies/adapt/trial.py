"""Trial quantization: one weight tensor on many candidate grids, with the same random bits on each.

The rounding is `Stochastic(TRIAL_BITS)` in its carry form, saturated:

    raw = clip(floor((floor(x 2^(fl + r)) + U) / 2^r), raw_min, raw_max),        r = TRIAL_BITS

No float decides a bit. Scaling by a power of two and taking the floor are exact in float64. Before U is added the
value is clipped to +-2^(wl - 1 + r), at most 2^47 for words of 32 bits: float64 holds every integer up to 2^53, and
whatever the clip changes saturates anyhow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from fxsim.formats import Format
from fxsim.policies.base import FloatArray

TRIAL_BITS = 16
"""Random bits of the trial roundings."""

MAX_TRIAL_WL = 32


def in_drawing_order(x: FloatArray) -> FloatArray:
    """The elements in the order in which random bits belong to them: convolution weights channels-last.

    x: (rows, columns) or (c_out, c_in, spatial...); the result has one dimension.
    """
    return np.ravel(np.moveaxis(x, 1, -1) if x.ndim > 2 else x)


def round_stochastically(
    x: NDArray[np.float64], draws: NDArray[np.float64], format: Format, out: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The raw integers of x on the grid of `format`, saturated, as float64 into `out`.

    x, draws, out: equal shapes; draws holds integers in [0, 2^TRIAL_BITS). format: at most 32 bits.
    """
    if format.wl > MAX_TRIAL_WL:
        raise ValueError(f"trial: format is {format}; words of at most {MAX_TRIAL_WL} bits can be tried")
    limit = 2.0 ** (format.wl - 1 + TRIAL_BITS)
    np.multiply(x, 2.0 ** (format.fl + TRIAL_BITS), out=out)
    np.clip(out, -limit, limit, out=out)
    np.floor(out, out=out)
    np.add(out, draws, out=out)
    np.multiply(out, 2.0**-TRIAL_BITS, out=out)
    np.floor(out, out=out)
    return np.clip(out, format.raw_min, format.raw_max, out=out)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A tensor ready to be tried on grids: its elements and their random numbers as float64, flat."""

    values: NDArray[np.float64]
    draws: NDArray[np.float64]
    low: float
    high: float

    def sufficient_wl(self, fl: int) -> int:
        """A word length, at most MAX_TRIAL_WL, at which nothing saturates, or beyond which nothing changes."""
        lowest, highest = math.floor(math.ldexp(self.low, fl)), math.floor(math.ldexp(self.high, fl)) + 1
        return min(max(lowest.bit_length(), highest.bit_length()) + 1, MAX_TRIAL_WL)


def prepare(weight: FloatArray, draws: NDArray[np.uint32]) -> Prepared:
    """The weight's elements in drawing order, each with its random number.

    draws: TRIAL_BITS-bit integers in drawing order, as many as the weight has elements.

    Raises ValueError where the weight is empty or not finite, or the numbers do not match.
    """
    values = in_drawing_order(weight).astype(np.float64)
    if values.size == 0 or values.size != draws.size:
        raise ValueError(f"trial: {values.size} weights and {draws.size} random numbers; give equally many, at least 1")
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("trial: the weight holds NaN or Inf; training has diverged: lower the learning rate")
    return Prepared(values, draws.astype(np.float64), low, high)
