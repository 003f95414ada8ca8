from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from fxsim.formats import Format
from fxsim.report.load import load
from fxsim.train.runfolder import RunFolder

MakeUp = Callable[..., RunFolder]


def test_spans_are_the_formats_of_every_step(made_up: MakeUp, tmp_path: Path) -> None:
    log = load(made_up(tmp_path / "run", 10)).logs[0]
    spans = log.spans()
    assert all(len(row) > 2 for row in spans.values())
    for line in log.train:
        for layer, (wl, fl) in line.word_lengths.items():
            (span,) = [each for each in spans[layer] if each.first <= line.step <= each.last]
            assert span.format == Format(wl, fl)


def test_spans_join_without_gap_from_the_first_to_the_last_step(made_up: MakeUp, tmp_path: Path) -> None:
    log = load(made_up(tmp_path / "run", 10)).logs[0]
    for row in log.spans().values():
        assert row[0].first == 1
        assert row[-1].last == log.steps
        assert all(after.first == before.last + 1 for before, after in itertools.pairwise(row))


def test_floating_point_has_no_spans(made_up: MakeUp, tmp_path: Path) -> None:
    assert load(made_up(tmp_path / "run")).logs[1].spans() == {}


def test_lines_go_to_their_network(made_up: MakeUp, tmp_path: Path) -> None:
    data = load(made_up(tmp_path / "run"))
    assert [log.name for log in data.logs] == ["adapt", "float32"]
    for log in data.logs:
        assert {line.run for line in (*log.train, *log.test, *log.switches)} == {log.name}
        assert log.counts is not None
    assert data.finished
    assert data.steps == 66
