"""PushUp: as much precision above PushDown's format as the diversity of the gradients calls for.

Source: Kummer et al. 2021, section 3.3. The closed form there has lost brackets and a square, which the authors'
code restores: with u = ln(diversity) - 1,

    s1 = max(ceil(1 / u^2), 1)          s2 = max(min(ceil(32 u^2), 32) - FL_min, 1)        if u > 0, else s = 1
    s  = min(s1, s2), ceil((s1 + s2) / 2) or max(s1, s2), by the strategy
"""

from __future__ import annotations

import math

from fxsim.formats import Format
from fxsim.policies.adapt.config import WORD_BITS
from fxsim.policies.adapt.strategy import Strategy


def suggested_steps(diversity: float, fl_min: int, strategy: Strategy, *, s2_floor: int = 1) -> int:
    """The number of fractional bits to add to fl_min.

    diversity: at least 1; infinite where gradients cancelled exactly, which asks for 1.
    s2_floor: least value of s2; 1 in the paper, 0 in the authors' code.
    """
    u = math.log(diversity) - 1.0
    if u <= 0.0 or math.isinf(u):
        return 1
    s1 = max(math.ceil(1.0 / (u * u)), 1)
    s2 = max(min(math.ceil(WORD_BITS * u * u), WORD_BITS) - fl_min, s2_floor)
    match strategy:
        case "min":
            return min(s1, s2)
        case "mean":
            return -(-(s1 + s2) // 2)
        case "max":
            return max(s1, s2)


def steps_when_vanished(fl_min: int) -> int:
    """The number of fractional bits to add where every gradient rounded to zero: all there are.

    max(s1, s2) in the limit of infinite diversity, whatever the strategy.
    """
    return max(1, WORD_BITS - fl_min)


def raise_format(least: Format, steps: int, *, wl_max: int = WORD_BITS) -> Format:
    """`least` with `steps` more fractional bits, and a word with at least one integer bit above them."""
    fl = min(least.fl + steps, wl_max)
    return Format(min(max(least.wl, fl) + 1, wl_max), fl)


def add_buffer(format: Format, buff: int, *, wl_max: int = WORD_BITS) -> Format:
    """`format` with at least `buff` bits above its fraction; the fraction gives way where the word is full."""
    fl = min(format.fl, wl_max - buff)
    return Format(max(min(fl + buff, wl_max), format.wl), fl)


def push_up(least: Format, steps: int, buff: int, *, wl_max: int = WORD_BITS) -> Format:
    """PushDown's format raised by `steps` and given its buffer: the layer's next format."""
    return add_buffer(raise_format(least, steps, wl_max=wl_max), buff, wl_max=wl_max)
