from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from fxsim.report.load import RunData, load
from fxsim.report.summary import summarize, table
from fxsim.report.text import count_text, duration_text, percent_text
from fxsim.train.runfolder import RunFolder

MakeUp = Callable[..., RunFolder]


@pytest.fixture
def data(made_up: MakeUp, tmp_path: Path) -> RunData:
    return load(made_up(tmp_path / "run", 5))


def test_word_lengths_of_the_summary(data: RunData) -> None:
    log = data.logs[0]
    summary = summarize(log)
    spans = log.spans()
    bits = sum(span.format.wl * (span.last - span.first + 1) for row in spans.values() for span in row)
    assert summary.word_length_average == pytest.approx(bits / (len(spans) * log.steps), rel=1e-12)
    assert summary.word_length_last == sum(row[-1].format.wl for row in spans.values()) / len(spans)
    assert summary.word_length_final == 19.0


def test_bit_operations_leave_structural_zeros_out(data: RunData) -> None:
    adapt, plain = map(summarize, data.logs)
    # of each layer's 12,800 macs the dgrad keeps 800, and dgrad and wgrad are float32
    forward = sum(wl * wl * line.steps for line in data.logs[0].train for wl, _ in line.word_lengths.values())
    whole = 5 * data.steps * 1024
    assert adapt.forward_bit_operations == forward / whole
    assert adapt.training_bit_operations == (12_800 * forward + 13_600 * whole) / (26_400 * whole)
    assert adapt.inference_bit_operations == 19 * 19 / 1024
    assert (plain.training_bit_operations, plain.inference_bit_operations) == (1.0, 1.0)
    assert adapt.macs == 3 * 12_800 * 5 * data.steps
    assert adapt.unpadded_macs == 26_400 * 5 * data.steps


def test_accuracies_are_those_of_the_last_evaluations(data: RunData) -> None:
    log = data.logs[0]
    summary = summarize(log)
    assert (summary.accuracy_before, summary.accuracy) == (log.test[-2].accuracy, log.test[-1].accuracy)
    assert summary.sparsity == log.test[-1].sparsity


def test_an_unfinished_run_shows_what_it_has(made_up: MakeUp, tmp_path: Path) -> None:
    data = load(made_up(tmp_path / "run", finished=False))
    summary = summarize(data.logs[0])
    assert summary.accuracy == summary.accuracy_before == data.logs[0].test[-1].accuracy
    assert math.isnan(summary.word_length_final)
    (row,) = [row for row in table(data) if row.label == "… after finalize"]
    assert row.values == ("–", "–")


def test_the_table_has_a_column_for_each_network(data: RunData) -> None:
    assert {len(row.values) for row in table(data)} == {2}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (1234, "1,234"),
        (99_999, "99,999"),
        (100_000, "100 k"),
        (12_345_678, "12.35 M"),
        (10**12, "1 T"),
        (3 * 10**15, "3 P"),
    ],
)
def test_counts_as_text(value: int | None, text: str) -> None:
    assert count_text(value) == text


def test_percentages_as_text() -> None:
    assert percent_text(0.98611, 2) == "98.61 %"
    assert percent_text(math.nan, 2) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.24, "3.2 s"), (59.99, "60.0 s"), (65, "1 min 05 s"), (3600, "1 h 00 min"), (7259, "2 h 00 min")],
)
def test_durations_as_text(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
