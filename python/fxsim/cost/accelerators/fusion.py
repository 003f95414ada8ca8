"""Bit Fusion: units that join 2-bit multipliers into products as wide as the operands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final, final

import numpy as np

from fxsim.accumulator import Accumulator
from fxsim.cost.accelerators.checks import require_choice, require_count
from fxsim.cost.accelerators.engine import Engine, Multiplications, Timing, tiled
from fxsim.cost.columns import Ints, ceil_div, product
from fxsim.cost.work import Work

LOWERINGS: Final = ("direct", "im2col")

_UNIT_BITS: Final = 64
"""A unit multiplies 8 by 8 bits a cycle, or 64 / (p(a) p(b)) products of p(a) by p(b)."""


def padded_bits(bits: Ints) -> Ints:
    """p(b) = 2^⌈log2 max(b, 2)⌉: what a unit takes an operand of b bits for."""
    exponents = np.ceil(np.log2(np.maximum(bits, 2))).astype(np.int64)  # exact: log2 of 2 to 64 in float64
    return np.left_shift(np.int64(1), exponents)


@final
@dataclass(frozen=True, slots=True)
class BitFusion(Engine):
    """R rows of C fusion units; a column of units works on one output channel, its rows and lanes on input channels.

    Products a unit and cycle: pf = (8 / p(a)) (8 / p(b)), a fraction above 8 bits. Cycles of a GEMM:

        direct  M * kernel_h * kernel_w * ⌈N / C⌉ * ⌈c_in / (R pf)⌉      a convolution, tap by tap
        im2col  M * ⌈N / C⌉ * ⌈K / (R pf)⌉                               the same for linear layers

    rows, columns: R and C. lowering: direct or im2col.
    window: rows of the GEMM whose partial sums the output buffer holds at a time; the next fetch the weights again.

    Source: Sharma, Park, Suda, Lai, Chau, Chandra and Esmaeilzadeh, "Bit Fusion: Bit-level dynamically composable
    architecture for accelerating deep neural networks", ISCA 2018; cycles as the authors' simulator counts them,
    without fill and drain, continued above 8 bits.
    """

    kind: ClassVar = "bitfusion"

    rows: int
    columns: int
    lowering: str = "direct"
    window: int = 64

    def __post_init__(self) -> None:
        require_count("BitFusion", "rows", self.rows)
        require_count("BitFusion", "columns", self.columns)
        require_count("BitFusion", "window", self.window)
        require_choice("BitFusion", "lowering", self.lowering, LOWERINGS)

    def timing(self, work: Work) -> Timing:
        products_bits = padded_bits(work.a_bits) * padded_bits(work.b_bits)
        taps = product("taps", work.kernel_h, work.kernel_w) if self.lowering == "direct" else np.ones_like(work.k)
        channels = work.c_in if self.lowering == "direct" else work.k
        # channels / (rows * pf), with pf = _UNIT_BITS / products_bits
        parts = ceil_div(product("channels", channels, products_bits), self.rows * _UNIT_BITS)
        sums = product("partial sums", taps, parts)
        fc = ceil_div(work.n, self.columns)
        total = product("cycles", work.m, fc, sums, work.gemms)
        lanes = self.rows * _UNIT_BITS / products_bits
        return tiled(
            work,
            self.window,
            self.columns,
            mapping_efficiency=channels / (parts * lanes) * work.n / (fc * self.columns),
            peak=np.asarray(lanes * self.columns, np.float64),
            total=total,
            sums=sums,
        )

    def multiplications(self, work: Work) -> Multiplications:
        return Multiplications(count=work.macs, a_bits=padded_bits(work.a_bits), b_bits=padded_bits(work.b_bits))

    def arithmetic(self, register: Accumulator, a_bits: int, b_bits: int, /) -> Accumulator:
        """A column's R pf products are one sum (at 16 x 16 bits that of R / 4), added to a register."""
        lanes = max(self.rows * _UNIT_BITS // int(np.prod(padded_bits(np.array([a_bits, b_bits])))), 1)
        return replace(register, lanes=lanes)
