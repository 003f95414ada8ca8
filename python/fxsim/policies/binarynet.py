"""BinaryNet: signs for weights and activations, floats for everything that trains them."""

from __future__ import annotations

from typing import ClassVar, Final, final

from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.policies.base import ClipUpdate, UpdateRule
from fxsim.policies.fixed import FixedPolicy

SIGNS: Final = Format(2, 0)
"""The word that +1 and -1 are kept in; one bit would tell them apart."""


@final
class BinaryNet(FixedPolicy):
    """Weights and activations are -1 or +1 in the forward pass; gradients, updates and the weights behind are float32.

    Source: Hubara, Courbariaux, Soudry, El-Yaniv and Bengio, "Binarized Neural Networks", NIPS 2016, algorithm 1.
    """

    name: ClassVar[str] = "binarynet"

    @property
    def update_rule(self) -> UpdateRule | None:
        return ClipUpdate(1.0)

    def start_numerics(self) -> Numerics | None:
        return Numerics(weight=SIGNS, activation=SIGNS, code="sign")

    def settings(self) -> dict[str, str]:
        return {}

    def __repr__(self) -> str:
        return "BinaryNet()"
