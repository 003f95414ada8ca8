"""An approximation of Flexpoint: 16-bit mantissas under one exponent a tensor."""

from __future__ import annotations

from typing import ClassVar, Final, final

from fxsim.policies.fixed import FixedPolicy
from fxsim.ranges import Block, RangedNumerics

MANTISSA: Final = Block(16, random_bits=0)


@final
class Flexpoint(FixedPolicy):
    """flex16+5 as if its exponents were always predicted right. An approximation, not the published method.

    Weights, activations, outputs and output gradients are 16-bit words, rounded to nearest, under the power of two that
    fits the tensor at hand. Flexpoint predicts that power from the maxima of earlier steps; how is not specified here
    beyond what docs/policies/flexpoint.md says, and no prediction is made.

    Source: Koster et al., "Flexpoint: An Adaptive Numerical Format for Efficient Training of Deep Neural Networks",
    NIPS 2017.
    """

    name: ClassVar[str] = "flexpoint"

    def start_numerics(self) -> RangedNumerics:
        return RangedNumerics(weight=MANTISSA, activation=MANTISSA, output=MANTISSA, grad_output=MANTISSA)

    def settings(self) -> dict[str, str]:
        return {}

    def __repr__(self) -> str:
        return "Flexpoint()"
