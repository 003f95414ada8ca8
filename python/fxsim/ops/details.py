"""What counting at levels 1 and 2 finds out about operands, besides the counts that every record has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, final

import numpy as np
import numpy.typing as npt

LEVELS: Final = (0, 1, 2)

BINS: Final = 65
"""A histogram has a bin for each number of bits from 0 to 64."""

_LISTS: Final = ("a_row_nnz", "b_column_nnz", "pair_nnz")
_HISTOGRAMS: Final = ("a_needed_bits", "b_needed_bits", "a_set_bits", "b_set_bits")


@final
@dataclass(frozen=True, slots=True)
class Look:
    """How closely operands are looked at.

    level: 0: counts only. 1: also non-zeros of each row and column. 2: also pairs of non-zeros and histograms of bits.
    rows, lanes: at level 2, the elements whose greatest number of bits counts together: so many consecutive rows of
        one operand (columns of b) times so many consecutive elements of their dot products.

    Raises:
        ValueError: the level is none, or a group is empty.
    """

    level: int = 0
    rows: int = 1
    lanes: int = 1

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"count: level is {self.level}: accepted are {', '.join(map(str, LEVELS))}")
        if min(self.rows, self.lanes) < 1:
            raise ValueError(f"count: group is ({self.rows}, {self.lanes}): accepted are (rows, lanes) of at least 1")


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detail:
    """What a closer look at a product's operands found; None where the level is too low for it.

    a_row_nnz: int64 (groups * m,): non-zero elements of each row of a as the GEMM sees it, padding being zero.
    b_column_nnz: int64 (groups * n,): of each column of b.
    pair_nnz: int64 (groups * m * n,): products of two non-zeros in each output.
    a_needed_bits, b_needed_bits: int64 (65,): groups of elements (see `Look`) by the least word length that holds all
        of them, sign bit included where the format is signed; 0 where all are 0.
    a_set_bits, b_set_bits: int64 (65,): groups by the most set bits of the magnitude |raw| of any of its elements.
    rows, lanes: the shape of those groups.

    Of several calls, the lists stand one behind the other and histograms are sums.
    """

    a_row_nnz: npt.NDArray[np.int64]
    b_column_nnz: npt.NDArray[np.int64]
    pair_nnz: npt.NDArray[np.int64] | None = None
    a_needed_bits: npt.NDArray[np.int64] | None = None
    b_needed_bits: npt.NDArray[np.int64] | None = None
    a_set_bits: npt.NDArray[np.int64] | None = None
    b_set_bits: npt.NDArray[np.int64] | None = None
    rows: int = 1
    lanes: int = 1

    @property
    def level(self) -> int:
        """The level of the look that found this."""
        return 1 if self.pair_nnz is None else 2

    @classmethod
    def joined(cls, parts: Iterable[Detail]) -> Self | None:
        """The detail of several calls; None where there are none, or not all of the same kind."""
        found = list(parts)
        if not found or len({(each.level, each.rows, each.lanes) for each in found}) > 1:
            return None
        values: dict[str, Any] = {"rows": found[0].rows, "lanes": found[0].lanes}
        for name in (*_LISTS, *_HISTOGRAMS):
            columns = [getattr(each, name) for each in found]
            if columns[0] is not None:
                values[name] = sum(columns[1:], columns[0]) if name in _HISTOGRAMS else np.concatenate(columns)
        return cls(**values)

    def plain(self) -> dict[str, Any]:
        """Lists and numbers, for JSON."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: each.tolist() if isinstance(each, np.ndarray) else each for name, each in values.items()}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """The detail that `plain` was made of.

        Raises:
            TypeError: it holds other names, or lacks some.
        """
        values: dict[str, Any] = {
            name: np.array(each, np.int64) if isinstance(each, list) else each for name, each in plain.items()
        }
        return cls(**values)

    def __eq__(self, other: object) -> bool:
        return self.plain() == other.plain() if isinstance(other, Detail) else NotImplemented

    __hash__ = None  # type: ignore[assignment]
