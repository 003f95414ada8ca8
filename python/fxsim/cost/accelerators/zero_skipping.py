"""An output-stationary array that skips products with a zero factor, in lock step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

import numpy as np

from fxsim.accumulator import Accumulator
from fxsim.cost.accelerators.checks import require_choice, require_count
from fxsim.cost.accelerators.engine import Engine, Multiplications, Timing, filled, tiled
from fxsim.cost.columns import Ints, ceil_div, product
from fxsim.cost.detail import DetailError
from fxsim.cost.work import Work

SIDES: Final = ("a", "b", "both")


@final
@dataclass(frozen=True, slots=True)
class Skipping(Engine):
    """R rows of C elements, element (i, j) summing output (i, j); a fold lasts as long as its slowest element.

    sides: whose zeros are skipped. a, b: an element takes a cycle for each non-zero of its row of operand a, of its
    column of operand b; both: for each product with two non-zero factors. Zeros of padding are skipped like others.

    Cycles: the sum over folds of the maximum over elements. No time is taken for finding non-zeros, nor for filling and
    draining: this is the bound that a real array with this synchronisation approaches.

    Source: skipping in lock step as in Albericio, Judd, Hetherington, Aamodt, Enright Jerger and Moshovos, "Cnvlutin:
    Ineffectual-neuron-free deep neural network computing", ISCA 2016 (one side), and Parashar et al., "SCNN", ISCA 2017
    (both), on the array of this package.
    """

    kind: ClassVar = "skipping"

    rows: int
    columns: int
    sides: str = "a"

    def __post_init__(self) -> None:
        require_count("Skipping", "rows", self.rows)
        require_count("Skipping", "columns", self.columns)
        require_choice("Skipping", "sides", self.sides, SIDES)

    def timing(self, work: Work) -> Timing:
        fr, fc = ceil_div(work.m, self.rows), ceil_div(work.n, self.columns)
        total = self._slowest(work, fr, fc)
        return tiled(
            work,
            self.rows,
            self.columns,
            mapping_efficiency=filled(work.m, self.rows) * filled(work.n, self.columns),
            peak=np.full(len(work), self.rows * self.columns, np.float64),
            total=total,
        )

    def _slowest(self, work: Work, fr: Ints, fc: Ints) -> Ints:
        """Over all folds of all GEMMs of each row, the sum of the slowest element's products."""
        entries, one = self._entries(work), np.ones_like(work.m)
        match self.sides:
            case "a":
                return product("cycles", self._maxima(work, entries, work.m, one), fc)
            case "b":
                return product("cycles", self._maxima(work, entries, one, work.n), fr)
            case _:
                return self._maxima(work, entries, work.m, work.n)

    def _entries(self, work: Work) -> Ints:
        name, level = {"a": ("a_row_nnz", 1), "b": ("b_column_nnz", 1), "both": ("pair_nnz", 2)}[self.sides]
        entries: Ints | None = None if work.detail is None else getattr(work.detail, name)
        if entries is None:
            raise DetailError(
                f"Skipping: cycles with sides = {self.sides!r} follow from {name}; count at level {level}: "
                f"fx.count(level={level}), or choose zero gating, which needs nothing but counts"
            )
        return entries

    def _maxima(self, work: Work, entries: Ints, m: Ints, n: Ints) -> Ints:
        """For each row, the sum over blocks of rows x columns of (GEMMs, m, n) entries of the largest entry."""
        sums, start = np.zeros_like(work.m), 0
        for row, (gemms, height, width) in enumerate(zip(work.gemms, m, n, strict=True)):
            stop = start + gemms * height * width
            block = entries[start:stop].reshape(gemms, height, width)
            block = np.maximum.reduceat(block, np.arange(0, height, self.rows), axis=1)
            sums[row] = np.maximum.reduceat(block, np.arange(0, width, self.columns), axis=2).sum()
            start = stop
        return sums

    def multiplications(self, work: Work) -> Multiplications:
        """Products that are done: the non-zero ones, and those whose zero is on the side that is not looked at."""
        if self.sides == "both":
            return Multiplications(count=work.nz_macs, a_bits=work.a_bits, b_bits=work.b_bits)
        along, across = (work.m, work.n) if self.sides == "a" else (work.n, work.m)
        ends = np.cumsum(product("entries", along, work.gemms))
        totals = np.concatenate(([0], np.cumsum(self._entries(work))))[np.concatenate(([0], ends))]
        done = product("products", np.diff(totals), across)
        return Multiplications(count=done, a_bits=work.a_bits, b_bits=work.b_bits)

    def arithmetic(self, register: Accumulator, _a_bits: int, _b_bits: int, /) -> Accumulator:
        """One register sums all of k; a product that is 0 would not have changed it."""
        return register
