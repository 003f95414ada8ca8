"""Quantizers whose grid follows the tensor at hand, and the record of those a layer uses.

A `Numerics` names formats that somebody chose beforehand. Here only word lengths are chosen; where the grid lies is
read off each tensor: from its least and greatest value (`Affine`), or as the power of two that fits it (`Block`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, final

from fxsim.formats import Format
from fxsim.rounding import Quantizer, Stochastic

Over: TypeAlias = Literal["tensor", "channel", "sample_mean"]
OVERS: Final[tuple[Over, ...]] = ("tensor", "channel", "sample_mean")

WIDEST: Final = 16
"""Bits of a code: sums of products of two stay exact in float64 for every depth below 2**20."""

BlockOver: TypeAlias = Literal["tensor", "sample"]
BLOCK_OVERS: Final[tuple[BlockOver, ...]] = ("tensor", "sample")

PRODUCT_BITS: Final = 33
"""Bits of two operands together, for the same reason."""

SCALES: Final = 64
"""A block's exponent lies within plus and minus this."""


@final
@dataclass(frozen=True, slots=True)
class Affine:
    """Codes 0 ... 2**bits - 1 spread evenly from the least value of a range to its greatest.

    With scale = (high - low) / (2**bits - 1): code = (x - low) / scale, clamped and rounded; it stands for
    code * scale + low. Zero is not among these values in general. Where high = low every code is 0, standing for low.

    over: what the range is of. "tensor": extremes of all elements. "channel": one range for each output channel, for
        weights. "sample_mean": the means, over the samples, of each sample's extremes, for activations.
    random_bits: 0 rounds to nearest even, 1 to 32 stochastically.

    Source: Jacob et al. 2018, equation 1; Banner et al. 2018, section 3.
    """

    bits: int
    over: Over = "tensor"
    random_bits: int = 0

    def __post_init__(self) -> None:
        _check_bits("Affine", self.bits, 1)
        if self.over not in OVERS:
            raise ValueError(f"Affine: over is {self.over!r}; give one of {', '.join(OVERS)}")
        _check_random_bits("Affine", self.random_bits)

    @property
    def format(self) -> Format:
        """Of the codes."""
        return Format(self.bits, 0, signed=False)

    def with_bits(self, bits: int) -> Affine:
        """The same quantizer with codes of another length."""
        return replace(self, bits=bits)

    def __str__(self) -> str:
        return f"affine({self.bits},{self.over},{self.random_bits})"


@final
@dataclass(frozen=True, slots=True)
class Block:
    """Block floating point: signed words of `bits` bits under one power of two, the finest at which the tensor fits.

    random_bits: 0 rounds to nearest even, 1 to 32 stochastically. Words saturate.
    over: "tensor", or "sample": a power of two for each sample, for activations. The words then stand on the finest of
        these grids, in 33 - bits bits; a sample's power is at most as much finer than the coarsest as that leaves room
        for, 33 - 2 bits.

    Source: Rajagopal et al. 2020 (MuPPET), section 3.
    """

    bits: int
    random_bits: int = 16
    over: BlockOver = "tensor"

    def __post_init__(self) -> None:
        _check_bits("Block", self.bits, 2)
        _check_random_bits("Block", self.random_bits)
        if self.over not in BLOCK_OVERS:
            raise ValueError(f"Block: over is {self.over!r}; give one of {', '.join(BLOCK_OVERS)}")

    @property
    def format(self) -> Format:
        """Of the words, the power of two left out."""
        return Format(self.bits + self.room, 0)

    @property
    def room(self) -> int:
        """Bits that words have beside their own, for grids of samples that differ."""
        return PRODUCT_BITS - 2 * self.bits if self.over == "sample" else 0

    def quantizer(self, low: float, high: float) -> Quantizer:
        """The format that fits a tensor with these extremes, and the rounding into it."""
        rounding = Stochastic(self.random_bits) if self.random_bits else "nearest_even"
        return Quantizer(Format(self.bits, block_exponent(low, high, self.bits)), rounding)

    def with_bits(self, bits: int) -> Block:
        """The same quantizer with words of another length."""
        return replace(self, bits=bits)

    def __str__(self) -> str:
        over = "" if self.over == "tensor" else f",{self.over}"
        return f"block({self.bits},{self.random_bits}{over})"


@final
@dataclass(frozen=True, slots=True)
class Plain:
    """No quantization: the tensor stays float32."""

    @property
    def bits(self) -> int:
        """Of a float32."""
        return 32

    @property
    def format(self) -> Format:
        """A format of float32's length, for tables of word lengths; nothing is computed in it."""
        return Format(self.bits, 0)

    def with_bits(self, bits: int) -> Plain:  # noqa: ARG002
        """Itself: there is nothing to choose."""
        return self

    def __str__(self) -> str:
        return "float32"


RangeQuantizer: TypeAlias = Affine | Block | Plain


def block_exponent(low: float, high: float, bits: int) -> int:
    """The largest s in -64 ... 64 at which a tensor with these extremes fits words of `bits` bits, times 2**s.

    Fits: high * 2**s <= 2**(bits-1) - 1/2 and low * 2**s >= -2**(bits-1) - 1/2, so that rounding to nearest does not
    saturate but at the very edge. A bound counts only on its own side of zero; a tensor of zeros has s = 0.

    Source: Rajagopal et al. 2020, equation 2, decided by exact comparison.
    """
    top = Fraction(2 ** (bits - 1))
    half = Fraction(1, 2)
    exponents = []
    if high > 0:
        exponents.append(_floor_log2((top - half) / Fraction(high)))
    if low < 0:
        exponents.append(_floor_log2((top + half) / -Fraction(low)))
    return max(-SCALES, min(SCALES, *exponents)) if exponents else 0


def _floor_log2(x: Fraction) -> int:
    estimate = x.numerator.bit_length() - x.denominator.bit_length()
    return estimate if Fraction(2) ** estimate <= x else estimate - 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RangedNumerics:
    """The quantizers of one layer whose grids follow its tensors.

    weight, activation: of the operands; both Plain: the layer computes in float32, and nothing else is used.
    bias: None: as the weight, over the whole tensor.
    output: of the result; None: the sum, rounded once to the float tensor's type.
    grad_output: of the output's gradient, for the gradient of the input.
    grad_copy: of a second copy of the output's gradient, for the gradients of weight and bias; None: the first serves.
    grad_input: of the input's gradient; None: as `output`.
    evaluation_bits: of weight and activation in evaluation; None: those of training.
    momentum: share of the old value in the running range of activations, which evaluation uses.

    Raises ValueError where only one operand is Plain, an activation or gradient has a range for each channel, or
    anything but an activation a power of two for each sample.
    """

    weight: RangeQuantizer
    activation: RangeQuantizer
    bias: RangeQuantizer | None = None
    output: Block | None = None
    grad_output: RangeQuantizer
    grad_copy: RangeQuantizer | None = None
    grad_input: Block | None = None
    evaluation_bits: int | None = None
    momentum: Fraction = Fraction(9, 10)

    def __post_init__(self) -> None:
        plain = [isinstance(each, Plain) for each in (self.weight, self.activation, self.grad_output)]
        if any(plain) != all(plain):
            raise ValueError(
                f"RangedNumerics: weight is {self.weight}, activation {self.activation}, grad_output "
                f"{self.grad_output}; quantize all three, or none"
            )
        for name in ("activation", "grad_output", "grad_copy", "bias"):
            quantizer = getattr(self, name)
            if isinstance(quantizer, Affine) and quantizer.over == "channel":
                raise ValueError(f"RangedNumerics: {name} is {quantizer}; only weights have a range for each channel")
        for name in ("weight", "bias", "output", "grad_output", "grad_copy", "grad_input"):
            quantizer = getattr(self, name)
            if isinstance(quantizer, Block) and quantizer.over == "sample":
                raise ValueError(
                    f"RangedNumerics: {name} is {quantizer}; only activations have a power of two a sample"
                )
        if not 0 <= self.momentum < 1:
            raise ValueError(f"RangedNumerics: momentum is {self.momentum}; give 0 or more, below 1")

    @property
    def is_float(self) -> bool:
        """Whether the layer computes in float32."""
        return isinstance(self.weight, Plain)

    @property
    def bias_quantizer(self) -> RangeQuantizer:
        """How a bias is quantized."""
        if self.bias is not None:
            return self.bias
        return replace(self.weight, over="tensor") if isinstance(self.weight, Affine) else self.weight

    def evaluated(self) -> RangedNumerics:
        """What holds in evaluation."""
        bits = self.evaluation_bits
        if bits is None:
            return self
        return replace(self, weight=self.weight.with_bits(bits), activation=self.activation.with_bits(bits))

    def to_text(self) -> str:
        """Canonical JSON of the fields that are given; `RangedNumerics.from_text(n.to_text()) == n`."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps({name: str(value) for name, value in given.items() if value is not None})

    @staticmethod
    def from_text(text: str) -> RangedNumerics:
        """The record that `to_text` wrote.

        Raises ValueError for any other text.
        """
        return _from_text(text)


@lru_cache(maxsize=4096)
def _from_text(text: str) -> RangedNumerics:
    known = {field.name for field in fields(RangedNumerics)}
    given = json.loads(text)
    if not isinstance(given, dict) or not given.keys() <= known:
        raise ValueError(f"RangedNumerics: {text!r}: an object with some of {', '.join(sorted(known))} is needed")
    values: dict[str, Any] = {name: parse_range(value) for name, value in given.items() if name not in _NUMBERS}
    values |= {name: kind(given[name]) for name, kind in _NUMBERS.items() if name in given}
    return RangedNumerics(**values)


_NUMBERS: Final[dict[str, type[int | Fraction]]] = {"evaluation_bits": int, "momentum": Fraction}

_FORMS: Final = re.compile(
    r"(affine)\((\d+),(\w+),(\d+)\)|(block)\((\d+),(\d+)(?:,(\w+))?\)|(float32)"
)  # groups 1 to 4, 5 to 8, 9


def parse_range(text: str) -> RangeQuantizer:
    """The quantizer whose text this is: "affine(8,tensor,16)", "block(8,16)", "block(8,16,sample)" or "float32".

    Raises ValueError for any other text.
    """
    found = _FORMS.fullmatch(text)
    if found is None:
        raise ValueError(
            f"range quantizer {text!r} is unknown; write affine(bits,over,random bits), block(bits,random bits) or "
            f"float32"
        )
    if found[1]:
        over = next((each for each in OVERS if each == found[3]), None)
        if over is None:
            raise ValueError(f"Affine: over is {found[3]!r}; give one of {', '.join(OVERS)}")
        return Affine(int(found[2]), over, int(found[4]))
    if not found[5]:
        return Plain()
    apart = next((each for each in BLOCK_OVERS if each == (found[8] or "tensor")), None)
    if apart is None:
        raise ValueError(f"Block: over is {found[8]!r}; give one of {', '.join(BLOCK_OVERS)}")
    return Block(int(found[6]), int(found[7]), apart)


def _check_bits(name: str, bits: int, least: int) -> None:
    if not least <= bits <= WIDEST:
        raise ValueError(f"{name}: bits is {bits}; give {least} to {WIDEST}")


def _check_random_bits(name: str, bits: int) -> None:
    if not 0 <= bits <= 32:
        raise ValueError(f"{name}: random_bits is {bits}; give 0 for nearest even, or 1 to 32")
