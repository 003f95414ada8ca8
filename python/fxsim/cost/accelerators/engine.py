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
    dataflow: str,
    *,
    sr: Ints,
    sc: Ints,
    fr: Ints,
    fc: Ints,
    row_block: Ints,
    column_block: Ints,
    step: Ints,
    mapping_efficiency: Reals,
    peak: Reals,
    sums: Ints | None = None,
    total: Ints | None = None,
) -> Timing:
    """The timing of an engine whose folds follow each other without gaps, each taking `step` cycles.

    sums: as in `Timing`; once unless told otherwise.
    total: where folds differ, the cycles of all of them and of all GEMMs; `step` is then a mean, rounded down.
    """
    compute = product("cycles", fr, fc, step, work.gemms) if total is None else total
    return Timing(
        dataflow=dataflow,
        sr=sr,
        sc=sc,
        fr=fr,
        fc=fc,
        row_block=row_block,
        column_block=column_block,
        sums=np.ones_like(compute) if sums is None else sums,
        step=step,
        tail=step,
        compute=compute,
        fill_drain=np.zeros_like(compute),
        mapping_efficiency=mapping_efficiency,
        peak=peak,
    )


def filled(extent: Ints, block: Ints | int) -> Reals:
    """The part of ⌈extent / block⌉ blocks that an extent fills."""
    return np.asarray(extent / (ceil_div(extent, block) * block), np.float64)
