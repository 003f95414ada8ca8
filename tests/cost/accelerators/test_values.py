"""Engines whose cycles follow from values, against plain loops over the values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

import fxsim as fx
from fxsim.cost.accelerators import (
    Accelerator,
    DynamicStripes,
    Pragmatic,
    Skipping,
    dynamic_stripes,
    pragmatic,
    skipping,
)
from fxsim.cost.columns import Ints
from fxsim.cost.detail import Detail, DetailError, GroupHistogram
from fxsim.cost.work import Work

GROUPS, M, N, K = 3, 21, 14, 37


def operand(rows: int, columns: int, zeros: float, seed: int) -> Ints:
    """Raws of 8 bits, GROUPS matrices, sparse in all and in some rows more than in others."""
    rng = np.random.default_rng(seed)
    raws = rng.integers(-128, 128, (GROUPS, rows, columns)) >> rng.integers(0, 8, (GROUPS, rows, 1))
    return np.where(rng.random(raws.shape) < zeros * rng.random((GROUPS, rows, 1)), 0, raws)


A, B = operand(M, K, 1.2, 1), operand(K, N, 0.8, 2)
PAIRS = (A != 0).astype(np.int64) @ (B != 0).astype(np.int64)


def needed_bits(raw: int) -> int:
    """The word length of the smallest signed format that holds a raw, 0 for 0."""
    return 0 if raw == 0 else next(bits for bits in range(1, 10) if -(2 ** (bits - 1)) <= raw < 2 ** (bits - 1))


def set_bits(raw: int) -> int:
    return abs(raw).bit_count()


def histogram(rows: int, lanes: int, measure: Callable[[int], int]) -> GroupHistogram:
    counts = np.zeros((1, 65), np.int64)
    for group in A:
        for i in range(0, M, rows):
            for j in range(0, K, lanes):
                counts[0, max(measure(int(raw)) for raw in group[i : i + rows, j : j + lanes].flat)] += 1
    return GroupHistogram(rows, lanes, counts)


def work(detail: Detail | None) -> Work:
    dense = Work.dense(M, N, K, groups=GROUPS)
    zero_a, zero_b = (A == 0).sum() * N, (B == 0).sum() * M
    nz = int(PAIRS.sum())
    counts = {"zero_a_macs": zero_a, "zero_b_macs": zero_b, "zero_macs": GROUPS * M * N * K - nz, "nz_macs": nz}
    return dataclasses.replace(dense, detail=detail, **{name: np.array([int(count)]) for name, count in counts.items()})


DETAIL = Detail(
    a_row_nnz=(A != 0).sum(axis=2).reshape(-1),
    b_column_nnz=(B != 0).sum(axis=1).reshape(-1),
    pair_nnz=PAIRS.reshape(-1),
    a_needed_bits=histogram(4, 8, needed_bits),
    a_set_bits=histogram(4, 8, set_bits),
)


def slowest(entries: Ints, rows: int, columns: int) -> int:
    """Over folds of rows x columns elements, the sum of the element that is busy longest."""
    return sum(
        int(group[i : i + rows, j : j + columns].max())
        for group in entries
        for i in range(0, M, rows)
        for j in range(0, N, columns)
    )


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (4, 4), (8, 3), (5, 16), (32, 32)])
def test_skipping_waits_for_the_slowest_element_of_each_fold(rows: int, columns: int) -> None:
    busy = {
        "a": np.broadcast_to((A != 0).sum(axis=2)[:, :, None], PAIRS.shape),
        "b": np.broadcast_to((B != 0).sum(axis=1)[:, None, :], PAIRS.shape),
        "both": PAIRS,
    }
    for sides, entries in busy.items():
        machine = Accelerator("x", Skipping(rows, columns, sides))
        cost = machine.price(work(DETAIL))
        assert cost.cycles == cost.compute_cycles == slowest(entries, rows, columns)
        done = machine.engine.multiplications(work(DETAIL)).count
        assert done == entries.sum()


def test_skipping_both_sides_is_never_slower_than_one_and_one_never_slower_than_none() -> None:
    cycles = {sides: int(skipping(8, 8, sides).price(work(DETAIL)).cycles[0]) for sides in ("a", "b", "both")}
    folds = GROUPS * 3 * 2
    assert cycles["both"] <= min(cycles["a"], cycles["b"]) < folds * K


def test_dense_operands_gain_nothing_from_skipping() -> None:
    dense = Work.dense(M, N, K, groups=GROUPS)
    full = Detail(a_row_nnz=np.full(GROUPS * M, K))
    cost = skipping(8, 8).price(dataclasses.replace(dense, detail=full))
    assert cost.cycles == cost.folds * K


@pytest.mark.parametrize(("engine", "measure"), [(DynamicStripes, needed_bits), (Pragmatic, set_bits)])
def test_value_serial_arrays_wait_for_the_slowest_of_each_group(
    engine: type[DynamicStripes | Pragmatic], measure: Callable[[int], int]
) -> None:
    cycles = 0
    for group in A:
        for i in range(0, M, 4):
            for j in range(0, K, 8):
                cycles += max(1, *(measure(int(raw)) for raw in group[i : i + 4, j : j + 8].flat))
    assert Accelerator("x", engine(4, 5, 8)).price(work(DETAIL)).cycles == cycles * 3  # ⌈14 / 5⌉ groups of filters
    assert Accelerator("x", engine(4, 5, 8, b_bits_per_cycle=4)).price(work(DETAIL)).cycles == cycles * 3 * 2


def test_several_rows_keep_their_own_details() -> None:
    one = work(DETAIL)
    columns = {name: np.concatenate([getattr(one, name)] * 2) for name in ("m", "n", "k", "groups")}
    assert DETAIL.a_row_nnz is not None
    both = dataclasses.replace(
        Work.dense(**columns),
        detail=Detail(a_row_nnz=np.concatenate([DETAIL.a_row_nnz, np.zeros(GROUPS * M, np.int64)])),
    )
    cost = skipping(8, 8).price(both)
    assert cost.cycles.tolist() == [skipping(8, 8).price(one).cycles[0], 0]
    assert cost.energy_mac_pj[1] == 0


@pytest.mark.parametrize(
    ("machine", "text"),
    [
        (
            skipping(),
            r"Skipping: cycles with sides = 'a' follow from a_row_nnz; count at level 1: fx.count\(level=1\), or",
        ),
        (skipping(sides="both"), r"Skipping: cycles with sides = 'both' follow from pair_nnz; count at level 2"),
        (
            dynamic_stripes(),
            r"DynamicStripes: cycles follow from the widest element .* count at level 2: .*group=\(16, 16\)",
        ),
        (
            pragmatic(),
            r"Pragmatic: cycles follow from the most set bits .* count at level 2: fx.count\(.*group=\(16, 16\)\)",
        ),
    ],
)
def test_without_the_values_a_model_says_at_which_level_they_are_counted(machine: Accelerator, text: str) -> None:
    for without in (work(None), work(Detail())):
        with pytest.raises(DetailError, match=text):
            machine.price(without)


def test_values_of_other_groups_are_refused() -> None:
    with pytest.raises(DetailError, match=r"counted in groups of 4 x 8, this array takes 16 x 16; count at level 2"):
        dynamic_stripes().price(work(DETAIL))
    wrong = Detail(a_needed_bits=GroupHistogram(4, 8, np.ones((1, 65), np.int64)))
    with pytest.raises(DetailError, match=r"DynamicStripes: row 0 has 90 groups of 4 x 8, 65 were counted"):
        Accelerator("x", DynamicStripes(4, 5, 8)).price(work(wrong))


def test_what_was_counted_of_a_product_is_what_its_price_follows_from() -> None:
    a, b = (fx.FixedTensor(torch.from_numpy(raws[0]), fx.Format(8, 4)) for raws in (A, B))
    with fx.count(level=2, group=(4, 8)) as counts:
        fx.matmul(a, b)
    groups = [A[0, i : i + 4, j : j + 8].flatten() for i in range(0, M, 4) for j in range(0, K, 8)]
    for engine, measure in ((DynamicStripes, needed_bits), (Pragmatic, set_bits)):
        turns = sum(max(1, *(measure(int(raw)) for raw in group)) for group in groups)
        assert Accelerator("x", engine(4, 5, 8)).evaluate(counts).total.cycles == turns * 3
    assert skipping(8, 8, "both").evaluate(counts).total.cycles == slowest(PAIRS[:1], 8, 8)
    with fx.count(level=1) as counts:
        fx.matmul(a, b)
    rows = np.broadcast_to((A[:1] != 0).sum(axis=2)[:, :, None], (1, M, N))
    assert skipping(8, 8).evaluate(counts).total.cycles == slowest(rows, 8, 8)
    with pytest.raises(DetailError, match="count at level 2"):
        skipping(8, 8, "both").evaluate(counts)
