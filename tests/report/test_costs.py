"""A run priced on machines: tables, drawings, files, the section of the page, and the papers' models beside it."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fxsim.cost.accelerators import Accelerator, Memory, bitfusion, systolic
from fxsim.cost.counts import Counts
from fxsim.policies.adapt import performance
from fxsim.report import analytic, cost_figures, costs, page
from fxsim.report.load import RunData, load
from fxsim.report.text import si_text
from fxsim.train.runfolder import RunFolder

MakeUp = Callable[..., RunFolder]
MACHINES = (systolic(8, 8), bitfusion())


@pytest.fixture
def folder(made_up: MakeUp, tmp_path: Path) -> RunFolder:
    return made_up(tmp_path / "run")


@pytest.fixture
def data(folder: RunFolder) -> RunData:
    return load(folder)


def drawn(drawing: str) -> ET.Element:
    """Parsed, so well-formed; a standalone file has a namespace."""
    return ET.fromstring(re.sub(r' xmlns="[^"]*"', "", drawing))


def test_a_run_is_priced_window_by_window(data: RunData) -> None:
    log = data.logs[0]
    priced = costs.price(log, MACHINES[0])
    assert [(span.step, span.steps) for span in priced.training.spans] == [(w.step, w.steps) for w in log.windows]
    assert log.counts is not None
    assert priced.training.total.macs == log.counts.total.macs
    assert log.inference is not None
    assert priced.inference == MACHINES[0].evaluate(log.inference)
    assert priced.images == 64
    assert priced.name == "adapt on systolic 8x8 os"


def test_a_run_without_counts_over_time_is_refused(folder: RunFolder) -> None:
    (folder.path / "counts.jsonl").unlink()
    [log, _] = load(folder).logs
    assert (log.windows, log.inference) == ((), None)
    with pytest.raises(ValueError, match="adapt: the run kept no counts over time; train with --count"):
        costs.price(log, MACHINES[0])


def test_machines_are_kept_in_the_folder_and_come_back(folder: RunFolder) -> None:
    assert costs.accelerators(folder) == ()
    costs.keep(folder, MACHINES)
    assert set(costs.accelerators(folder)) == set(MACHINES)
    assert costs.slug("systolic 8x8 os / <2,3>") == "systolic-8x8-os-2-3"


def test_totals_are_relative_to_the_first(data: RunData) -> None:
    reports = [(each.name, each.training) for each in (costs.price(data.logs[0], machine) for machine in MACHINES)]
    table = costs.totals(reports)
    at = list(table.headings).index("Relative energy")
    assert table.rows[0][at] == "1"
    assert float(table.rows[1][at]) == pytest.approx(
        reports[1][1].total.energy_pj / reports[0][1].total.energy_pj, 0.01
    )
    time = list(table.headings).index("Time")
    assert table.rows[0][time] == "–"
    assert table.rows[1][time].endswith("s")


def test_the_table_of_layers_has_a_row_for_each_pass_and_format(data: RunData) -> None:
    report = costs.price(data.logs[1], MACHINES[0]).training
    table = costs.by_layer(report)
    assert len(table.rows) == len(report.rows) == 15
    assert {len(row) for row in table.rows} == {len(table.headings)}
    assert table.rows[0][:3] == ("conv1", "fwd", "fp32 × fp32")


def test_files_hold_what_was_priced(data: RunData, tmp_path: Path) -> None:
    priced = [costs.price(log, MACHINES[0]) for log in data.logs]
    written = costs.write_tables(tmp_path, priced)
    names = {path.name for path in written}
    for network in ("adapt", "float32"):
        for what in ("training.csv", "training.json", "inference.csv", "inference.json", "over-time.csv"):
            assert f"{network}-on-systolic-8x8-os-{what}" in names
        for what in ("cycles", "roofline", "energy", "over-time"):
            root = drawn((tmp_path / f"{network}-on-systolic-8x8-os-{what}.svg").read_text())
            assert root.tag == "svg"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "adapt-on-systolic-8x8-os-training.csv").read_text())))
    assert sum(int(row["cycles"]) for row in rows) == priced[0].training.total.cycles
    content = json.loads((tmp_path / "adapt-on-systolic-8x8-os-training.json").read_text())
    assert content["total"]["macs"] == priced[0].training.total.macs


def test_bars_are_as_long_as_what_they_show(data: RunData) -> None:
    report = costs.price(data.logs[0], MACHINES[0]).training
    root = drawn(cost_figures.cycles_by_layer(report))
    layers = [text.text for text in root.findall("text") if text.get("class") == "label name"]
    assert layers == ["conv1", "conv2", "conv3", "fc1", "fc2"]
    widths: dict[float, float] = {}
    for rect in root.findall("rect"):
        y = float(rect.get("y", ""))
        widths[y] = widths.get(y, 0.0) + float(rect.get("width", ""))
    longest = max(figures.cycles for figures in report.by("layer").values())
    for width, figures in zip(widths.values(), report.by("layer").values(), strict=True):
        assert width == pytest.approx(720.0 * figures.cycles / longest, abs=0.3)


def test_the_roofline_has_a_dot_for_each_layer_and_pass_under_its_roofs(data: RunData) -> None:
    slow = Accelerator("slow", systolic(8, 8).engine, memory=Memory(dram_bits_per_cycle=16))
    report = costs.price(data.logs[0], slow).training
    root = drawn(cost_figures.roofline(report, 16))
    assert len(root.findall("circle")) == 15
    assert len(root.findall("polyline")) == 1
    assert drawn(cost_figures.roofline(report, None)).findall("polyline") == []


def test_the_page_has_the_section_once_machines_are_kept(folder: RunFolder) -> None:
    page.write(folder)
    assert "Cost on described hardware" not in folder.report.read_text()
    costs.keep(folder, MACHINES)
    page.write(folder)
    text = folder.report.read_text()
    assert "<h2>Cost on described hardware</h2>" in text
    labels = re.findall(r'aria-label="(.*?)"', text)
    for machine in MACHINES:
        assert f"Cycles of each layer on {machine.name}" in labels
        assert f"Roofline of {machine.name}" in labels
        assert f"adapt on {machine.name}" in text
        assert f"float32 on {machine.name}" in text
    assert "cycles not tied to these bits: fp32 as torch adds it" in text
    assert "tanh (" in text


def test_adapt_s_model_stands_beside_what_was_counted(data: RunData) -> None:
    found = analytic.adapt(data.logs[0])
    assert found is not None
    eq, tables, counted = found
    steps = analytic.trace(data.logs[0])
    assert len(steps) == data.steps
    assert [layer.elements for layer in steps[0]] == [200] * 5
    assert {layer.operations for layer in steps[0]} == {64 * 10 * 20 / 64}
    assert (eq, tables) == (performance.costs(steps), performance.costs(steps, profile="tables"))
    assert 1.0 < counted.speedup < 1.5
    assert counted.size == pytest.approx(32 / 19, rel=0.03)  # <19,11> everywhere, some weights being zero
    assert counted.memory < 1.0
    assert analytic.adapt(data.logs[1]) is None
    table = costs.analytic_table(data.logs[0])
    assert table is not None
    assert [row[0] for row in table.rows] == [
        "SU, training",
        "SU, inference",
        "SZ, size of the model",
        "MEM, memory of training",
    ]
    assert costs.analytic_table(data.logs[1]) is None


def test_sakr_s_costs_are_those_of_the_last_formats(data: RunData) -> None:
    found = analytic.sakr_costs(data.logs[0])
    assert found is not None
    ours, full = found
    wl = data.logs[0].train[-1].word_lengths
    assert ours.weight_bits == sum(200 * (wl[layer][0] + 64) for layer in wl)
    assert full.weight_bits == 5 * 200 * 96
    assert ours.sent_bits == full.sent_bits == 5 * 200 * 32
    assert analytic.sakr_costs(data.logs[1]) is None


def test_sakr_s_costs_of_a_run_that_ends_in_float32(data: RunData) -> None:
    """As MuPPET's does: its last products are torch's, which bear no layer's name."""
    log = data.logs[0]
    last = log.windows[-1]
    unnamed = [replace(record, layer="") for record in last.counts.records]
    ended = replace(log, windows=(*log.windows[:-1], replace(last, counts=Counts(unnamed))))
    found = analytic.sakr_costs(ended)
    assert found is not None
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "J", "0 J"),
        (950, "", "950"),
        (12_346, "", "12.35 k"),
        (1.5e6, "", "1.5 M"),
        (3.1e-3, "s", "3.1 ms"),
        (2e-13, "J", "0.2 pJ"),
        (float("nan"), "s", "–"),
    ],
)
def test_quantities_have_prefixes(value: float, unit: str, text: str) -> None:
    assert si_text(value, unit) == text
