"""GEMM work as columns: what an accelerator prices, thousands of rows at once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from fxsim.cost.columns import Flags, Ints, frozen_flags, frozen_ints, product
from fxsim.cost.detail import Detail

EXACT_ACCUMULATOR_BITS: Final = 64
"""acc_bits where the accumulator is exact."""

_AT_LEAST_ONE: Final = ("m", "n", "k", "groups", "calls", "a_bits", "b_bits", "acc_bits", "out_bits")
_COUNTS: Final = ("macs", "pad_macs", "zero_a_macs", "zero_b_macs", "zero_macs", "nz_macs")
_ELEMENTS: Final = ("a_elements", "b_elements", "out_elements", "kernel_h", "kernel_w", "c_in")
_FLAGS: Final = ("a_float", "b_float")


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """Rows of GEMMs (M, K) by (K, N); every column is a read-only int64 (flags: bool) array of one length.

    m, n, k: the shape of one GEMM; groups: independent ones in a call; calls: how often that was executed.
    a_bits, b_bits, acc_bits, out_bits: word lengths; 32 for float32, acc_bits 64 where the accumulator is exact.
    a_float, b_float: whether the operand is a float.
    macs, pad_macs, zero_a_macs, zero_b_macs, zero_macs, nz_macs: as in `OpCounts`, sums over groups and calls.
    a_elements, b_elements, out_elements: distinct elements of the tensors in one call, all groups; those of a
        convolution's input, where a GEMM has M * K entries.
    kernel_h, kernel_w, c_in: the taps and channels that make k, for arrays that walk them apart; 1, 1, k for others.
    detail: counts of levels 1 and 2, None if there are none.

    Raises:
        TypeError: a column holds other than whole numbers (flags: bools).
        ValueError: columns differ in length, a number is out of range, or counts contradict the shape or each other.
        OverflowError: a row's macs reach 2**60.
    """

    m: Ints
    n: Ints
    k: Ints
    groups: Ints
    calls: Ints
    a_bits: Ints
    b_bits: Ints
    acc_bits: Ints
    out_bits: Ints
    a_float: Flags
    b_float: Flags
    macs: Ints
    pad_macs: Ints
    zero_a_macs: Ints
    zero_b_macs: Ints
    zero_macs: Ints
    nz_macs: Ints
    a_elements: Ints
    b_elements: Ints
    out_elements: Ints
    kernel_h: Ints
    kernel_w: Ints
    c_in: Ints
    detail: Detail | None = None

    def __post_init__(self) -> None:
        for name in COLUMNS:
            freeze = frozen_flags if name in _FLAGS else frozen_ints
            column = freeze(f"Work: {name}", getattr(self, name))
            object.__setattr__(self, name, column)
            if len(column) != len(self.m):
                raise ValueError(
                    f"Work: {name} has {len(column)} rows, m has {len(self.m)}; give one value for each GEMM"
                )
        for name in (*_AT_LEAST_ONE, *_ELEMENTS):
            self._require(getattr(self, name) >= 1, name, "1 or more; leave out records that multiply nothing")
        for name in _COUNTS:
            self._require(getattr(self, name) >= 0, name, "0 or more")
        self._check_counts()
        if self.detail is not None:
            gemms = self.groups * self.calls
            entries = {"a_row_nnz": self.m, "b_column_nnz": self.n, "pair_nnz": self.m * self.n}
            self.detail.check({name: int((gemms * each).sum()) for name, each in entries.items()}, len(self))

    def _check_counts(self) -> None:
        self._require(
            self.macs == product("Work: macs", self.m, self.n, self.k, self.groups, self.calls),
            "macs",
            "m * n * k * groups * calls",
        )
        self._require(
            self.pad_macs + self.zero_macs + self.nz_macs == self.macs, "nz_macs", "macs - pad_macs - zero_macs"
        )
        union = (np.maximum(self.zero_a_macs, self.zero_b_macs) <= self.zero_macs) & (
            self.zero_macs <= self.zero_a_macs + self.zero_b_macs
        )
        self._require(union, "zero_macs", "a union of zero_a_macs and zero_b_macs")
        self._require(
            self.k == product("Work: k", self.kernel_h, self.kernel_w, self.c_in), "k", "kernel_h * kernel_w * c_in"
        )

    def _require(self, holds: Flags, name: str, accepted: str) -> None:
        if not holds.all():
            row = int(np.argmin(holds))
            raise ValueError(f"Work: {name} is {getattr(self, name)[row]} in row {row}; give {accepted}")

    def __len__(self) -> int:
        return len(self.m)

    @property
    def gemms(self) -> Ints:
        """How many GEMMs a row stands for: groups * calls."""
        return product("Work: gemms", self.groups, self.calls)

    def slice(self, start: int, stop: int) -> Work:
        """Rows start to stop as a work of their own, without the detail.

        Columns are shared, and not checked again.
        """
        return self._with({name: getattr(self, name)[start:stop] for name in COLUMNS}, None)

    def summed_in(self, acc_bits: int) -> Work:
        """The same work with accumulators of another width; the other columns are shared."""
        columns = {name: getattr(self, name) for name in COLUMNS}
        width = frozen_ints("Work: acc_bits", np.full(len(self), acc_bits))
        return self._with({**columns, "acc_bits": width}, self.detail)

    @staticmethod
    def _with(columns: dict[str, Ints | Flags], detail: Detail | None) -> Work:
        work = object.__new__(Work)
        for name, column in columns.items():
            object.__setattr__(work, name, column)
        object.__setattr__(work, "detail", detail)
        return work

    @staticmethod
    def dense(
        m: npt.ArrayLike,
        n: npt.ArrayLike,
        k: npt.ArrayLike,
        *,
        groups: npt.ArrayLike = 1,
        calls: npt.ArrayLike = 1,
        a_bits: npt.ArrayLike = 8,
        b_bits: npt.ArrayLike = 8,
        acc_bits: npt.ArrayLike = EXACT_ACCUMULATOR_BITS,
        out_bits: npt.ArrayLike | None = None,
        a_float: npt.ArrayLike = False,
        b_float: npt.ArrayLike = False,
    ) -> Work:
        """Bare GEMMs in which nothing is zero; single values stand for all rows. out_bits None: the wider operand's."""
        outs = np.maximum(a_bits, b_bits) if out_bits is None else out_bits
        given = np.atleast_1d(m, n, k, groups, calls, a_bits, b_bits, acc_bits, outs, a_float, b_float)
        m, n, k, groups, calls, a_bits, b_bits, acc_bits, outs, a_float, b_float = map(
            np.array, np.broadcast_arrays(*given)
        )
        macs = product("Work.dense: macs", m, n, k, groups, calls)
        none, one = np.zeros_like(macs), np.ones_like(macs)
        return Work(
            m=m,
            n=n,
            k=k,
            groups=groups,
            calls=calls,
            a_bits=a_bits,
            b_bits=b_bits,
            acc_bits=acc_bits,
            out_bits=outs,
            a_float=a_float,
            b_float=b_float,
            macs=macs,
            pad_macs=none,
            zero_a_macs=none,
            zero_b_macs=none,
            zero_macs=none,
            nz_macs=macs,
            a_elements=product("Work.dense: a_elements", m, k, groups),
            b_elements=product("Work.dense: b_elements", k, n, groups),
            out_elements=product("Work.dense: out_elements", m, n, groups),
            kernel_h=one,
            kernel_w=one,
            c_in=k,
        )


COLUMNS: Final = tuple(field.name for field in dataclasses.fields(Work) if field.name != "detail")
"""Names of the columns of a `Work`, in order."""
