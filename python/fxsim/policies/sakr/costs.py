"""The four costs of a precision assignment: what is stored, what is multiplied, what is sent.

Conventions that reproduce the paper's table 1: a batch of one image; weights of convolutions and linear layers
only; activations are counted as their layer made them, before pooling; a float operand has 32 bits, but 23 in a
multiplication.

Source: Sakr and Shanbhag, ICLR 2019, section 4 and table 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

FLOAT_BITS = 32
FLOAT_MULTIPLIER_BITS = 23
"""A float's mantissa without the hidden bit."""


@final
@dataclass(frozen=True, slots=True)
class LayerSize:
    """What one layer holds, for one image.

    weights: |W|. inputs: |A_l|, the activation before it, before pooling. outputs: |A_{l+1}|, its own, before pooling.
    length: D_l, products in one output. shared: its input and output are another layer's too (a shortcut), and are
    counted there.
    """

    weights: int
    inputs: int
    outputs: int
    length: int
    shared: bool = False

    @property
    def macs(self) -> int:
        return self.outputs * self.length


@final
@dataclass(frozen=True, slots=True)
class LayerBits:
    """The precisions of one layer: weight, activation before it, gradients of weight and output, accumulator."""

    weight: int
    activation: int
    weight_gradient: int
    activation_gradient: int
    accumulator: int

    @property
    def multiplied(self) -> tuple[int, int, int]:
        """Bits of weight, activation and output gradient where they are multiplied."""
        w, a, g = (
            FLOAT_MULTIPLIER_BITS if bits == FLOAT_BITS else bits
            for bits in (self.weight, self.activation, self.activation_gradient)
        )
        return w, a, g


FLOAT = LayerBits(FLOAT_BITS, FLOAT_BITS, FLOAT_BITS, FLOAT_BITS, FLOAT_BITS)
BINARYNET = LayerBits(1, 1, FLOAT_BITS, FLOAT_BITS, FLOAT_BITS)
"""BinaryNet: signs forward, floats backward."""
TERNGRAD = LayerBits(FLOAT_BITS, FLOAT_BITS, 2, FLOAT_BITS, FLOAT_BITS)
"""TernGrad: floats, but two bits of every weight gradient are sent."""


def with_float_accumulators(bits: LayerBits) -> LayerBits:
    """SQ's row: the same formats, rounded stochastically, with float accumulators."""
    return LayerBits(
        bits.weight, bits.activation, bits.weight_gradient, bits.activation_gradient, accumulator=FLOAT_BITS
    )


@final
@dataclass(frozen=True, slots=True)
class Costs:
    """weight_bits: C_W. activation_bits: C_A. multiplier_bits: C_M, in full adders. sent_bits: C_C."""

    weight_bits: int
    activation_bits: int
    multiplier_bits: int
    sent_bits: int


def costs(sizes: Sequence[LayerSize], bits: Sequence[LayerBits]) -> Costs:
    """The costs of a network, layer by layer.

    C_W = sum |W| (B_W + B_GW + B_acc)        C_A = sum |A_l| B_A + |A_{l+1}| B_GA
    C_M = sum macs (B_W B_A + B_W B_GA + B_A B_GA)        C_C = sum |W| B_GW

    In C_A the paper prints |A_l| for both; its numbers come from these sizes.

    Raises ValueError where there are not as many bits as sizes.
    """
    pairs = list(zip(sizes, bits, strict=True))
    products = [(size.macs, each.multiplied) for size, each in pairs]
    return Costs(
        weight_bits=sum(s.weights * (b.weight + b.weight_gradient + b.accumulator) for s, b in pairs),
        activation_bits=sum(
            s.inputs * b.activation + s.outputs * b.activation_gradient for s, b in pairs if not s.shared
        ),
        multiplier_bits=sum(macs * (w * a + w * g + a * g) for macs, (w, a, g) in products),
        sent_bits=sum(s.weights * b.weight_gradient for s, b in pairs),
    )
