"""What levels 1 and 2 find out about operands, against plain loops over the matrices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
import torch

from fxsim import ops
from fxsim.accumulator import Accumulator
from fxsim.cost.counting import count
from fxsim.cost.counts import Counts
from fxsim.formats import Format
from fxsim.ops.details import Detail, Look
from fxsim.ops.records import OpRecord, listen, look
from fxsim.tensor import FixedTensor

Matrix = Sequence[Sequence[int]]


def words(format: str, *shape: int, seed: int = 0) -> FixedTensor:
    f = Format.parse(format)
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randint(f.raw_min, f.raw_max + 1, shape, generator=generator)
    return FixedTensor(raw * torch.randint(0, 2, shape, generator=generator), f)


def the_record(counts: Counts) -> OpRecord:
    [record] = counts.records
    return record


def the_detail(counts: Counts) -> Detail:
    detail = the_record(counts).detail
    assert detail is not None
    return detail


def needed(raw: int, format: Format) -> int:
    """The least word length of the format's kind that holds it."""
    if raw == 0:
        return 0
    return next(wl for wl in range(1, 65) if (f := Format(wl, 0, format.signed)).raw_min <= raw <= f.raw_max)


def by_group(matrix: Matrix, rows: int, lanes: int, bits: dict[int, int]) -> dict[int, int]:
    found: Counter[int] = Counter()
    for y in range(0, len(matrix), rows):
        for x in range(0, len(matrix[0]), lanes):
            found[max(bits[raw] for row in matrix[y : y + rows] for raw in row[x : x + lanes])] += 1
    return dict(found)


def check(detail: Detail, pairs: Sequence[tuple[Matrix, Matrix]], formats: tuple[Format, Format], look: Look) -> None:
    assert detail.a_row_nnz.tolist() == [sum(map(bool, row)) for a, _ in pairs for row in a]
    assert detail.b_column_nnz.tolist() == [sum(map(bool, row)) for _, b in pairs for row in b]
    if look.level < 2:
        return
    assert detail.pair_nnz is not None
    assert detail.pair_nnz.tolist() == [
        sum(bool(x and y) for x, y in zip(row, column, strict=True)) for a, b in pairs for row in a for column in b
    ]
    for place, (side, format) in enumerate(zip("ab", formats, strict=True)):
        values = range(format.raw_min, format.raw_max + 1)
        rules = {"needed": {raw: needed(raw, format) for raw in values}, "set": {r: abs(r).bit_count() for r in values}}
        for name, rule in rules.items():
            expected: Counter[int] = Counter()
            for pair in pairs:
                expected.update(by_group(pair[place], look.rows, look.lanes, rule))
            histogram = getattr(detail, f"{side}_{name}_bits")
            assert histogram.shape == (65,)
            assert {bits: n for bits, n in enumerate(histogram.tolist()) if n} == dict(expected)


@pytest.mark.parametrize("look", [Look(1), Look(2), Look(2, 4, 3), Look(2, 1, 16)], ids=str)
def test_a_matrix_product(look: Look) -> None:
    a, b = words("<6,2>", 5, 7), words("u<4,1>", 7, 3, seed=1)
    with count(level=look.level, group=(look.rows, look.lanes)) as counts:
        ops.matmul(a, b)
    check(the_detail(counts), [(a.raw.tolist(), b.raw.t().tolist())], (a.format, b.format), look)


@pytest.mark.parametrize("order", ["kh_kw_cin", "cin_kh_kw"])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_is_looked_at_as_the_gemm_it_is(groups: int, order: str) -> None:
    x, w = words("<5,2>", 2, 4, 5, 6), words("<3,1>", 6, 4 // groups, 3, 2)
    with count(level=2, group=(2, 5)) as counts:
        ops.conv2d(x, w, stride=2, padding=1, groups=groups, accumulator=Accumulator(k_order=order))
    columns = torch.nn.functional.unfold(x.raw.double(), (3, 2), padding=1, stride=2)  # (N, C * KH * KW, pixels)
    split = columns.long().unflatten(1, (4, 3, 2)).permute(0, 4, 1, 2, 3).flatten(0, 1)  # (rows, C, KH, KW)
    pairs = []
    for a, b in zip(split.chunk(groups, 1), w.raw.chunk(groups, 0), strict=True):
        sides = (a, b) if order == "cin_kh_kw" else (a.permute(0, 2, 3, 1), b.permute(0, 2, 3, 1))
        pairs.append(tuple(side.flatten(1).tolist() for side in sides))
    check(the_detail(counts), pairs, (x.format, w.format), Look(2, 2, 5))  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [1, 2])
def test_details_agree_with_the_counts(level: int) -> None:
    x, w = words("<5,2>", 2, 4, 5, 6), words("<3,1>", 6, 4, 3, 2)
    g = words("<4,0>", *ops.conv2d(x, w, stride=2, padding=1).shape, seed=2)
    with count(level=level) as counts:
        ops.conv2d(x, w, stride=2, padding=1)
        ops.conv2d_dgrad(g, w, (5, 6), stride=2, padding=1)
        ops.conv2d_wgrad(g, x, (3, 2), stride=2, padding=1)
    assert len(counts.records) == 3
    for record in counts.records:
        detail = record.detail
        assert detail is not None
        valid_a = record.macs - record.pad_macs - record.zero_a_macs
        if record.pass_ != "wgrad":  # there padding falls on b
            assert int(detail.a_row_nnz.sum()) * record.n == valid_a
        if level == 2:
            assert detail.pair_nnz is not None
            assert int(detail.pair_nnz.sum()) == record.nz_macs


def test_details_of_calls_stand_one_behind_the_other_and_histograms_add() -> None:
    a, b = words("<6,2>", 5, 7), words("<4,1>", 7, 3, seed=1)
    other = words("<6,2>", 5, 7, seed=3)
    parts = []
    with count(level=2) as together:
        for each in (a, other):
            with count(level=2) as alone:
                ops.matmul(each, b)
            parts.append(the_detail(alone))
    assert the_record(together).calls == 2
    joined = the_detail(together)
    assert joined == Detail.joined(parts)
    assert joined.a_row_nnz.tolist() == [*parts[0].a_row_nnz.tolist(), *parts[1].a_row_nnz.tolist()]
    assert joined.a_needed_bits is not None
    assert int(joined.a_needed_bits.sum()) == 2 * 5 * 7


def test_level_0_keeps_none_of_what_an_outer_block_looks_at() -> None:
    with count(level=1) as outer, count() as inner:
        ops.matmul(words("<6,2>", 5, 7), words("<4,1>", 7, 3))
    assert the_record(inner).detail is None
    assert the_detail(outer).level == 1
    assert look() == Look()


def test_details_survive_json() -> None:
    with count(level=2, keep_order=True) as counts:
        for seed in range(3):
            ops.matmul(words("<6,2>", 5, 7, seed=seed), words("<4,1>", 7, 3))
        ops.quantize(torch.ones(3), "<6,2>")
    assert Counts.from_json(counts.to_json()) == counts
    with count(level=1) as other:
        for seed in range(3):
            ops.matmul(words("<6,2>", 5, 7, seed=seed), words("<4,1>", 7, 3))
    assert Counts.from_json(other.to_json()) == other
    assert other != counts


def test_what_cannot_be_looked_at_so_is_refused() -> None:
    with pytest.raises(ValueError, match="count: level is 3: accepted are 0, 1, 2"), count(level=3):
        pass
    with pytest.raises(ValueError, match=r"group is \(0, 4\): accepted are \(rows, lanes\) of at least 1"):
        Look(2, 0, 4)
    with (
        count(level=2, group=(1, 4)),
        pytest.raises(ValueError, match=r"group \(1, 8\) given inside a count of level 2 with group \(1, 4\)"),
        count(level=2, group=(1, 8)),
    ):
        pass


def test_listeners_without_a_look_ask_for_none() -> None:
    with listen(lambda record: None):
        assert look() == Look()
        with listen(lambda record: None, Look(1)):
            assert look() == Look(1)
        assert look() == Look()
