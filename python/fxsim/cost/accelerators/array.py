"""A systolic array of multiply-accumulate elements, as an engine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, final

import numpy as np

from fxsim.accumulator import Accumulator
from fxsim.cost.accelerators import systolic_cycles
from fxsim.cost.accelerators.checks import require_choice, require_count, require_flag
from fxsim.cost.accelerators.engine import Engine, Multiplications, Timing, filled
from fxsim.cost.columns import Ints, ceil_div, product
from fxsim.cost.work import Work


@final
@dataclass(frozen=True, slots=True)
class FixedMac:
    """A multiply-accumulate element for operands of `bits` bits; None: always as wide as the operands are.

    Wider operands take ⌈a_bits / bits⌉ * ⌈b_bits / bits⌉ passes, narrower ones a whole one. Products take the energy of
    the element's own width.

    zero_gating: products with a zero factor take their cycle but no energy.
    """

    bits: int | None = None
    zero_gating: bool = False

    def __post_init__(self) -> None:
        if self.bits is not None:
            require_count("FixedMac", "bits", self.bits, 64)
        require_flag("FixedMac", "zero_gating", self.zero_gating)

    def passes(self, work: Work) -> Ints:
        """Cycles of one product."""
        if self.bits is None:
            return np.ones_like(work.a_bits)
        return ceil_div(work.a_bits, self.bits) * ceil_div(work.b_bits, self.bits)

    def multiplications(self, work: Work) -> Multiplications:
        """As `Engine.multiplications`."""
        macs = work.nz_macs if self.zero_gating else work.macs
        if self.bits is None:
            return Multiplications(count=macs, a_bits=work.a_bits, b_bits=work.b_bits)
        width = np.full_like(macs, self.bits)
        return Multiplications(count=product("passes", macs, self.passes(work)), a_bits=width, b_bits=width)


@final
@dataclass(frozen=True, slots=True)
class SystolicArray(Engine):
    """R rows of C elements through which operands move; see `systolic_cycles` for the closed forms and their source.

    rows, columns: R and C, 1 to 65536.
    dataflow: what stays in the elements: os outputs, ws operand b, is operand a.
    schedule: when the next fold may start: scalesim, ispass20 or pipelined.
    edge: full: every fold costs the whole array's time, as in SCALE-Sim; exact: what a register-transfer model takes.
    mac: the element.
    """

    kind: ClassVar = "systolic"

    rows: int
    columns: int
    dataflow: str = "os"
    schedule: str = "pipelined"
    edge: str = "exact"
    mac: FixedMac = field(default_factory=FixedMac)

    def __post_init__(self) -> None:
        require_count("SystolicArray", "rows", self.rows)
        require_count("SystolicArray", "columns", self.columns)
        require_choice("SystolicArray", "dataflow", self.dataflow, systolic_cycles.DATAFLOWS)
        require_choice("SystolicArray", "schedule", self.schedule, systolic_cycles.SCHEDULES)
        require_choice("SystolicArray", "edge", self.edge, systolic_cycles.EDGES)
        if not isinstance(self.mac, FixedMac):
            raise TypeError(f"SystolicArray: mac = {self.mac!r}: a FixedMac is needed, not {type(self.mac).__name__}")

    def timing(self, work: Work) -> Timing:
        on = systolic_cycles.mapping(self.dataflow, self.rows, self.columns, work.m, work.n, work.k)
        passes = self.mac.passes(work)
        on = replace(on, t=product("time steps", on.t, passes))
        self._require_feasible(on)
        cycles = systolic_cycles.cycles(self.dataflow, self.schedule, self.edge, on)
        step = systolic_cycles.interval(self.dataflow, self.schedule, self.rows, self.columns, on.t)
        compute = product("cycles", on.folds, on.t)
        return Timing(
            dataflow=self.dataflow,
            sr=on.sr,
            sc=on.sc,
            fr=on.fr,
            fc=on.fc,
            row_block=np.minimum(on.sr, self.rows),
            column_block=np.minimum(on.sc, self.columns),
            sums=np.ones_like(on.fr) if self.dataflow == "os" else on.fr,
            step=step,
            tail=cycles - (on.folds - 1) * step,
            compute=product("cycles", compute, work.gemms),
            fill_drain=product("cycles", cycles - compute, work.gemms),
            mapping_efficiency=filled(on.sr, self.rows) * filled(on.sc, self.columns),
            peak=np.asarray(self.rows * self.columns / passes, np.float64),
        )

    def _require_feasible(self, on: systolic_cycles.Mapping) -> None:
        if self.edge == "full":
            return
        feasible = systolic_cycles.feasible(self.dataflow, self.schedule, self.rows, self.columns, on)
        if not feasible.all():
            t = int(on.t[int(np.argmin(feasible))])
            raise ValueError(
                f"SystolicArray: schedule = {self.schedule!r} on {self.rows} x {self.columns}, edge = 'exact': folds "
                f"of {t} steps make results of neighbouring folds meet on the wire they leave by; accepted are more "
                f"than rows - columns = {self.rows - self.columns} steps; choose schedule = 'pipelined' or 'ispass20'"
            )

    def multiplications(self, work: Work) -> Multiplications:
        return self.mac.multiplications(work)

    def arithmetic(self, register: Accumulator, _a_bits: int, _b_bits: int, /) -> Accumulator:
        """os: one register sums all of k. ws, is: sums of R products each, added to a register of partial sums."""
        if self.dataflow == "os":
            return register
        return replace(register, chunk=self.rows, outer=replace(register, product=None))
