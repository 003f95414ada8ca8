"""A precision assignment: for every layer the formats of its tensors, and the width of its weight accumulator.

Source: Sakr and Shanbhag, ICLR 2019, section 2 and claim 1.
"""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.policies.sakr.costs import LayerBits
from fxsim.rounding import Quantizer

REGISTER: Final = Format(24, 16)
"""What a layer hands on before its activation: sums cut off at 2**-16, far below any activation's rounding."""

BIAS_BITS: Final = 32
HEADROOM: Final = 2
"""log2 of how far the register of an input's gradient reaches beyond that gradient's range."""

_LEAST_BITS: Final = 2
_ROUNDING: Final = "nearest_away"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LayerAssignment:
    """The precisions of one layer.

    weight: B_W, range [-1, 1). activation: B_A of its input, range [0, 2). weight_gradient, activation_gradient: B_GW,
    and B_GA of its output's gradient; their ranges are 2**weight_gradient_range and 2**activation_gradient_range.
    accumulator: B_acc, of the part of a weight below its own step. input_gradient_range: log2 of the range of the
    gradient that it hands back.

    Precisions below the least that makes sense (2 bits, 1 for the accumulator) are raised to it, with a warning.
    """

    weight: int
    activation: int
    weight_gradient: int
    weight_gradient_range: int
    activation_gradient: int
    activation_gradient_range: int
    accumulator: int
    input_gradient_range: int = 0

    def __post_init__(self) -> None:
        raised = []
        for name in ("weight", "activation", "weight_gradient", "activation_gradient", "accumulator"):
            bits, least = getattr(self, name), 1 if name == "accumulator" else _LEAST_BITS
            if bits < least:
                raised.append(f"{name} from {bits} to {least}")
                object.__setattr__(self, name, least)
        if raised:
            warnings.warn(f"sakr: precisions were raised to the least there is: {', '.join(raised)}", stacklevel=3)

    @property
    def weight_format(self) -> Format:
        return Format.from_pdr(self.weight, 1, signed=True)

    @property
    def activation_format(self) -> Format:
        return Format(self.activation, self.activation - 1, signed=False)

    @property
    def weight_gradient_format(self) -> Format:
        return _gradient(self.weight_gradient, self.weight_gradient_range)

    @property
    def activation_gradient_format(self) -> Format:
        return _gradient(self.activation_gradient, self.activation_gradient_range)

    @property
    def bits(self) -> LayerBits:
        """The precisions as costs are counted from them."""
        return LayerBits(self.weight, self.activation, self.weight_gradient, self.activation_gradient, self.accumulator)

    def numerics(self) -> Numerics:
        """The layer's arithmetic: integers throughout, each tensor rounded once, to nearest, ties away from zero.

        Sums are exact. Where a tensor is not rounded to its final format at once, because a pooling or an activation
        stands between, it travels in 24 bits, cut off so that the final rounding is that of the exact sum.
        """
        handed_back = Format(24, 23 - HEADROOM - self.input_gradient_range)
        return Numerics(
            weight=Quantizer(self.weight_format, _ROUNDING),
            activation=Quantizer(self.activation_format, _ROUNDING),
            output=Quantizer(REGISTER, "floor"),
            bias=Quantizer(Format(BIAS_BITS, self.weight + self.activation - 2), _ROUNDING),
            grad_output=Quantizer(self.activation_gradient_format, _ROUNDING),
            grad_weight=Quantizer(self.weight_gradient_format, _ROUNDING),
            grad_input=Quantizer(handed_back, "zero"),
            ste="pass",
        )

    def shifted(self, bits: int) -> LayerAssignment:
        """Every precision changed by as many bits; ranges stay, so steps follow."""
        changed = {
            name: getattr(self, name) + bits
            for name in ("weight", "activation", "weight_gradient", "activation_gradient", "accumulator")
        }
        return dataclasses.replace(self, **changed)


def _gradient(bits: int, range_log2: int) -> Format:
    return Format(bits, bits - 1 - range_log2)


WIDE: Final = LayerAssignment(
    weight=16,
    activation=16,
    weight_gradient=16,
    weight_gradient_range=0,
    activation_gradient=16,
    activation_gradient_range=-3,
    accumulator=8,
)
"""16 bits for every tensor: what a layer has before anything was measured."""


@final
@dataclass(frozen=True, slots=True)
class Assignment:
    """The precisions of all weighted layers, by name, in model order. C_o is what `assign` gives."""

    layers: Mapping[str, LayerAssignment]

    def shifted(self, bits: int) -> Assignment:
        """C_o + bits, for all tensors of all layers."""
        return Assignment({name: layer.shifted(bits) for name, layer in self.layers.items()})

    def to_text(self) -> str:
        """JSON; `Assignment.from_text(a.to_text()) == a`."""
        return json.dumps({name: dataclasses.asdict(layer) for name, layer in self.layers.items()})

    @classmethod
    def from_text(cls, text: str) -> Assignment:
        """The assignment that `to_text` wrote.

        Raises:
            ValueError: the text is none.
        """
        try:
            return cls({name: LayerAssignment(**fields) for name, fields in json.loads(text).items()})
        except (AttributeError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"sakr: the assignment is no text of Assignment.to_text ({error}); give one, or leave it out"
            ) from None
