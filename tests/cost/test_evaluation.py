"""Counts priced on a machine whose costs are easy to say, and what a report makes of them."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

import fxsim as fx
from fxsim.accumulator import Accumulator
from fxsim.cost.cost import Cost
from fxsim.cost.counting import count
from fxsim.cost.counts import Counts
from fxsim.cost.evaluation import evaluate, same_arithmetic
from fxsim.cost.figures import ADDITIVE, Figures
from fxsim.cost.report import LABELS, Report
from fxsim.cost.windows import Window
from fxsim.cost.work import Work
from fxsim.ops.records import OpRecord, Pass


@dataclass(frozen=True)
class Table:
    name: str = "unit energies"


@dataclass(frozen=True)
class Loop:
    """One multiply-accumulate a cycle, ten cycles to fill; a picojoule a mac, two a bit of main memory."""

    name: str = "loop"
    clock_hz: int | None = 1000
    energy: Table = field(default_factory=Table)
    accumulator: Accumulator = field(default_factory=Accumulator)

    def price(self, work: Work) -> Cost:
        none = np.zeros(len(work), np.int64)
        fill = 10 * work.gemms
        a, b, out = (
            elements * bits * work.calls
            for elements, bits in (
                (work.a_elements, work.a_bits),
                (work.b_elements, work.b_bits),
                (work.out_elements, work.out_bits),
            )
        )
        return Cost(
            cycles=work.macs + fill,
            compute_cycles=work.macs,
            fill_drain_cycles=fill,
            stall_cycles=none,
            last_index=work.macs + fill - 1,
            folds=work.gemms,
            mapping_efficiency=np.full(len(work), 0.5),
            utilization=work.macs / (work.macs + fill),
            sram_reads_a=work.macs,
            sram_reads_b=work.macs,
            sram_writes=work.out_elements * work.calls,
            sram_bits_a=work.macs * work.a_bits,
            sram_bits_b=work.macs * work.b_bits,
            sram_bits_out=out,
            sram_bits_psum=none,
            dram_bits_a=a,
            dram_bits_b=b,
            dram_bits_out=out,
            dram_bits_psum=none,
            energy_mac_pj=work.nz_macs * 1.0,
            energy_sram_pj=none * 1.0,
            energy_dram_pj=(a + b + out) * 2.0,
            binding=(fill > work.macs).astype(np.int64),
        )

    def arithmetic(self, a: str, b: str) -> Accumulator:  # noqa: ARG002
        return self.accumulator


def product(layer: str = "fc", pass_: Pass = Pass.FWD, **changes: object) -> OpRecord:
    values: dict[str, object] = {
        "layer": layer,
        "pass_": pass_,
        "op": "linear",
        "m": 4,
        "n": 3,
        "k": 5,
        "a": "<8,4>",
        "b": "<6,5>",
        "accumulator": "exact",
        "output": "<16,9>",
        "a_elements": 20,
        "b_elements": 15,
        "macs": 60,
        "zero_a_macs": 10,
        "zero_macs": 10,
        "nz_macs": 50,
        "elements_written": 12,
        "step_overflows": 2,
        "output_overflows": 1,
    }
    return OpRecord(**{**values, **changes})  # type: ignore[arg-type]


def quantization() -> OpRecord:
    return OpRecord(
        layer="fc",
        pass_=Pass.QUANTIZE,
        op="quantize",
        m=20,
        n=1,
        k=0,
        a="fp32",
        output="<8,4>",
        elements_read=20,
        elements_written=20,
    )


def test_a_row_for_each_layer_pass_and_format() -> None:
    counts = Counts([product(), product(), product("fc", Pass.DGRAD), product("conv", a="<9,4>"), quantization()])
    counts.add_uncounted("aten.tanh", 12)
    report = evaluate(Loop(), counts)
    assert [(row.layer, row.pass_, row.a) for row in report.rows] == [
        ("fc", "fwd", "<8,4>"),
        ("fc", "dgrad", "<8,4>"),
        ("conv", "fwd", "<9,4>"),
    ]
    figures = report.rows[0].figures
    assert figures == Figures(
        calls=2,
        macs=120,
        zero_macs=20,
        effective_macs=100,
        bit_operations=120 * 8 * 6,
        cycles=140,
        compute_cycles=120,
        fill_drain_cycles=20,
        compute_bound_cycles=140,
        capacity_macs=140.0,
        mapped_cycles=60.0,
        sram_a_bits=960,
        sram_b_bits=720,
        sram_out_bits=2 * 12 * 16,
        dram_a_bits=2 * 20 * 8,
        dram_b_bits=2 * 15 * 6,
        dram_out_bits=2 * 12 * 16,
        energy_mac_pj=100.0,
        energy_dram_pj=2.0 * 2 * (160 + 90 + 192),
        overflow_events=6,
        output_overflows=2,
        outputs=24,
    )
    assert (figures.utilization, figures.mapping_efficiency, figures.binding) == (120 / 140, 0.5, "compute")
    assert figures.cpt_effective_macs == 120 * 8 * 6 / 1024
    assert (figures.overflow_rate, figures.output_overflow_rate) == (6 / 120, 2 / 24)
    assert figures.energy_pj == 100.0 + 2.0 * 884
    assert [(each.op, each.calls, each.elements_written) for each in report.unpriced] == [("quantize", 1, 20)]
    assert [(each.op, each.elements_written) for each in report.uncounted] == [("aten.tanh", 12)]
    assert (report.accelerator, report.energy_table, report.seconds) == ("loop", "unit energies", 0.28)


def test_the_rows_add_up_to_the_counts() -> None:
    torch.manual_seed(0)
    model = fx.convert(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)), numerics())
    with count() as counts:
        model(torch.randn(2, 3, 8, 8)).square().sum().backward()
    report = evaluate(Loop(), counts)
    total = counts.total
    assert report.total.macs == total.macs
    assert report.total.effective_macs == total.nz_macs
    assert report.total.pad_macs == total.pad_macs
    assert report.total.bit_operations == total.bit_operations
    assert report.total.overflow_events <= total.overflow_events  # those of quantizers belong to no product
    for name in ADDITIVE:
        assert sum(getattr(figures, name) for figures in report.by("layer").values()) == getattr(report.total, name)
    assert {key[0] for key in report.by("pass_")} == {"fwd", "dgrad", "wgrad"}


def numerics() -> fx.Numerics:
    grad = fx.Quantizer(fx.Format(8, 10), fx.Stochastic(16))
    return fx.Numerics(weight=fx.Format(8, 6), activation=fx.Format(8, 5), grad_output=grad)


def test_floats_are_priced_as_32_bits() -> None:
    with count() as counts:
        torch.ones(4, 5) @ torch.ones(5, 3)
    [row] = evaluate(Loop(), counts).rows
    assert row.figures.bit_operations == 60 * 32 * 32
    assert row.figures.dram_a_bits == 20 * 32
    assert row.note == "cycles not tied to these bits: fp32 as torch adds it"


def test_cycles_and_bits_of_different_machines_are_named() -> None:
    counts = Counts([product(), product("narrow", accumulator="16")])
    exact = evaluate(Loop(), counts)
    assert exact.notes == ("cycles not tied to these bits: counted with 16, the array adds with exact",)
    assert [row.note == "" for row in exact.rows] == [True, False]
    narrow = evaluate(Loop(accumulator=Accumulator(16)), counts)
    assert [row.note == "" for row in narrow.rows] == [False, True]


SAME = [
    (Accumulator(), "exact", True),
    (Accumulator(20), "20", True),
    (Accumulator(20), "<20,9>", True),
    (Accumulator(20), "<20,8>", False),
    (Accumulator(20), "20 overflow=wrap", False),
    (Accumulator(20, overflow="wrap"), "20 overflow=wrap", True),
    (Accumulator(20), "20 bias=preload", True),
    (Accumulator(20, chunk=8, outer=Accumulator(20)), "20 chunk=8 outer=[<20,9>]", True),
    (Accumulator(20, chunk=8, outer=Accumulator(20)), "20 chunk=16 outer=[20]", False),
    (Accumulator(20), "20 k_order=cin_kh_kw", False),
]


@pytest.mark.parametrize(("own", "counted", "same"), SAME, ids=str)
def test_arithmetic_is_the_same_where_all_products_sum_alike(own: Accumulator, counted: str, same: bool) -> None:
    assert same_arithmetic(own, counted, "<8,4>", "<6,5>") is same


def test_windows_are_priced_one_by_one() -> None:
    early, late = Counts([product(), quantization()]), Counts([product(), product(a="<4,2>")])
    report = evaluate(Loop(), [Window(10, 10, early), Window(15, 5, late)])
    assert [(span.step, span.steps, span.figures.cycles) for span in report.spans] == [(10, 10, 70), (15, 5, 140)]
    assert Figures.total(span.figures for span in report.spans) == report.total
    assert [(row.a, row.figures.calls) for row in report.rows] == [("<8,4>", 2), ("<4,2>", 1)]
    whole = Counts([product(), quantization(), product(), product(a="<4,2>")])
    assert evaluate(Loop(), whole).rows == report.rows
    assert evaluate(Loop(), whole).unpriced == report.unpriced


def test_windows_survive_their_line() -> None:
    window = Window(15, 5, Counts([product(), quantization()]), run="adapt")
    assert Window.from_json(window.to_json()) == window
    with pytest.raises(ValueError, match=r"not a line of counts over time: \{\}"):
        Window.from_json("{}")


def test_reports_are_compared_by_layer_and_as_a_whole() -> None:
    wide, narrow = Counts([product(), product("conv")]), Counts([product(a="<4,4>"), product("conv")])
    comparison = evaluate(Loop(), wide).compare(evaluate(Loop(), narrow))
    assert comparison.by("layer")["fc",]["bit_operations"] == 0.5
    assert comparison.by("layer")["conv",]["bit_operations"] == 1.0
    assert comparison.ratios["bit_operations"] == 0.75
    assert comparison.ratios["cycles"] == 1.0
    assert math.isnan(comparison.ratios["stall_cycles"])
    rows = list(csv.DictReader(io.StringIO(comparison.to_csv())))
    assert [row["layer"] for row in rows] == ["fc", "conv", "total"]
    assert rows[-1]["bit_operations_ratio"] == "0.75"


UNITS = ("calls", "macs", "operations", "cycles", "bits", "pj", "events", "overflows", "outputs")
RATIOS = ("utilization", "efficiency", "rate", "per_cycle", "per_dram_bit")


def test_every_column_has_its_unit_in_its_name() -> None:
    [row] = evaluate(Loop(), Counts([product()])).table()
    for name in set(row) - {*LABELS, "note", "binding"}:
        assert name.endswith((*UNITS, *RATIOS)) or name.split("_")[-1] in UNITS, name


def test_csv_and_json_hold_the_rows() -> None:
    counts = Counts([product(), product("conv")])
    counts.add_uncounted("aten.tanh", 12)
    report = evaluate(Loop(), [Window(3, 3, counts)])
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert [int(row["cycles"]) for row in rows] == [70, 70]
    spans = list(csv.DictReader(io.StringIO(report.spans_to_csv())))
    assert [(span["step"], span["cycles"]) for span in spans] == [("3", "140")]
    content = json.loads(report.to_json())
    assert content["total"]["cycles"] == 140
    assert content["uncounted"] == [{"op": "aten.tanh", "calls": 1, "elements_written": 12}]


def test_what_is_no_number_is_null_in_json() -> None:
    report = evaluate(Loop(), Counts([product(elements_written=12, output_overflows=0)]))
    comparison = report.compare(report)
    assert math.isnan(comparison.ratios["stall_cycles"])
    assert json.loads(evaluate(Loop(clock_hz=None), Counts([product()])).to_json())["clock_hz"] is None
    assert "NaN" not in report.to_json()


def test_what_cannot_be_priced_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluate: no record multiplies; count a forward pass"):
        evaluate(Loop(), Counts([quantization()]))
    with pytest.raises(ValueError, match="by: 'kernel' is not a label; accepted: layer, pass_, op"):
        evaluate(Loop(), Counts([product()])).by("kernel")


def test_a_sum_too_large_for_its_column_is_refused() -> None:
    huge = {"m": 2**30, "n": 2**20, "k": 2**9, "macs": 2**59, "nz_macs": 2**59, "zero_a_macs": 0, "zero_macs": 0}
    counts = Counts([product(str(layer), **huge, a="<1,0>", b="<1,0>") for layer in range(8)])
    with pytest.raises(OverflowError, match="adds up to 2\\*\\*62 or more; evaluate the counts in parts"):
        evaluate(Loop(), [Window(1, 1, counts)])


def test_details_reach_the_machine() -> None:
    seen: list[Work] = []

    @dataclass(frozen=True)
    class Watching(Loop):
        def price(self, work: Work) -> Cost:
            seen.append(work)
            return super().price(work)

    a = fx.quantize(torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 1.0]]), "<4,0>")
    b = fx.quantize(torch.tensor([[1.0], [1.0], [0.0]]), "<4,0>")
    with count(level=2, group=(1, 2)) as counts:
        fx.matmul(a, b)
        fx.matmul(a, b)
        torch.ones(1, 3) @ torch.ones(3, 1)
    evaluate(Watching(), counts)
    [work] = seen
    detail = work.detail
    assert detail is not None
    assert detail.a_row_nnz is not None
    assert detail.a_row_nnz.tolist() == [2, 1, 2, 1, 3]
    assert detail.pair_nnz is not None
    assert detail.pair_nnz.tolist() == [1, 0, 1, 0, 3]
    assert detail.a_needed_bits is not None
    assert {b: n for b, n in enumerate(detail.a_needed_bits.counts[0].tolist()) if n} == {0: 2, 2: 4, 3: 2}
    assert {b: n for b, n in enumerate(detail.a_needed_bits.counts[1].tolist()) if n} == {32: 2}


def test_every_preset_evaluates_a_training_step_counted_closely_enough() -> None:
    torch.manual_seed(0)
    model = fx.convert(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)), numerics())
    with count(level=2, group=(16, 16)) as counts:
        model(torch.randn(2, 3, 8, 8)).square().sum().backward()
    for name, preset in fx.accelerators.PRESETS.items():
        accelerator = preset.build()
        report = accelerator.evaluate(counts)
        assert report.accelerator == accelerator.name, name
        assert report.total.macs == counts.total.macs
        assert report.total.cycles >= report.total.compute_cycles > 0
        assert report == evaluate(accelerator, counts)


def test_too_low_a_level_is_named() -> None:
    with pytest.raises(ValueError, match="level"):
        fx.accelerators.skipping().evaluate(Counts([product()]))


def test_reports_hold_plain_values() -> None:
    report = evaluate(Loop(), Counts([product()]))
    assert isinstance(report, Report)
    assert {type(getattr(report.total, name)) for name in ADDITIVE} == {int, float}
