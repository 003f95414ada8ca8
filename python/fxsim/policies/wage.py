"""WAGE: integers for weights, activations, gradients and errors, and scales that are powers of two."""

from __future__ import annotations

from typing import ClassVar, Final, final

from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.policies.base import ShiftUpdate, UpdateRule
from fxsim.policies.fixed import FixedPolicy
from fxsim.rounding import Quantizer

ACTIVATION: Final = Format(8, 7)
ERROR: Final = Format(8, 7)
STORED_WEIGHT: Final = Format(8, 7)
WEIGHT: Final = Format(2, 1)


@final
class Wage(FixedPolicy):
    """2-bit weights kept in 8, 8-bit activations, errors and updates ("2888"); no floats between first and last layer.

    Source: Wu, Li, Chen and Shi, "Training and Inference with Integers in Deep Neural Networks", ICLR 2018.
    """

    name: ClassVar[str] = "wage"

    @property
    def update_rule(self) -> UpdateRule | None:
        return ShiftUpdate(STORED_WEIGHT)

    def start_numerics(self) -> Numerics | None:
        return Numerics(
            weight=Quantizer(WEIGHT, "nearest_even", "saturate_symmetric"),
            activation=Quantizer(ACTIVATION, "nearest_even", "saturate_symmetric"),
            grad_output=Quantizer(ERROR, "nearest_even", "saturate_symmetric"),
            carrier="round",
            code="wage",
        )

    def settings(self) -> dict[str, str]:
        return {}

    def __repr__(self) -> str:
        return "Wage()"
