"""The arithmetic that CPT and FracTrain share: affine codes, gradients with a length of their own."""

from __future__ import annotations

from typing import Final

from fxsim.ranges import Affine, RangedNumerics

BIAS_BITS: Final = 8
"""The published networks have no biases; at three bits those of others would be lost."""

GRADIENT_RANDOM_BITS: Final = 16


def affine_numerics(weight: int, activation: int, gradient: int, *, evaluation: int | None = None) -> RangedNumerics:
    """Weights with a range for each output channel, activations and gradients with one for the whole tensor.

    Gradients are rounded stochastically, all else to nearest even. evaluation: bits of weight and activation in
    evaluation; None: those of training.

    Source: Fu et al. 2021 (CPT) and Fu et al. 2020 (FracTrain), whose published codes agree in this.
    """
    return RangedNumerics(
        weight=Affine(weight, "channel"),
        activation=Affine(activation),
        bias=Affine(max(weight, BIAS_BITS)),
        grad_output=Affine(gradient, random_bits=GRADIENT_RANDOM_BITS),
        evaluation_bits=evaluation,
    )
