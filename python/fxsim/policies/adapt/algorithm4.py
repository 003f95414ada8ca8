"""PushUp as algorithm 4 has it: a search over the raw gradients since the last switch.

The paper's loop raises a candidate while the diversity of the gradients in the current format is at least that
of the gradients in the candidate. At equality, which holds wherever candidate and current format are the same, it
would never end: the comparison here is strict, and the widest word ends the search. So this reading never asks
for more precision than the current format has; the closed form does.

Source: Kummer et al. 2021, algorithm 4, with "Increase" read as one fractional bit more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fxsim.formats import Format
from fxsim.policies.adapt.config import WORD_BITS
from fxsim.policies.adapt.trial import Prepared, round_stochastically
from fxsim.policies.norm import euclidean_norm


def quantized_diversity(gradients: Sequence[Prepared], format: Format) -> float:
    """Sum of norms over norm of the sum (equation 3) of the gradients rounded to `format`.

    Infinite where the sum is zero.
    """
    total: NDArray[np.float64] | None = None
    norms = []
    for gradient in gradients:
        rounded = round_stochastically(gradient.values, gradient.draws, format, np.empty_like(gradient.values))
        norms.append(euclidean_norm(rounded))
        total = rounded if total is None else np.add(total, rounded, out=total)
    if total is None:
        raise ValueError("quantized_diversity: no gradients; at least one must have been seen")
    norm_of_sum = euclidean_norm(total)
    return math.inf if norm_of_sum == 0.0 else math.fsum(norms) / norm_of_sum


def search_format(least: Format, current: Format, gradients: Sequence[Prepared], *, wl_max: int = WORD_BITS) -> Format:
    """The first format from `least` upwards whose gradients are at least as diverse as in `current`."""
    target = quantized_diversity(gradients, current)
    candidate = least
    while candidate.fl < wl_max and target > quantized_diversity(gradients, candidate):
        fl = candidate.fl + 1
        candidate = Format(min(max(candidate.wl, fl + 1), wl_max), fl)
    return candidate
