"""AdaptLookback and AdaptResolution: how often, and how finely, a layer's format is examined.

Source: Kummer et al. 2021, algorithm 2.
"""

from __future__ import annotations

import math
from fractions import Fraction


def adapt_lookback(diversity: float | None, lookback: int, *, lower: int, upper: int, gamma: Fraction) -> int:
    """The number of steps until the next decision: a moving average of upper / diversity.

    diversity: of the gradients since the last switch; None where none of them was other than zero, which counts
    as the longest lookback. An infinite diversity counts as the shortest.

    The average is rounded up, exactly. For gamma = 0.33 that gives it the fixed points 26, 27 and 28 above a
    lower bound of 25: a lookback that has left the bound comes back to 28 at best.
    """
    newest = upper if diversity is None else min(max(math.ceil(upper / diversity), lower), upper)
    return math.ceil(gamma * newest + (1 - gamma) * lookback)


def adapt_resolution(
    resolution: int, lookback: int, *, lookback_bounds: tuple[int, int], bounds: tuple[int, int]
) -> int:
    """One bin more where the lookback is at its upper bound, one less at its lower bound, else as many.

    bounds: the least and the greatest resolution.
    """
    if lookback == lookback_bounds[1]:
        resolution += 1
    elif lookback == lookback_bounds[0]:
        resolution -= 1
    return min(max(resolution, bounds[0]), bounds[1])
