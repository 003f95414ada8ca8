"""What every engine tells about work: the part of an accelerator that multiplies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from fxsim.accumulator import Accumulator
from fxsim.cost.columns import Ints, Reals, ceil_div, product
from fxsim.cost.work import Work


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timing:
    """When an engine works on each row, if memory never keeps it waiting.

    dataflow: what stays in the engine while the rest passes by: os, ws or is, which decides what is fetched how often.
    sr, sc: extents of a GEMM along the dataflow's rows and columns (see `systolic_cycles`).
    fr, fc: folds along them; row folds follow each other fastest.
    row_block, column_block: how much of sr and sc a full fold takes.
    sums: how often each output is written to the buffer: once, or as a partial sum before.
    step, tail: cycles from the start of a fold to that of the next, and from the last fold's start to the GEMM's end.
    compute, fill_drain: cycles of all GEMMs of the row, as in `Cost`.
    mapping_efficiency: as in `Cost`.
    peak: macs a cycle that the engine does at these word lengths, all its places in use.
    """

    dataflow: str
    sr: Ints
    sc: Ints
    fr: Ints
    fc: Ints
    row_block: Ints
    column_block: Ints
    sums: Ints
    step: Ints
    tail: Ints
    compute: Ints
    fill_drain: Ints
    mapping_efficiency: Reals
    peak: Reals

    @property
    def folds(self) -> Ints:
        """Folds of one GEMM."""
        return product("folds", self.fr, self.fc)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Multiplications:
    """What the multipliers do: `count` products of a_bits by b_bits, each added to a sum."""

    count: Ints
    a_bits: Ints
    b_bits: Ints


class Engine(ABC):
    """A frozen record that describes the part that multiplies; `kind` is its name in files."""

    __slots__ = ()

    kind: ClassVar[str]

    @abstractmethod
    def timing(self, work: Work) -> Timing:
        """When the engine works.

        Raises:
            DetailError: cycles follow from values that were not counted.
            ValueError: the engine cannot do such a GEMM.
        """

    @abstractmethod
    def multiplications(self, work: Work) -> Multiplications:
        """Products that take energy."""

    @abstractmethod
    def arithmetic(self, register: Accumulator, a_bits: int, b_bits: int, /) -> Accumulator:
        """The order in which products are summed in registers of this width and these modes."""


def tiled(
    work: Work,
    rows: int,
    columns: int,
    *,
    mapping_efficiency: Reals,
    peak: Reals,
    total: Ints,
    sums: Ints | None = None,
) -> Timing:
    """The timing of an output-stationary engine that works on blocks of rows x columns outputs, one after another.

    rows, columns: most outputs of a block along M and N.
    total: cycles of all blocks and all GEMMs; where blocks differ, the step is their mean, rounded down.
    sums: as in `Timing`; once unless told otherwise.
    """
    fr, fc = ceil_div(work.m, rows), ceil_div(work.n, columns)
    step = total // product("folds", fr, fc, work.gemms)
    return Timing(
        dataflow="os",
        sr=work.m,
        sc=work.n,
        fr=fr,
        fc=fc,
        row_block=np.minimum(work.m, rows),
        column_block=np.minimum(work.n, columns),
        sums=np.ones_like(total) if sums is None else sums,
        step=step,
        tail=step,
        compute=total,
        fill_drain=np.zeros_like(total),
        mapping_efficiency=mapping_efficiency,
        peak=peak,
    )


def filled(extent: Ints, block: Ints | int) -> Reals:
    """The part of ⌈extent / block⌉ blocks that an extent fills."""
    return np.asarray(extent / (ceil_div(extent, block) * block), np.float64)
