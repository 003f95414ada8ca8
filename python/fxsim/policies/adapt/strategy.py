"""AdaptStrategy: min, mean or max, whichever the course of the loss asks for.

Source: Kummer et al. 2021. Two slips of print are repaired: the average is over as many losses
as it is divided by, and that number, the mean lookback, is not the number of losses kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

Strategy: TypeAlias = Literal["min", "mean", "max"]
STRATEGIES: tuple[Strategy, ...] = ("min", "mean", "max")

_NEXT: dict[Strategy, Strategy] = {"min": "mean", "mean": "max", "max": "max"}


def average_lookback(lookbacks: Sequence[int]) -> int:
    """The mean lookback of all layers, rounded down: the window of the loss history."""
    return sum(lookbacks) // len(lookbacks)


def adapt_strategy(
    strategy: Strategy, history: Sequence[float], loss: float, window: int
) -> tuple[Strategy, tuple[float, ...]]:
    """The strategy of this step, and the loss history to keep.

    history: losses of earlier steps, oldest first. window: see `average_lookback`.

    With more than `window` losses at hand, a loss at or above the mean of the last `window` of them moves one
    place along min, mean, max; a loss below it goes back to min. Magnitudes are compared. The history is then
    cut to `window` and takes the new loss.
    """
    kept = tuple(history)
    if len(kept) > window:
        kept = kept[-window:]
        average = abs(math.fsum(kept)) / window
        strategy = _NEXT[strategy] if average <= abs(loss) else "min"
    return strategy, (*kept, loss)
