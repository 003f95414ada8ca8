"""MuPPET's measure of gradient diversity, and the threshold it is held against."""

from __future__ import annotations

import math
from collections.abc import Iterable


def tensor_diversity(squared_norms: float, norm_of_sum: float) -> float | None:
    """Sum of squared norms over the squared norm of the sum, for the gradients of one tensor; None where that is 0/0
    or infinite.

    Source: Rajagopal et al. 2020, equation 4; after Yin et al. 2018.
    """
    return squared_norms / norm_of_sum**2 if norm_of_sum > 0.0 else None


def mean_diversity(tensors: Iterable[float | None]) -> float | None:
    """The mean over tensors that have a diversity; None where none has.

    Source: Rajagopal et al. 2020, equation 4, whose outer sum is over layers.
    """
    known = [each for each in tensors if each is not None]
    return math.fsum(known) / len(known) if known else None


def threshold(epoch: int) -> float:
    """What the ratio of greatest to present diversity must exceed to count as a violation.

    epoch: from 0, counted from the beginning of the run. Source: Rajagopal et al. 2020, section 3.3.
    """
    return 1.0 + 1.5 * math.exp(-0.1 * epoch)
