"""What a training step costs at given bits, relative to float32, and the sign that a cost target gives."""

from __future__ import annotations

from typing import Final

FLOAT_BITS: Final = 32


def product_costs(activation: int, weight: int, gradient: int) -> float:
    """Cost of a step's three products of one multiply-accumulate each: activation by weight, gradient by weight, and
    activation by gradient; float32 by float32 is 1, so float32 training is 3.

    Source: Fu et al. 2020, equation 4, as in the authors' code.
    """
    bits = activation * weight + gradient * weight + activation * gradient
    return bits / FLOAT_BITS**2


def percent(cost: float) -> float:
    """A mean cost of three products as a percentage of float32 training."""
    return 100.0 * cost / 3.0


def target_sign(cost_percent: float, target: float, width: float = 0.0) -> int:
    """-1 below the target, where cost is rewarded; +1 at and above target + width, where it is punished; else 0."""
    if cost_percent < target:
        return -1
    return 1 if cost_percent >= target + width else 0
