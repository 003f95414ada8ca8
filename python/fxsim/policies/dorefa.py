"""DoReFa: weights, activations and gradients of few bits each, on levels that are no powers of two."""

from __future__ import annotations

from typing import ClassVar, Final, final

from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.policies.base import End
from fxsim.policies.fixed import FixedPolicy


@final
class DoReFa(FixedPolicy):
    """Bits of weights and of activations; gradients of outputs have 6. First and last layer stay float.

    Source: Zhou, Wu, Ni, Zhou, Wen and Zou, "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low
    Bitwidth Gradients", arXiv:1606.06160, 2016, equations 6 to 12.
    """

    name: ClassVar[str] = "dorefa"
    float_layers: ClassVar[tuple[End, ...]] = ("first", "last")

    def __init__(self, weight_bits: int = 1, activation_bits: int = 2) -> None:
        super().__init__()
        for field, bits in (("weight_bits", weight_bits), ("activation_bits", activation_bits)):
            if not 1 <= bits <= 8:
                raise ValueError(f"DoReFa: {field} is {bits}; give 1 to 8")
        self.weight_bits: Final = weight_bits
        self.activation_bits: Final = activation_bits

    def start_numerics(self) -> Numerics | None:
        return Numerics(
            weight=Format(self.weight_bits + 1, 0),
            activation=Format(self.activation_bits, 0, signed=False),
            ste="pass",
            code="dorefa",
        )

    def settings(self) -> dict[str, str]:
        return {"weight_bits": str(self.weight_bits), "activation_bits": str(self.activation_bits)}

    def __repr__(self) -> str:
        return f"DoReFa({self.weight_bits}, {self.activation_bits})"
