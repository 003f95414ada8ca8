"""What an array that looks at values has to know beyond the counts of a GEMM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from fxsim.cost.columns import Ints, frozen_ints

WIDEST: Final = 64
"""Histograms have a bin for each number of bits from 0 to this."""


@final
class DetailError(ValueError):
    """A model was asked for a cost that follows from values, and those were not counted."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class GroupHistogram:
    """How many groups of an operand's elements have a maximum of b bits, for each b.

    A group is `rows` consecutive rows of one GEMM's operand times `lanes` consecutive elements of the dot products;
    groups at an edge are smaller. In operand a (M, K) the rows are those of the matrix; operand b (K, N) is taken
    transposed, so that its rows are columns.

    rows, lanes: the shape of a group.
    counts: int64 (n, 65): [i, b] is the number of groups in row i of the work (all its GEMMs) whose maximum is b.
    """

    rows: int
    lanes: int
    counts: Ints

    def __post_init__(self) -> None:
        for name in ("rows", "lanes"):
            if getattr(self, name) < 1:
                raise ValueError(f"GroupHistogram: {name} is {getattr(self, name)}; give 1 or more")
        counts = np.array(self.counts)
        if counts.dtype.kind not in "iu" or counts.ndim != 2 or counts.shape[1] != WIDEST + 1:
            raise ValueError(
                f"GroupHistogram: counts has shape {counts.shape} and dtype {counts.dtype}; "
                f"give whole numbers of shape (rows of the work, {WIDEST + 1})"
            )
        if np.any(counts < 0):
            raise ValueError("GroupHistogram: a count is negative")
        counts = counts.astype(np.int64)
        counts.flags.writeable = False
        object.__setattr__(self, "counts", counts)


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detail:
    """Counts of levels 1 and 2, for every row of a `Work`; what was not counted is None.

    Level 1, each the rows' entries one behind the other, a row's in the order (call, group, place):

    a_row_nnz: non-zero elements of each row of operand a as the GEMM sees it; calls * groups * m entries for a row.
    b_column_nnz: of each column of operand b; calls * groups * n entries.

    Level 2:

    pair_nnz: products with two non-zero factors of each output; calls * groups * m * n entries, in C order.
    a_needed_bits, b_needed_bits: a group's maximum is the least word length (sign bit included if the format is signed)
        that holds all its elements; 0 only where all are 0.
    a_set_bits, b_set_bits: the most set bits of the magnitude |raw| of any of its elements.
    """

    a_row_nnz: Ints | None = None
    b_column_nnz: Ints | None = None
    pair_nnz: Ints | None = None
    a_needed_bits: GroupHistogram | None = None
    b_needed_bits: GroupHistogram | None = None
    a_set_bits: GroupHistogram | None = None
    b_set_bits: GroupHistogram | None = None

    def __post_init__(self) -> None:
        for name in ("a_row_nnz", "b_column_nnz", "pair_nnz"):
            given: npt.ArrayLike | None = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, frozen_ints(f"Detail: {name}", given))

    def check(self, entries: dict[str, int], rows: int) -> None:
        """Refuse a detail that does not belong to a work of `rows` rows with so many entries.

        Raises:
            ValueError: a length differs.
        """
        for name, needed in entries.items():
            given = getattr(self, name)
            if given is not None and len(given) != needed:
                raise ValueError(f"Work: detail.{name} has {len(given)} entries; these shapes have {needed}")
        for name in ("a_needed_bits", "b_needed_bits", "a_set_bits", "b_set_bits"):
            histogram: GroupHistogram | None = getattr(self, name)
            if histogram is not None and len(histogram.counts) != rows:
                raise ValueError(f"Work: detail.{name} has {len(histogram.counts)} rows; the work has {rows}")
