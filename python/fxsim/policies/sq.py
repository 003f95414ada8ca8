"""SQ: 16-bit words and stochastic rounding for every tensor, the weights' own copy included."""

from __future__ import annotations

from typing import ClassVar, Final, final

from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.policies.base import GridUpdate, UpdateRule
from fxsim.policies.fixed import FixedPolicy
from fxsim.rounding import Quantizer, Rounding, Stochastic

ROUNDINGS: Final = ("stochastic", "nearest_even")


@final
class SQ(FixedPolicy):
    """Everything on a grid: weights, activations, gradients of both; products are summed exactly and rounded once.

    There is no finer copy of the weights: what the optimizer makes of them is rounded to the weights' grid again.
    weight, activation, gradient: formats or their texts. rounding: "stochastic", or "nearest_even" for comparison.

    Source: Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep Learning with Limited Numerical Precision", ICML 2015.
    """

    name: ClassVar[str] = "sq"

    def __init__(
        self,
        weight: Format | str = "<16,14>",
        activation: Format | str = "<16,10>",
        gradient: Format | str = "<16,14>",
        rounding: str = "stochastic",
    ) -> None:
        super().__init__()
        if rounding not in ROUNDINGS:
            raise ValueError(f"SQ: rounding is {rounding!r}; give {' or '.join(ROUNDINGS)}")
        self.rounding: Final = rounding
        mode: Rounding = Stochastic() if rounding == "stochastic" else rounding
        self.weight: Final = Quantizer(weight, mode)
        self.activation: Final = Quantizer(activation, mode)
        self.gradient: Final = Quantizer(gradient, mode)

    @property
    def update_rule(self) -> UpdateRule | None:
        return GridUpdate(self.weight)

    def start_numerics(self) -> Numerics | None:
        return Numerics(
            weight=self.weight,
            activation=self.activation,
            output=self.activation,
            grad_output=self.gradient,
            grad_weight=self.gradient,
            grad_input=self.gradient,
        )

    def settings(self) -> dict[str, str]:
        return {
            "weight": str(self.weight),
            "activation": str(self.activation),
            "gradient": str(self.gradient),
        }

    def __repr__(self) -> str:
        formats = ", ".join(repr(str(each.format)) for each in (self.weight, self.activation, self.gradient))
        return f"SQ({formats}, {self.rounding!r})"
