"""The cyclic precision of CPT, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

FLOAT_BIT_OPERATIONS: Final = 32 * 32
"""Of one multiply-accumulate in float32."""

SHORTEST_CYCLE: Final = 20
"""Steps; shorter cycles change the precision faster than a network can follow."""

_DECIMALS: Final = 9


def cycles_for(total_steps: int, cycles: int) -> int:
    """How many cycles a run of that length has: `cycles`, or fewer where they would be shorter than 20 steps."""
    return min(cycles, max(1, total_steps // SHORTEST_CYCLE))


def cyclic_bits(step: int, total_steps: int, cycles: int, low: int, high: int) -> int:
    """The bits of step `step`, from 0: a half cosine from low to high in each cycle, then down at once.

    A cycle has total_steps // cycles steps; what the division leaves over stays at high. The real number is rounded
    to nine decimals and then to the nearest integer, ties to even: without the first rounding the bits of ties
    would depend on the cosine's last digit.

    Source: Fu et al. 2021, equation 1.
    """
    length = total_steps // cycles
    if step >= length * cycles:
        return high
    phase = (step % length) / length
    return round(round(low + 0.5 * (high - low) * (1.0 - math.cos(math.pi * phase)), _DECIMALS))


def cost_ratio(bits: Iterable[tuple[int, int]]) -> float:
    """Bit operations of training relative to float32, for steps with these (forward, backward) bits.

    A step is one product of forward by forward bits, and two of forward by backward bits.
    """
    costs = [forward * forward + 2 * forward * backward for forward, backward in bits]
    return sum(costs) / (3 * FLOAT_BIT_OPERATIONS * len(costs))
