"""How long an array waits for double-buffered main memory: a sum over folds, in closed form.

While fold t computes, the operands of fold t + 1 come in and the results of fold t - 1 go out:

    cycles = in_0 + Σ_t max(step_t, in_(t+1) + out_(t-1)) + out_last        (separate ports: max of the three)

Folds differ only by where they lie: in the first, an inner, the last but one or the last place along the rows, and
likewise along the columns. So sixteen folds of a GEMM stand for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from fxsim.cost.accelerators.engine import Timing
from fxsim.cost.accelerators.memory import Memory, Operands
from fxsim.cost.columns import Flags, Ints, ceil_div, product


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """What belongs to each of the folds along one direction: the same for all but the last, which takes the rest."""

    count: Ints
    full: Ints
    last: Ints

    @staticmethod
    def of(bits: Ints, extent: Ints, block: Ints, count: Ints) -> _Parts:
        full = product("blocks", bits, block) // extent
        return _Parts(count, full, bits - (count - 1) * full)

    def at(self, place: Ints) -> Ints:
        return np.where(place == self.count - 1, self.last, self.full)


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Tiles:
    """Bits of a matrix cut along both directions: those of the row folds before the last, and of the last."""

    rows: Ints
    full: _Parts
    last: _Parts

    @staticmethod
    def of(bits: Ints, t: Timing) -> _Tiles:
        rows = _Parts.of(bits, t.sr, t.row_block, t.fr)
        parts = (_Parts.of(each, t.sc, t.column_block, t.fc) for each in (rows.full, rows.last))
        return _Tiles(t.fr, *parts)

    def at(self, i: Ints, j: Ints) -> Ints:
        return np.where(i == self.rows - 1, self.last.at(j), self.full.at(j))


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Folds:
    """The transfers of the fold at row fold i and column fold j, in bits.

    os: rows of a and columns of b come in, a tile of outputs goes out. ws, is: the rows of what moves and a tile of
    what stays come in, columns of outputs go out after the last row fold, and of partial sums before, if they spill.
    """

    timing: Timing
    rows: _Parts
    rows_once: Flags
    columns: _Parts
    columns_once: Flags
    tiles: _Tiles
    spilled: _Parts

    @staticmethod
    def of(timing: Timing, of: Operands) -> _Folds:
        t = timing
        moving, staying, once = (of.b, of.a, of.b_once) if t.dataflow == "is" else (of.a, of.b, of.a_once)
        columns, tiles = (of.b, of.out) if t.dataflow == "os" else (of.out, staying)
        return _Folds(
            t,
            _Parts.of(moving, t.sr, t.row_block, t.fr),
            once,
            _Parts.of(columns, t.sc, t.column_block, t.fc),
            of.b_once,
            _Tiles.of(tiles, t),
            _Parts.of(np.where(of.psum_spills, of.psum, 0), t.sc, t.column_block, t.fc),
        )

    def incoming(self, i: Ints, j: Ints) -> Ints:
        rows = _kept(self.rows_once, j == 0, self.rows.at(i))
        if self.timing.dataflow == "os":
            return rows + _kept(self.columns_once, i == 0, self.columns.at(j))
        return rows + self.tiles.at(i, j) + np.where(i == 0, 0, self.spilled.at(j))

    def outgoing(self, i: Ints, j: Ints) -> Ints:
        if self.timing.dataflow == "os":
            return self.tiles.at(i, j)
        return np.where(i == self.timing.fr - 1, self.columns.at(j), self.spilled.at(j))


def _kept(once: Flags, first: Flags, bits: Ints) -> Ints:
    """What is fetched: everything, or nothing where it has been there since the first fold."""
    return np.where(once & ~first, 0, bits)


def _places(count: Ints) -> list[tuple[Ints, Ints]]:
    """Four places of 0 ... count - 1 and how many each stands for: first, inner, last but one, last."""
    zero = np.zeros_like(count)
    return [
        (zero, zero + 1),
        (zero + 1, np.maximum(count - 3, 0)),
        (count - 2, (count >= 3).astype(np.int64)),
        (count - 1, (count >= 2).astype(np.int64)),
    ]


def stall_cycles(memory: Memory, timing: Timing, of: Operands) -> Ints:
    """Waits of one GEMM of each row; 0 without a limit of the rate.

    Source: the double-buffered pipeline of SCALE-Sim (Samajdar et al., ISPASS 2020), summed anew.
    """
    if memory.dram_bits_per_cycle is None:
        return np.zeros_like(timing.step)
    folds, rate = _Folds.of(timing, of), memory.dram_bits_per_cycle
    fr, fc = timing.fr, timing.fc
    first, last_i, last_j = np.zeros_like(fr), fr - 1, fc - 1
    total = ceil_div(folds.incoming(first, first), rate) + ceil_div(folds.outgoing(last_i, last_j), rate)
    for j, columns in _places(fc):
        for i, rows in _places(fr):
            is_first, is_last = (i == 0) & (j == 0), (i == last_i) & (j == last_j)
            coming = folds.incoming(np.where(i == last_i, 0, i + 1), np.where(i == last_i, j + 1, j))
            going = folds.outgoing(np.where(i == 0, last_i, i - 1), np.where(i == 0, j - 1, j))
            coming = ceil_div(np.where(is_last, 0, coming), rate)
            going = ceil_div(np.where(is_first, 0, going), rate)
            moving = coming + going if memory.ports == "shared" else np.maximum(coming, going)
            step = np.where(is_last, timing.tail, timing.step)
            total = total + product("stalls", np.maximum(moving - step, 0), rows, columns)
    return total
