"""A machine: an engine, its memory, its clock and what its operations take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from fxsim.accumulator import Accumulator
from fxsim.cost.accelerators.checks import require_count
from fxsim.cost.accelerators.energy import EnergyTable, energy_table
from fxsim.cost.accelerators.engine import Engine, Timing
from fxsim.cost.accelerators.memory import Memory, Traffic, dram_traffic, operands, sram_accesses
from fxsim.cost.accelerators.stalls import stall_cycles
from fxsim.cost.accelerators.text import from_toml, to_toml
from fxsim.cost.columns import Ints, ceil_div, product
from fxsim.cost.cost import Cost, GemmCost
from fxsim.cost.counts import Counts
from fxsim.cost.evaluation import evaluate
from fxsim.cost.report import Report
from fxsim.cost.widths import FLOAT_BITS, bits
from fxsim.cost.windows import Window
from fxsim.cost.work import Work
from fxsim.formats import Format

_ROWS_AT_ONCE: Final = 16384  # columns of this length stay in the cache: a third faster than all rows at once


@final
@dataclass(frozen=True, slots=True)
class Accelerator:
    """The description of a machine that does GEMMs, one after the other.

    name: for reports.
    engine: the part that multiplies: one of `engines.ENGINES`.
    memory: buffers and main memory.
    clock_hz: cycles a second, None if they are not turned into time.
    energy: what operations take.
    accumulator: format and modes of the registers that sum, and of one that products are brought into first; the order
        of the sum is the engine's. Sums take the width named here, or, where none is, that of the work's accumulator.
    sources: where each number of the description is from, as (part, text).

    Raises:
        TypeError, ValueError: a part is of the wrong kind, or the accumulator says in which order to sum.
    """

    name: str
    engine: Engine
    memory: Memory = field(default_factory=Memory)
    clock_hz: int | None = None
    energy: EnergyTable = field(default_factory=energy_table)
    accumulator: Accumulator = field(default_factory=Accumulator)
    sources: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name, kind in (
            ("name", str),
            ("engine", Engine),
            ("memory", Memory),
            ("energy", EnergyTable),
            ("accumulator", Accumulator),
        ):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"Accelerator: {name} = {getattr(self, name)!r}: a {kind.__name__} is needed")
        if self.clock_hz is not None:
            require_count("Accelerator", "clock_hz", self.clock_hz, 10**12)
        given = self.accumulator
        if given != Accumulator(given.format, given.rounding, given.overflow, product=given.product):
            raise ValueError(
                f"Accelerator: accumulator = {given}: give format, rounding, overflow and product only; "
                f"how products are grouped follows from the engine"
            )

    def price(self, work: Work) -> Cost:
        """What each row of the work costs.

        Raises:
            DetailError: the engine's cycles follow from values that were not counted; the text names the level.
            ValueError: the engine cannot do one of the GEMMs.
            OverflowError: a number reaches 2**60.
        """
        if work.detail is not None or len(work) <= _ROWS_AT_ONCE:
            return self._price(work)
        starts = range(0, len(work), _ROWS_AT_ONCE)
        return Cost.join([self._price(work.slice(start, start + _ROWS_AT_ONCE)) for start in starts])

    def evaluate(self, counts: Counts | Sequence[Window]) -> Report:
        """What counted products cost, by layer, pass and format; over time too if the counts are windows of a training.

        Example: `fx.accelerators.systolic(32, 32, "os").evaluate(counts).total.cycles`.

        Raises:
            As `price`; ValueError: no record multiplies.
        """
        return evaluate(self, counts)

    def gemm(self, m: int, n: int, k: int, a: str | Format = "<8,0>", b: str | Format = "<8,0>") -> GemmCost:
        """What one GEMM (m, k) by (k, n) costs, without zeros, its outputs as wide as its wider operand.

        a, b: formats of the operands or their texts, "fp32" among them.

        Raises:
            As `price`; ValueError: a text names no format.
        """
        a, b = str(a), str(b)
        widths = {"a_bits": bits(a), "b_bits": bits(b)}
        work = Work.dense(m, n, k, **widths, a_float=a in FLOAT_BITS, b_float=b in FLOAT_BITS)
        return self.price(work).row(0)

    def arithmetic(self, a: str | Format = "<8,0>", b: str | Format = "<8,0>") -> Accumulator:
        """The `Accumulator` with which fxsim's kernels sum as this machine does, for operands of these formats.

        Cycles belong to it: with another one, bits and cycles are those of different machines.
        """
        return self.engine.arithmetic(self.accumulator, bits(str(a)), bits(str(b)))

    def to_toml(self) -> str:
        """A description that `from_toml` reads back equal; takes tomli-w, which comes with fxsim[cli]."""
        return to_toml(self)

    @staticmethod
    def from_toml(text: str) -> Accelerator:
        """The accelerator that a text describes.

        Raises:
            ValueError: the text is not TOML, or a key or value is not accepted.
        """
        return Accelerator(**from_toml(text))

    def _price(self, counted: Work) -> Cost:
        register = self.accumulator.format
        width = register.wl if isinstance(register, Format) else register
        work = counted if width is None else counted.summed_in(width)
        timing = self.engine.timing(work)
        of = operands(self.memory, work, timing)
        stalls = product("stalls", stall_cycles(self.memory, timing, of), work.gemms)
        cycles = timing.compute + timing.fill_drain + stalls
        dram, sram = dram_traffic(work, timing, of), sram_accesses(work, timing)
        sram_a = product("sram bits a", sram.reads_a, work.a_bits)
        sram_b = product("sram bits b", sram.reads_b, work.b_bits)
        sram_out = product("sram bits out", sram.writes - sram.partial_sums, work.out_bits)
        sram_psum = product("sram bits psum", 2 * sram.partial_sums, work.acc_bits)
        per_bit, memory = self.energy.sram_pj_per_bit, self.memory
        return Cost(
            cycles=cycles,
            compute_cycles=timing.compute,
            fill_drain_cycles=timing.fill_drain,
            stall_cycles=stalls,
            last_index=cycles - 1,
            folds=product("folds", timing.folds, work.gemms),
            mapping_efficiency=timing.mapping_efficiency,
            utilization=work.macs / (np.maximum(cycles, 1) * timing.peak),
            sram_reads_a=sram.reads_a,
            sram_reads_b=sram.reads_b,
            sram_writes=sram.writes,
            sram_bits_a=sram_a,
            sram_bits_b=sram_b,
            sram_bits_out=sram_out,
            sram_bits_psum=sram_psum,
            dram_bits_a=dram.a,
            dram_bits_b=dram.b,
            dram_bits_out=dram.out,
            dram_bits_psum=dram.psum,
            energy_mac_pj=self.energy.mac_pj(work, self.engine.multiplications(work)),
            energy_sram_pj=sram_a * per_bit(memory.sram_a_bits)
            + sram_b * per_bit(memory.sram_b_bits)
            + (sram_out + sram_psum) * per_bit(memory.sram_out_bits),
            energy_dram_pj=np.multiply(dram.a + dram.b + dram.out + dram.psum, self.energy.dram, dtype=np.float64),
            binding=self._binding(timing, dram),
        )

    def _binding(self, timing: Timing, dram: Traffic) -> Ints:
        """The index of the largest of compute, fill and drain, and transfer cycles, as in BINDINGS."""
        rate, half = self.memory.dram_bits_per_cycle, dram.psum // 2  # partial sums go out and come back
        coming, going = dram.a + dram.b + half, dram.out + half
        moving = coming + going if self.memory.ports == "shared" else np.maximum(coming, going)
        transfer = np.zeros_like(moving) if rate is None else ceil_div(moving, rate)
        return np.asarray(np.argmax(np.stack([timing.compute, timing.fill_drain, transfer]), axis=0), np.int64)
