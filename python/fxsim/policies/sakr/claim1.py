"""Claim 1: the precisions that keep fixed-point training close to the floating point training it is derived from.

All logarithms of this file are taken exactly: floats are dyadic fractions, so whether one lies below a power of
two is a question about integers.

Source: Sakr and Shanbhag, "Per-Tensor Fixed-Point Quantization of the Back-Propagation Algorithm", ICLR 2019, claim 1
and criteria 1 to 5. The numbers of its equations are kept in the docstrings.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from statistics import NormalDist

WEIGHT_GRADIENT_FACTOR = 2
ACTIVATION_GRADIENT_FACTOR = 4
"""Standard deviations that a gradient's range covers; the authors' code takes 8 for activations."""

_NORMAL = NormalDist()


def floor_log2(x: float | Fraction) -> int:
    """The largest n with 2**n <= x, for finite x > 0; exact."""
    value = Fraction(x)
    n = value.numerator.bit_length() - value.denominator.bit_length()
    return n if Fraction(2) ** n <= value else n - 1


def ceil_log2(x: float | Fraction) -> int:
    """The least n with 2**n >= x, for finite x > 0; exact."""
    n = floor_log2(x)
    return n if Fraction(2) ** n == x else n + 1


def precision_offsets(noise_gains: Sequence[float]) -> list[int]:
    """rnd(0.5 log2(E / E_min)) of every tensor: bits above those of the tensor that needs fewest. Equation (1).

    noise_gains: E_W and E_A of all layers together, above 0.
    """
    least = Fraction(min(noise_gains))
    # n = rnd(0.5 log2 q) means 2^(2n - 1) <= q < 2^(2n + 1)
    return [(floor_log2(Fraction(gain) / least) + 1) // 2 for gain in noise_gains]


def gradient_range(sigma_max: float, factor: int) -> int:
    """log2 of r = 2**ceil(log2(factor sigma_max)): criterion 2, gradients are seldom clipped. Equation (2)."""
    return ceil_log2(factor * Fraction(sigma_max))


def weight_gradient_step(sigma_min: float) -> int:
    """log2 of D_GW = 2**floor(log2(sigma_min / 4)): criterion 3, small gradients keep their mean. Equation (3)."""
    return floor_log2(Fraction(sigma_min) / 4)


def activation_gradient_step(step_log2: int, weights: int, sensitivity: float) -> int:
    """log2 of D_GA = 2**floor(log2(D_GW sqrt(|G_W| / S))): criterion 4 as it stands.

    The noise that quantizing an activation's gradient leaves in the weight gradient behind it may not exceed the noise
    of quantizing that itself. step_log2: of D_GW. weights: |G_W|. sensitivity: S, the sum over all weights and all
    elements of the activation's gradient of (d g_w / d g_a)**2.
    """
    # floor(log2 sqrt q) = floor(floor(log2 q) / 2)
    return floor_log2(Fraction(4) ** step_log2 * weights / Fraction(sensitivity)) // 2


def activation_gradient_step_by_jacobian(
    step_log2: int, singular_value: float, weights: int, gradients: int, *, size_factor: bool = True
) -> int:
    """log2 of D_GA = 2**floor(log2(D_GW / sqrt(lambda) (|G_W| / |G_A|)**(1/4))). Equation (3).

    singular_value: lambda, the largest of the square-Jacobian. gradients: |G_A|. The published tables leave the size
    factor out (`size_factor=False`). Training uses `activation_gradient_step`: with the channel-averaged Jacobian
    that lambda is taken from, this form gives precisions below 2 bits.
    """
    # the fourth power of the argument is rational: floor(log2 q^(1/4)) = floor(floor(log2 q) / 4)
    fourth = Fraction(16) ** step_log2 / Fraction(singular_value) ** 2
    return floor_log2(fourth * Fraction(weights, gradients) if size_factor else fourth) // 4


def precision(range_log2: int, step_log2: int) -> int:
    """B = log2(r / D) + 1: bits of a signed word of range r and step D, both powers of two. Equation (3)."""
    return range_log2 - step_log2 + 1


def accumulator_precision(weight_bits: int, least_learning_rate: float | Fraction, step_log2: int) -> int:
    """B_acc = -B_W - floor(log2(gamma_min D_GW)) + 1: the least update is no smaller than the step. Equation (4)."""
    return 1 - weight_bits - floor_log2(Fraction(least_learning_rate) * Fraction(2) ** step_log2)


def relative_quantization_bias(step: float, sigma: float) -> float:
    """Relative distance between a normal value in (D/2, 3D/2), on average, and the level D it is rounded to.

    0.00522 for D = sigma / 4, where the paper prints 0.4 %.
    """
    low, high = 0.5 * step / sigma, 1.5 * step / sigma
    mean = sigma * (_NORMAL.pdf(low) - _NORMAL.pdf(high)) / (_NORMAL.cdf(high) - _NORMAL.cdf(low))
    return abs(step - mean) / mean


def clipping_rate(factor: float) -> float:
    """The share of a normal tensor beyond `factor` standard deviations: 0.0455 for 2, where the paper prints 0.044."""
    return 2.0 * _NORMAL.cdf(-factor)
