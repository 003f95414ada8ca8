"""TNVS: truncated normal initialisation with variance scaling.

W ~ N(0, gain / fan_in), truncated at +-sqrt(3 gain / fan_in): where the uniform distribution of the same
variance would end. Truncation narrows the distribution, and that is left so: the standard deviation of what
is drawn is 0.81464 of sigma.

Source: Kummer et al. 2021. (Its "alpha" is the truncation point, not a third parameter.)
"""

from __future__ import annotations

import math
from statistics import NormalDist

CUT_IN_SIGMAS = math.sqrt(3.0)
"""The truncation point in standard deviations."""

_NORMAL = NormalDist()
LOWEST_PROBABILITY = _NORMAL.cdf(-CUT_IN_SIGMAS)
"""Share of a normal distribution below the lower truncation point."""


def sigma(fan_in: int, gain: float) -> float:
    """Standard deviation before truncation: sqrt(gain / fan_in).

    Raises ValueError for a fan-in below 1 or a gain that is not positive.
    """
    if fan_in < 1 or gain <= 0:
        raise ValueError(f"tnvs: fan_in is {fan_in} and gain is {gain}; give a fan_in of at least 1 and a gain above 0")
    return math.sqrt(gain / fan_in)


def cut(fan_in: int, gain: float) -> float:
    """The largest magnitude that is drawn: sqrt(3 gain / fan_in)."""
    return CUT_IN_SIGMAS * sigma(fan_in, gain)


def quantile(u: float) -> float:
    """The truncated distribution's value, in sigmas, below which a share u of it lies, 0 <= u <= 1."""
    if not 0.0 <= u <= 1.0:
        raise ValueError(f"tnvs: u is {u}; give a share between 0 and 1")
    share = LOWEST_PROBABILITY + u * (1.0 - 2.0 * LOWEST_PROBABILITY)
    return min(max(_NORMAL.inv_cdf(share), -CUT_IN_SIGMAS), CUT_IN_SIGMAS)


def std_after_truncation() -> float:
    """Standard deviation of the truncated distribution, in sigmas.

    sqrt(1 - 2 a phi(a) / (2 Phi(a) - 1)) for truncation at +-a: the moments of a truncated normal.
    """
    a = CUT_IN_SIGMAS
    return math.sqrt(1.0 - 2.0 * a * _NORMAL.pdf(a) / (1.0 - 2.0 * LOWEST_PROBABILITY))


def recommended_gain(weighted_layers: int, *, normalized: bool) -> float:
    """The gain to use: 0.5 for nets that normalise their activations or have at most 5 layers, else 2.

    The published gain is 0.5. In deeper plain nets every ReLU layer then shrinks the signal, the loss gradient
    with it, and the L1 term, which is added before gradients are normalised, becomes the whole step.
    """
    return 0.5 if normalized or weighted_layers <= 5 else 2.0
