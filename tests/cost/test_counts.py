"""Sums, groupings, conservation and round trips, on records made by hand."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle

import pytest

from fxsim.cost.counts import Counts, Uncounted
from fxsim.ops.records import COUNTS, OpRecord, Pass


def gemm(layer: str = "fc", pass_: Pass = Pass.FWD, **changes: object) -> OpRecord:
    """A sound record of a 2 x 3 x 5 GEMM; `changes` override its fields."""
    record = OpRecord(
        layer=layer,
        pass_=pass_,
        op="linear",
        m=2,
        n=3,
        k=5,
        batch=2,
        a="<8,4>",
        b="u<6,5>",
        accumulator="exact",
        output="<8,4>",
        macs=30,
        pad_macs=2,
        zero_a_macs=4,
        zero_b_macs=5,
        zero_macs=7,
        nz_macs=21,
        nnz_a=8,
        nnz_b=12,
        step_overflows=1,
        output_overflows=2,
        inexact=5,
        round_to_zero=1,
        random_draws=6,
        elements_read=25,
        elements_written=6,
    )
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


def quantize(layer: str = "fc") -> OpRecord:
    return OpRecord(
        layer=layer, pass_=Pass.QUANTIZE, op="quantize", m=10, n=1, k=0, a="fp32", output="<8,4>", inexact=7
    )


def test_equal_shapes_and_formats_share_one_record() -> None:
    counts = Counts(gemm() for _ in range(10_000))
    [record] = counts.records
    assert record.calls == 10_000
    assert (record.m, record.n, record.k) == (2, 3, 5)
    for name in COUNTS:
        assert getattr(record, name) == 10_000 * getattr(gemm(), name)


@pytest.mark.parametrize(
    "change",
    [
        {"layer": "other"},
        {"pass_": Pass.DGRAD},
        {"op": "matmul"},
        {"m": 4, "macs": 60, "nz_macs": 51},
        {"a": "<9,4>"},
        {"output": "<9,4>"},
        {"accumulator": "<20,9>"},
    ],
)
def test_what_differs_in_identity_stays_apart(change: dict[str, object]) -> None:
    assert len(Counts([gemm(), gemm(**change)]).records) == 2


def test_records_come_in_order_of_first_execution() -> None:
    counts = Counts([gemm("b"), gemm("a"), gemm("b")])
    assert [record.layer for record in counts.records] == ["b", "a"]


def test_order_is_kept_on_request_only() -> None:
    records = [gemm("b"), gemm("a"), gemm("b")]
    counts = Counts(records, keep_order=True)
    assert counts.keeps_order
    assert list(counts.ordered) == records
    counts = Counts(records)
    assert not counts.keeps_order
    with pytest.raises(ValueError, match=r"the order of records was not kept; open count\(keep_order=True\)"):
        _ = counts.ordered


def test_total_adds_every_count_and_weighs_macs_by_widths() -> None:
    counts = Counts([gemm(), gemm(a="<16,4>", b="<32,4>"), quantize()])
    total = counts.total
    for name in COUNTS:
        assert getattr(total, name) == 2 * getattr(gemm(), name) + getattr(quantize(), name)
    assert total.calls == 3
    assert total.bit_operations == counts.bit_operations == 30 * 8 * 6 + 30 * 16 * 32
    assert total.float32_bit_operations == 60 * 32 * 32
    assert total.relative_bit_operations == (30 * 8 * 6 + 30 * 16 * 32) / (60 * 32 * 32)
    assert total.effective_fraction == 42 / 60
    assert total.overflow_events == 2 * (1 + 2)


def test_float32_products_cost_exactly_float32() -> None:
    total = Counts([gemm(a="fp32", b="fp32")]).total
    assert total.bit_operations == 30 * 32 * 32
    assert total.relative_bit_operations == 1.0


def test_ratios_of_nothing_are_nan() -> None:
    total = Counts([quantize()]).total
    assert math.isnan(total.relative_bit_operations)
    assert math.isnan(total.effective_fraction)


def test_an_unknown_operand_format_is_named() -> None:
    with pytest.raises(ValueError, match="int8"):
        _ = Counts([gemm(b="int8")]).total


def test_groups_partition_the_total() -> None:
    counts = Counts([gemm("a"), gemm("a", Pass.DGRAD), gemm("b"), gemm("b"), quantize("b")])
    by_layer = counts.by("layer")
    assert {layer: total.macs for layer, total in by_layer.items()} == {"a": 60, "b": 60}
    both = counts.by("layer", "pass_")
    assert {key: total.calls for key, total in both.items()} == {
        ("a", "fwd"): 1,
        ("a", "dgrad"): 1,
        ("b", "fwd"): 2,
        ("b", "quantize"): 1,
    }
    assert set(counts.by("format")) == {"<8,4> x u<6,5>", "fp32"}
    for name in COUNTS:
        assert sum(getattr(total, name) for total in both.values()) == getattr(counts.total, name)


def test_an_unknown_grouping_lists_those_accepted() -> None:
    with pytest.raises(ValueError, match=r"'phase' is not a field to group by; accepted: layer, pass_, op"):
        Counts().by("phase")


def test_merge_equals_counting_everything_at_once() -> None:
    first, second = Counts([gemm("a"), gemm("b")]), Counts([gemm("b"), quantize()])
    first.add_uncounted("aten.relu", 10)
    second.add_uncounted("aten.relu", 5, calls=2)
    first.merge(second)
    whole = Counts([gemm("a"), gemm("b"), gemm("b"), quantize()])
    whole.add_uncounted("aten.relu", 15, calls=3)
    assert first == whole
    assert first.uncounted == (Uncounted("aten.relu", 3, 15),)


def test_merge_cannot_invent_an_order() -> None:
    with pytest.raises(ValueError, match="open both with keep_order=True, or neither"):
        Counts(keep_order=True).merge(Counts([gemm()]))


def test_sound_counts_pass_the_check() -> None:
    counts = Counts([gemm(), gemm("b", m=0, macs=0, pad_macs=0, zero_a_macs=0, zero_b_macs=0, zero_macs=0, nz_macs=0)])
    counts.add(quantize())
    assert counts.violations() == ()
    counts.check()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"macs": 31, "nz_macs": 22}, "macs is 31, but m * n * k * groups * calls is 30"),
        ({"groups": 2}, "macs is 30, but m * n * k * groups * calls is 60"),
        ({"nz_macs": 20}, "nz_macs 20 + zero_macs 7 + pad_macs 2 is not macs 30"),
        ({"zero_macs": 10, "nz_macs": 18}, "cannot be the union of zero_a_macs 4 and zero_b_macs 5"),
        ({"zero_macs": 4, "nz_macs": 24}, "cannot be the union of zero_a_macs 4 and zero_b_macs 5"),
        ({"round_to_zero": 6}, "round_to_zero 6 exceeds inexact 5"),
        ({"inexact_carriers": -1}, "inexact_carriers is negative: -1"),
    ],
)
def test_each_conservation_law_can_be_broken(change: dict[str, object], text: str) -> None:
    counts = Counts([gemm("a"), gemm("fc", **change)])
    [violation] = counts.violations()
    assert violation == violation.strip()
    assert violation.startswith("fc fwd linear: ")
    assert text in violation
    with pytest.raises(ValueError, match="counts are not conserved"):
        counts.check()


def test_a_record_lost_from_a_file_is_noticed() -> None:
    content = json.loads(Counts([gemm("a"), gemm("b")]).to_json())
    del content["records"][0]
    violations = Counts.from_json(json.dumps(content)).violations()
    assert "records hold 30 macs together, but 60 were counted" in violations


def test_json_and_pickle_return_equal_counts() -> None:
    for keep_order in (False, True):
        counts = Counts([gemm("a"), gemm('b,"c"'), quantize(), gemm("a")], keep_order=keep_order)
        counts.add_uncounted("aten.relu", 10)
        assert Counts.from_json(counts.to_json()) == counts
        assert pickle.loads(pickle.dumps(counts)) == counts


def test_csv_returns_equal_records() -> None:
    counts = Counts([gemm("a"), gemm('b,"c"'), quantize(), gemm("a")])
    text = counts.to_csv()
    assert Counts.from_csv(text) == counts
    header, first, *_ = text.splitlines()
    row = dict(zip(header.split(","), first.split(",")[:2], strict=False))
    assert row == {"layer": "a", "pass_": "fwd"}


def test_rows_carry_the_derived_column() -> None:
    [row] = Counts([gemm(a="<8,4>", b="<4,0>")]).rows()
    assert row["bit_operations"] == 30 * 8 * 4
    assert row["pass_"] == "fwd"
    assert type(row["pass_"]) is str


def test_files_that_are_not_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="its kind is not 'fxsim counts'"):
        Counts.from_json("[]")
    with pytest.raises(ValueError, match="counts of version 9 given; this fxsim reads version 2"):
        Counts.from_json('{"kind": "fxsim counts", "version": 9}')
    with pytest.raises(ValueError, match="lacks 'columns'"):
        Counts.from_json('{"kind": "fxsim counts", "version": 2}')
    with pytest.raises(ValueError, match="a record of counts lacks layer"):
        Counts.from_csv("pass_,op\nfwd,linear\n")


def test_counts_describe_themselves() -> None:
    counts = Counts([gemm(), gemm()])
    counts.add_uncounted("aten.relu", 3)
    assert repr(counts) == "Counts(1 records of 2 calls, 60 macs, 1 ops uncounted)"
