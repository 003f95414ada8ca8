"""What priced work comes to: sums of counts and costs, and the ratios made of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Self, final

from fxsim.cost.cost import BINDINGS
from fxsim.cost.widths import FLOAT32_BIT_OPERATIONS


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Sums over rows; every field may be added to another's, and the unit is in its name.

    calls: executions. macs, pad_macs, zero_macs: as in `OpCounts`. effective_macs: those without a zero, its nz_macs.
    bit_operations: the sum of macs * bits of a * bits of b.
    cycles: compute_cycles + fill_drain_cycles + stall_cycles, as in `Cost`.
    capacity_macs: multiply-accumulates that the array could do in `cycles` at these word lengths.
    mapped_cycles: compute cycles, weighed with the part of the array that is in use.
    *_bound_cycles: cycles of rows that are bound by compute, by fill and drain, by main memory.
    sram_*_bits, dram_*_bits: traffic of operand a, operand b, outputs, partial sums.
    energy_*_pj: picojoules of multiply-accumulates, buffers, main memory.
    overflow_events: of products, steps, preloads and outputs. output_overflows: of outputs alone.
    outputs: elements written.
    """

    calls: int = 0
    macs: int = 0
    pad_macs: int = 0
    zero_macs: int = 0
    effective_macs: int = 0
    bit_operations: int = 0
    cycles: int = 0
    compute_cycles: int = 0
    fill_drain_cycles: int = 0
    stall_cycles: int = 0
    compute_bound_cycles: int = 0
    fill_drain_bound_cycles: int = 0
    dram_bound_cycles: int = 0
    capacity_macs: float = 0.0
    mapped_cycles: float = 0.0
    sram_a_bits: int = 0
    sram_b_bits: int = 0
    sram_out_bits: int = 0
    sram_psum_bits: int = 0
    dram_a_bits: int = 0
    dram_b_bits: int = 0
    dram_out_bits: int = 0
    dram_psum_bits: int = 0
    energy_mac_pj: float = 0.0
    energy_sram_pj: float = 0.0
    energy_dram_pj: float = 0.0
    overflow_events: int = 0
    output_overflows: int = 0
    outputs: int = 0

    @classmethod
    def total(cls, parts: Iterable[Figures]) -> Self:
        """The sum of figures."""
        kept = tuple(parts)
        values: dict[str, Any] = {
            name: (sum if name in INTEGERS else math.fsum)(getattr(each, name) for each in kept) for name in ADDITIVE
        }
        return cls(**values)

    @property
    def cpt_effective_macs(self) -> float:
        """bit_operations / 32^2: multiply-accumulates of float32 that have as many. Source: Fu et al., CPT, 2021."""
        return self.bit_operations / FLOAT32_BIT_OPERATIONS

    @property
    def utilization(self) -> float:
        """macs as a part of what the array could do in these cycles; nan without cycles."""
        return _ratio(self.macs, self.capacity_macs)

    @property
    def mapping_efficiency(self) -> float:
        """The part of the array in use while it computes; nan without cycles."""
        return _ratio(self.mapped_cycles, self.compute_cycles)

    @property
    def sram_bits(self) -> int:
        """Bits between array and buffers."""
        return self.sram_a_bits + self.sram_b_bits + self.sram_out_bits + self.sram_psum_bits

    @property
    def dram_bits(self) -> int:
        """Bits between buffers and main memory."""
        return self.dram_a_bits + self.dram_b_bits + self.dram_out_bits + self.dram_psum_bits

    @property
    def energy_pj(self) -> float:
        """Picojoules of everything."""
        return self.energy_mac_pj + self.energy_sram_pj + self.energy_dram_pj

    @property
    def macs_per_cycle(self) -> float:
        """nan without cycles."""
        return _ratio(self.macs, self.cycles)

    @property
    def macs_per_dram_bit(self) -> float:
        """What a roofline has along its foot; nan without traffic."""
        return _ratio(self.macs, self.dram_bits)

    @property
    def overflow_rate(self) -> float:
        """Overflow events per multiply-accumulate; nan without."""
        return _ratio(self.overflow_events, self.macs)

    @property
    def output_overflow_rate(self) -> float:
        """Overflowed outputs as a part of the outputs; nan without."""
        return _ratio(self.output_overflows, self.outputs)

    @property
    def binding(self) -> str:
        """What most cycles belong to: one of BINDINGS."""
        by_name = {name: getattr(self, f"{name}_bound_cycles") for name in BINDINGS}
        return max(by_name, key=by_name.__getitem__)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


ADDITIVE: Final = tuple(field.name for field in dataclasses.fields(Figures))
"""The fields, in order."""

REALS: Final = frozenset(("capacity_macs", "mapped_cycles", "energy_mac_pj", "energy_sram_pj", "energy_dram_pj"))
INTEGERS: Final = frozenset(ADDITIVE) - REALS

DERIVED: Final = (
    "cpt_effective_macs",
    "utilization",
    "mapping_efficiency",
    "sram_bits",
    "dram_bits",
    "energy_pj",
    "macs_per_cycle",
    "macs_per_dram_bit",
    "overflow_rate",
    "output_overflow_rate",
    "binding",
)
"""What follows from the fields, in order."""


def cells(figures: Figures) -> dict[str, int | float | str]:
    """Fields and what follows from them, by name."""
    return {name: getattr(figures, name) for name in (*ADDITIVE, *DERIVED)}
