"""Closed forms of a systolic array's cycles: R rows of C multiply-accumulate elements.

A GEMM is cut into folds of Sr x Sc places with T steps each:

    dataflow  Sr  Sc  T     what stays in the array
    os        M   N   K     outputs
    ws        K   N   M     operand b, the weights
    is        K   M   N     operand a, the inputs

Folds start every `interval` cycles, row folds fastest: fold f = j * fr + i covers rows i * R ... and columns j * C ...
Cycles are counted, not numbered: a result that leaves with "cycle x" leaves at the x-th clock edge from the one that
takes the first operand in, and a GEMM whose last result does so takes x cycles. Row i of an array gets its operands i
cycles after row 0, column j its own j cycles after column 0.

Everything here is int64 and works on whole columns; shapes are 1 or more.

Source: Samajdar, Joseph, Zhu, Whatmough, Mattina and Krishna, "A systematic methodology for characterizing scalability
of DNN accelerators using SCALE-Sim", ISPASS 2020, its analytical runtime of a scaled-up array, for `ispass20`;
SCALE-Sim 3.0.0 for `scalesim`; the Verilog arrays of fxsim's tests for `pipelined` and for edge "exact".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from fxsim.cost.columns import Flags, Ints, ceil_div, product

DATAFLOWS: Final = ("os", "ws", "is")
SCHEDULES: Final = ("scalesim", "ispass20", "pipelined")
EDGES: Final = ("full", "exact")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """A GEMM laid on an array. sr, sc, t: its extent along rows, columns and time; fr, fc: folds along sr and sc."""

    rows: int
    columns: int
    sr: Ints
    sc: Ints
    t: Ints
    fr: Ints
    fc: Ints

    @property
    def folds(self) -> Ints:
        """F = fr * fc."""
        return product("folds", self.fr, self.fc)

    @property
    def last_rows(self) -> Ints:
        """Rows in use in the last fold along the rows, 1 to R."""
        return (self.sr - 1) % self.rows + 1

    @property
    def last_columns(self) -> Ints:
        """Columns in use in the last fold along the columns, 1 to C."""
        return (self.sc - 1) % self.columns + 1


def mapping(dataflow: str, rows: int, columns: int, m: Ints | int, n: Ints | int, k: Ints | int) -> Mapping:
    """The table above for GEMMs (m, k) by (k, n).

    Raises:
        ValueError: the dataflow is not one of DATAFLOWS.
    """
    m, n, k = np.asarray(m, np.int64), np.asarray(n, np.int64), np.asarray(k, np.int64)
    match dataflow:
        case "os":
            sr, sc, t = m, n, k
        case "ws":
            sr, sc, t = k, n, m
        case "is":
            sr, sc, t = k, m, n
        case _:
            raise ValueError(f"mapping: dataflow = {dataflow!r}: accepted are {', '.join(DATAFLOWS)}")
    return Mapping(rows, columns, sr, sc, t, ceil_div(sr, rows), ceil_div(sc, columns))


def fold_cycles(dataflow: str, schedule: str, rows: int, columns: int, t: Ints) -> Ints:
    """Cycles that a fold using all rows and columns is given from its first operand on.

    T + R + C - 2 for `scalesim` with os, until the last product; T + 2R + C - 2 otherwise: the results of os have R
    rows to leave the array by, the weights of ws as many to come in.
    """
    passes = 1 if (dataflow, schedule) == ("os", "scalesim") else 2
    return t + passes * rows + columns - 2


def interval(dataflow: str, schedule: str, rows: int, columns: int, t: Ints) -> Ints:
    """Cycles between the starts of neighbouring folds.

    `pipelined` starts a fold as soon as the wires are free: os after max(T, 2R - 1), as the results of a column share
    the wire on which they leave; ws and is after max(T, R), with a second register for the next stationary operand.
    """
    if schedule == "pipelined":
        return np.maximum(t, 2 * rows - 1 if dataflow == "os" else rows)
    return fold_cycles(dataflow, schedule, rows, columns, t)


def feasible(dataflow: str, schedule: str, rows: int, columns: int, on: Mapping) -> Flags:
    """Whether no two results of neighbouring folds meet on a wire: with os, folds have to be 2R - 1 cycles apart.

    Only `scalesim` can break it, where T <= R - C; a single fold has nothing to meet.
    """
    if dataflow != "os":
        return np.ones_like(on.t, np.bool_)
    return np.asarray((interval(dataflow, schedule, rows, columns, on.t) >= 2 * rows - 1) | (on.folds == 1))


def _last(on: Mapping, step: Ints, tail: Ints) -> Ints:
    """When the last fold's last column is through, `tail` cycles after its start in column 0.

    The last fold along the columns may have so few that the one before it, fr folds earlier, is still busy with its C.
    The rows matter in the last fold only, as folds are at least R (os: 2R - 1) cycles apart.
    """
    last = product("cycles", on.folds - 1, step) + tail + on.last_columns - 1
    before = product("cycles", np.maximum(on.folds - 1 - on.fr, 0), step) + tail + on.columns - 1
    return np.where(on.fc > 1, np.maximum(last, before), last)


def last_mac(dataflow: str, on: Mapping, step: Ints) -> Ints:
    """Cycles until the last multiply-accumulate, folds starting every `step` cycles.

    os: (F - 1) S + T + r + c - 2 with r, c the last fold's rows and columns; ws, is: R cycles more, in which the
    stationary operand comes in. Differs only where the fold before uses more columns than the last, and is caught up.
    """
    tail = on.t + on.last_rows - 1
    return _last(on, step, tail if dataflow == "os" else tail + on.rows)


def last_output(dataflow: str, on: Mapping, step: Ints) -> Ints:
    """Cycles until the last result has left the array, folds starting every `step` cycles.

    os: (F - 1) S + T + 2r + c - 2, as results move down the r rows in use; ws, is: (F - 1) S + 2R + T + c - 1, as
    sums move down all R rows and are added to the partial sum below. The same exception as in `last_mac`.
    """
    return _last(on, step, on.t + 2 * on.last_rows - 1 if dataflow == "os" else on.t + 2 * on.rows)


def cycles(dataflow: str, schedule: str, edge: str, on: Mapping) -> Ints:
    """Cycles of one GEMM, from the first operand at the array's edge to the last result leaving it.

    edge "full": every fold takes the whole array's time, so that `scalesim` gives SCALE-Sim's "Total Cycles" plus 1,
    which is F (T + R + C - 2) for os and F (T + 2R + C - 2) for ws and is. "exact": `last_output`.
    """
    step = interval(dataflow, schedule, on.rows, on.columns, on.t)
    if edge == "exact":
        return last_output(dataflow, on, step)
    return product("cycles", on.folds - 1, step) + fold_cycles(dataflow, schedule, on.rows, on.columns, on.t)
