"""Arrays that take one or both operands bit by bit, with word lengths known in advance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np

from fxsim.accumulator import Accumulator
from fxsim.cost.accelerators.checks import require_count
from fxsim.cost.accelerators.engine import Engine, Multiplications, Timing, filled, tiled
from fxsim.cost.columns import ceil_div, product
from fxsim.cost.work import Work


@final
@dataclass(frozen=True, slots=True)
class BitSerial(Engine):
    """`windows` rows of operand a times `filters` columns of operand b at once, `lanes` products of each.

    Cycles: ⌈M / windows⌉ * ⌈N / filters⌉ * ⌈K / lanes⌉ * S_a * S_b, with S = ⌈word length / bits a cycle⌉ of each side.
    A serial side takes 1 bit a cycle, a parallel one as many as its wires.

    a_bits_per_cycle, b_bits_per_cycle: 1 and 16 is Stripes (serial activations), 16 and 1 UNPU (serial weights), 1 and
    1 Loom, 2 or 4 and 1 its faster variants.

    Source: Judd, Albericio, Hetherington, Aamodt and Moshovos, "Stripes: Bit-serial deep neural network computing",
    MICRO 2016; Lee et al., "UNPU: An energy-efficient deep neural network accelerator with fully variable weight bit
    precision", JSSC 54(1), 2019; Sharify, Delmas Lascorz, Siu, Judd and Moshovos, "Loom: Exploiting weight and
    activation precisions to accelerate convolutional neural networks", DAC 2018.
    """

    kind: ClassVar = "bitserial"

    windows: int
    filters: int
    lanes: int
    a_bits_per_cycle: int
    b_bits_per_cycle: int

    def __post_init__(self) -> None:
        for name in ("windows", "filters", "lanes"):
            require_count("BitSerial", name, getattr(self, name))
        for name in ("a_bits_per_cycle", "b_bits_per_cycle"):
            require_count("BitSerial", name, getattr(self, name), 64)

    def timing(self, work: Work) -> Timing:
        serial = ceil_div(work.a_bits, self.a_bits_per_cycle) * ceil_div(work.b_bits, self.b_bits_per_cycle)
        fr, fc, parts = ceil_div(work.m, self.windows), ceil_div(work.n, self.filters), ceil_div(work.k, self.lanes)
        return tiled(
            work,
            self.windows,
            self.filters,
            total=product("cycles", fr, fc, parts, serial, work.gemms),
            mapping_efficiency=filled(work.m, self.windows) * filled(work.n, self.filters) * filled(work.k, self.lanes),
            peak=np.asarray(self.windows * self.filters * self.lanes / serial, np.float64),
        )

    def multiplications(self, work: Work) -> Multiplications:
        return Multiplications(count=work.macs, a_bits=work.a_bits, b_bits=work.b_bits)

    def arithmetic(self, register: Accumulator, _a_bits: int, _b_bits: int, /) -> Accumulator:
        """An adder tree sums `lanes` products, which enter the register as one step."""
        return replace(register, lanes=self.lanes)
