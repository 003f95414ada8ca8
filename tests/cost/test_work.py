"""Columns of work: nobody changes them, and what contradicts itself is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from fxsim.cost.columns import product
from fxsim.cost.detail import Detail, GroupHistogram
from fxsim.cost.work import COLUMNS, Work


def work(**changes: Any) -> Work:
    """Two convolutions' rows, 2 calls of 3 groups and 1 call of 1, with changes."""
    columns = {
        "m": [4, 5],
        "n": [2, 3],
        "k": [18, 7],
        "groups": [3, 1],
        "calls": [2, 1],
        "a_bits": [8, 32],
        "b_bits": [6, 32],
        "acc_bits": [20, 64],
        "out_bits": [8, 32],
        "macs": [4 * 2 * 18 * 6, 105],
        "pad_macs": [4, 0],
        "zero_a_macs": [5, 0],
        "zero_b_macs": [6, 0],
        "zero_macs": [8, 0],
        "nz_macs": [4 * 2 * 18 * 6 - 12, 105],
        "a_elements": [20, 35],
        "b_elements": [108, 21],
        "out_elements": [24, 15],
        "kernel_h": [3, 1],
        "kernel_w": [3, 1],
        "c_in": [2, 7],
        "a_float": [False, True],
        "b_float": [False, True],
    }
    return Work(**{**columns, **changes})


def test_columns_are_read_only_int64_and_apart_from_what_was_given() -> None:
    given = np.array([4, 5])
    rows = work(m=given)
    given[0] = 9
    assert rows.m.tolist() == [4, 5]
    assert len(rows) == 2
    assert rows.gemms.tolist() == [6, 1]
    for name in COLUMNS:
        column = getattr(rows, name)
        assert column.dtype == (np.bool_ if name.endswith("float") else np.int64)
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"n": [2]}, "Work: n has 1 rows, m has 2; give one value for each GEMM"),
        ({"m": [4.0, 5.0]}, "Work: m has dtype float64; give whole numbers, such as int64"),
        ({"m": [[4, 5]]}, r"Work: m has shape \(1, 2\); a column has one dimension"),
        ({"a_float": [0, 1]}, "Work: a_float has dtype int64; give bools"),
        ({"k": [18, 0]}, "Work: k is 0 in row 1; give 1 or more; leave out records that multiply nothing"),
        ({"zero_a_macs": [5, -1]}, "Work: zero_a_macs is -1 in row 1; give 0 or more"),
        ({"macs": [864, 104]}, r"Work: macs is 104 in row 1; give m \* n \* k \* groups \* calls"),
        ({"nz_macs": [853, 105]}, "Work: nz_macs is 853 in row 0; give macs - pad_macs - zero_macs"),
        ({"zero_a_macs": [9, 0]}, "Work: zero_macs is 8 in row 0; give a union of zero_a_macs and zero_b_macs"),
        ({"c_in": [3, 7]}, r"Work: k is 18 in row 0; give kernel_h \* kernel_w \* c_in"),
        ({"detail": Detail(a_row_nnz=[1, 2])}, r"Work: detail.a_row_nnz has 2 entries; these shapes have 29"),
        (
            {"detail": Detail(a_set_bits=GroupHistogram(4, 4, np.zeros((1, 65), int)))},
            r"Work: detail.a_set_bits has 1 rows; the work has 2",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        work(**changes)


def test_rows_that_would_wrap_are_refused() -> None:
    big = np.array([2**21, 2**20])
    with pytest.raises(OverflowError, match=r"macs, row 0: 2097152 \* .* reaches 2\*\*60; split the row"):
        Work.dense(big, big, big)
    assert product("x", np.array([2**30 - 1]), np.array([2**30])).tolist() == [2**60 - 2**30]


def test_dense_gemms_have_every_count_of_their_shape() -> None:
    rows = Work.dense([2, 3], 5, 7, groups=[1, 2], calls=4, a_bits=8, b_bits=[4, 16])
    assert rows.macs.tolist() == rows.nz_macs.tolist() == [2 * 5 * 7 * 4, 3 * 5 * 7 * 2 * 4]
    assert rows.a_elements.tolist() == [14, 42]
    assert rows.b_elements.tolist() == [35, 70]
    assert rows.out_elements.tolist() == [10, 30]
    assert rows.out_bits.tolist() == [8, 16]
    assert rows.zero_macs.tolist() == [0, 0]


def test_a_slice_shares_its_rows() -> None:
    part = work().slice(1, 2)
    assert (len(part), part.m.tolist(), part.detail) == (1, [5], None)
    assert np.shares_memory(part.k, part.slice(0, 1).k)


def test_details_are_read_only_and_checked() -> None:
    detail = Detail(a_row_nnz=np.arange(29), b_column_nnz=np.arange(15), pair_nnz=np.arange(63))
    assert work(detail=detail).detail is detail
    assert detail.pair_nnz is not None
    assert not detail.pair_nnz.flags.writeable
    with pytest.raises(dataclasses.FrozenInstanceError):
        detail.pair_nnz = None  # type: ignore[misc]
    with pytest.raises(ValueError, match=r"GroupHistogram: counts has shape \(2, 3\)"):
        GroupHistogram(1, 1, np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="GroupHistogram: rows is 0; give 1 or more"):
        GroupHistogram(0, 1, np.zeros((2, 65), int))
    with pytest.raises(ValueError, match="GroupHistogram: a count is negative"):
        GroupHistogram(1, 1, np.full((2, 65), -1))
