"""Bit-serial arrays that end a group's turn when its values are through, whatever the format allows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np

from fxsim.accumulator import Accumulator
from fxsim.cost.accelerators.checks import require_count
from fxsim.cost.accelerators.engine import Engine, Multiplications, Timing, filled, tiled
from fxsim.cost.columns import Ints, ceil_div, product
from fxsim.cost.detail import WIDEST, DetailError, GroupHistogram
from fxsim.cost.work import Work


@dataclass(frozen=True, slots=True)
class _ValueSerial(Engine):
    """What both arrays share: groups of windows x lanes elements of operand a, each as slow as its slowest element.

    Cycles: the sum over all groups of max(its histogram's number, 1), times ⌈N / filters⌉ and ⌈b_bits / 16⌉.
    """

    windows: int
    filters: int
    lanes: int
    b_bits_per_cycle: int = 16

    def __post_init__(self) -> None:
        for name in ("windows", "filters", "lanes"):
            require_count(type(self).__name__, name, getattr(self, name))
        require_count(type(self).__name__, "b_bits_per_cycle", self.b_bits_per_cycle, 64)

    def _timing(self, work: Work, histogram: GroupHistogram | None, what: str) -> Timing:
        fr, fc, parts = ceil_div(work.m, self.windows), ceil_div(work.n, self.filters), ceil_div(work.k, self.lanes)
        counts = self._counts(histogram, product("groups", fr, parts, work.gemms), what)
        product("turns", product("groups", fr, parts, work.gemms), WIDEST)  # bounds those that follow
        turns = counts @ np.maximum(np.arange(WIDEST + 1), 1)
        total = product("cycles", turns, fc, ceil_div(work.b_bits, self.b_bits_per_cycle))
        serial = work.a_bits * ceil_div(work.b_bits, self.b_bits_per_cycle)
        return tiled(
            work,
            self.windows,
            self.filters,
            mapping_efficiency=filled(work.m, self.windows) * filled(work.n, self.filters) * filled(work.k, self.lanes),
            peak=np.asarray(self.windows * self.filters * self.lanes / serial, np.float64),
            total=total,
        )

    def _counts(self, histogram: GroupHistogram | None, groups: Ints, what: str) -> Ints:
        where, shape = type(self).__name__, f"{self.windows} x {self.lanes}"
        how = f"count at level 2: fx.count(level=2, group=({self.windows}, {self.lanes}))"
        if histogram is None:
            raise DetailError(
                f"{where}: cycles follow from {what} in each group of {shape} elements of operand a; {how}"
            )
        if (histogram.rows, histogram.lanes) != (self.windows, self.lanes):
            raise DetailError(
                f"{where}: values were counted in groups of {histogram.rows} x {histogram.lanes}, this array takes "
                f"{shape}; {how}"
            )
        found = histogram.counts.sum(axis=1)
        if np.any(found != groups):
            row = int(np.argmax(found != groups))
            raise DetailError(f"{where}: row {row} has {groups[row]} groups of {shape}, {found[row]} were counted")
        return histogram.counts

    def multiplications(self, work: Work) -> Multiplications:
        return Multiplications(count=work.macs, a_bits=work.a_bits, b_bits=work.b_bits)

    def arithmetic(self, register: Accumulator, _a_bits: int, _b_bits: int, /) -> Accumulator:
        """An adder tree sums `lanes` products, which enter the register as one step."""
        return replace(register, lanes=self.lanes)


@final
@dataclass(frozen=True, slots=True)
class DynamicStripes(_ValueSerial):
    """Stripes whose precision is that of each group of activations: as many cycles as its widest element has bits.

    Source: Delmas et al., "Dynamic Stripes: Exploiting the dynamic precision requirements of activation values in
    neural networks", arXiv:1706.00504, 2017.
    """

    kind: ClassVar = "dynamic_stripes"

    def timing(self, work: Work) -> Timing:
        histogram = None if work.detail is None else work.detail.a_needed_bits
        return self._timing(work, histogram, "the widest element")


@final
@dataclass(frozen=True, slots=True)
class Pragmatic(_ValueSerial):
    """An array that walks over the set bits of activations: as many cycles as the element with most of them has.

    Source: Albericio, Delmas Lascorz, Judd, Sharify, O'Leary, Genov and Moshovos, "Bit-Pragmatic deep neural network
    computing", MICRO 2017, with all lanes of all windows in step.
    """

    kind: ClassVar = "pragmatic"

    def timing(self, work: Work) -> Timing:
        histogram = None if work.detail is None else work.detail.a_set_bits
        return self._timing(work, histogram, "the most set bits")
