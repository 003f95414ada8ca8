"""What work costs on an accelerator: one number of each kind for each row."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, final

import numpy as np

from fxsim.cost.columns import Ints, Reals, frozen_ints, frozen_reals

_Int = TypeVar("_Int")
_Real = TypeVar("_Real")
_Binding = TypeVar("_Binding")

BINDINGS: Final = ("compute", "fill_drain", "dram")
"""What a row's cycles are mostly spent on, or waiting for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fields(Generic[_Int, _Real, _Binding]):
    """The cost of a row, over all its groups and calls, which run one after the other.

    cycles: clock edges from the first operand at the array's edge to the last result leaving it, waits for memory
        included: compute_cycles + fill_drain_cycles + stall_cycles.
    compute_cycles: folds times the steps of a fold, in which the array takes operands.
    fill_drain_cycles: the rest of what the array takes where memory never keeps it waiting.
    stall_cycles: waits for memory.
    last_index: cycles - 1, the number of the last cycle if the first is 0; what SCALE-Sim calls "Total Cycles".
    folds: pieces that the GEMMs are cut into.
    mapping_efficiency: the part of the array that a fold occupies, on average: 0 to 1.
    utilization: macs as a part of what the array could do in `cycles` at these word lengths; above 1 only where it
        skips work.
    sram_reads_a, sram_reads_b, sram_writes: words between array and buffers; writes are of outputs and partial sums.
    sram_bits_a, sram_bits_b, sram_bits_out, sram_bits_psum: the same in bits; partial sums written and read again.
    dram_bits_a, dram_bits_b, dram_bits_out, dram_bits_psum: bits between buffers and main memory.
    energy_mac_pj, energy_sram_pj, energy_dram_pj: picojoules.
    binding: the largest of compute cycles, fill and drain cycles, and cycles of main memory traffic; in columns an
        index into BINDINGS.
    """

    cycles: _Int
    compute_cycles: _Int
    fill_drain_cycles: _Int
    stall_cycles: _Int
    last_index: _Int
    folds: _Int
    mapping_efficiency: _Real
    utilization: _Real
    sram_reads_a: _Int
    sram_reads_b: _Int
    sram_writes: _Int
    sram_bits_a: _Int
    sram_bits_b: _Int
    sram_bits_out: _Int
    sram_bits_psum: _Int
    dram_bits_a: _Int
    dram_bits_b: _Int
    dram_bits_out: _Int
    dram_bits_psum: _Int
    energy_mac_pj: _Real
    energy_sram_pj: _Real
    energy_dram_pj: _Real
    binding: _Binding


COST_COLUMNS: Final = tuple(field.name for field in dataclasses.fields(_Fields))
"""Names of the columns of a `Cost`, in order."""

REAL_COLUMNS: Final = frozenset(
    ("mapping_efficiency", "utilization", "energy_mac_pj", "energy_sram_pj", "energy_dram_pj")
)
"""The float64 ones; the others are int64."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GemmCost(_Fields[int, float, str]):
    """The cost of a single row, in plain numbers; `binding` is one of BINDINGS."""

    @property
    def energy_pj(self) -> float:
        """Energy of multiply-accumulates, buffers and main memory together."""
        return self.energy_mac_pj + self.energy_sram_pj + self.energy_dram_pj


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cost(_Fields[Ints, Reals, Ints]):
    """The costs of a `Work`, read-only columns with one entry for each of its rows."""

    def __post_init__(self) -> None:
        for name in COST_COLUMNS:
            freeze = frozen_reals if name in REAL_COLUMNS else frozen_ints
            object.__setattr__(self, name, freeze(f"Cost: {name}", getattr(self, name)))

    def __len__(self) -> int:
        return len(self.cycles)

    @property
    def energy_pj(self) -> Reals:
        """Energy of multiply-accumulates, buffers and main memory together."""
        return self.energy_mac_pj + self.energy_sram_pj + self.energy_dram_pj

    def row(self, index: int) -> GemmCost:
        """One row's cost in plain numbers."""
        values = {name: getattr(self, name)[index].item() for name in COST_COLUMNS}
        return GemmCost(**{**values, "binding": BINDINGS[values["binding"]]})

    @staticmethod
    def join(parts: Sequence[Cost]) -> Cost:
        """The rows of several costs, one behind the other."""
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COST_COLUMNS}
        return Cost(**columns)
