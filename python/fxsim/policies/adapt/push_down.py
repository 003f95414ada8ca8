"""PushDown: the smallest format in which a weight tensor keeps its distribution.

Source: Kummer et al. 2021, section 3.3 and algorithm 3, which ask for the smallest format without information
loss, found by bisection, and leave open how. Here: first the fractional length, with words so long that nothing
saturates, then the word length at that fractional length; both search downwards from the current format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from fxsim.formats import Format
from fxsim.policies.adapt.config import WORD_BITS
from fxsim.policies.adapt.divergence import KLDirection, information_loss
from fxsim.policies.adapt.histogram import bins_of, original_histogram, quantized_histogram
from fxsim.policies.adapt.trial import prepare
from fxsim.policies.base import FloatArray

LEAST_WL = 2
"""A sign and a bit."""


@final
@dataclass(frozen=True, slots=True)
class PushedDown:
    """The format found, the bits of information it loses, and the number of formats tried."""

    format: Format
    loss_bits: float
    trials: int


def smallest_passing(passes: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest number in [low, high] that passes, by bisection; `high` itself if even that fails.

    `passes` is taken to be monotone. If it is not, the result still passes, unless `high` fails.
    """
    if not passes(high):
        return high
    while low < high:
        middle = (low + high) // 2
        if passes(middle):
            high = middle
        else:
            low = middle + 1
    return high


def push_down(
    weight: FloatArray,
    current: Format,
    draws: NDArray[np.uint32],
    *,
    resolution: int,
    eps: float = 1e-3,
    direction: KLDirection = "quantized_original",
) -> PushedDown:
    """The smallest format, searched downwards from `current`, that loses less than `eps` bits.

    weight: the float master copy. draws: one TRIAL_BITS-bit random integer an element, in drawing order; all
    formats are tried with the same numbers, so the search is a function of its arguments.
    resolution: histogram bins.
    """
    tensor = prepare(weight, draws)
    bins = bins_of(tensor, resolution)
    original = original_histogram(tensor, bins)
    losses: dict[tuple[int, int], float] = {}

    def loss(wl: int, fl: int) -> float:
        wl = min(wl, tensor.sufficient_wl(fl))
        if (wl, fl) not in losses:
            tried = quantized_histogram(tensor, bins, Format(wl, fl))
            losses[wl, fl] = information_loss(original, tried, direction)
        return losses[wl, fl]

    fl = smallest_passing(lambda fl: loss(WORD_BITS, fl) < eps, 0, current.fl)
    wl = smallest_passing(lambda wl: loss(wl, fl) < eps, LEAST_WL, current.wl)
    return PushedDown(Format(wl, fl), loss(wl, fl), len(losses))
