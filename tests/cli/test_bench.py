from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from fxsim.bench import table
from fxsim.bench.measure import Note, Outcome, Row, Settings, WrongBitsError
from fxsim.bench.table import BENCHES, Bench
from fxsim.cli import benching
from fxsim.cli.commands import fxsim

Run = Callable[..., Result]


def _quick(settings: Settings) -> Outcome:
    settings.watch(1, settings.rounds)
    yield Row("quick thing", "torch", float(settings.rounds), 2.0, 4.0)
    yield Note("a [peer] is not installed; install it with: pip install 'peer'")


def _slow(_settings: Settings) -> Outcome:
    yield Row("slow thing", "torch", 0.5, 1.0)


def _wrong(_settings: Settings) -> Outcome:
    raise WrongBitsError("sum: 1 of 2 elements have wrong bits; not timed")
    yield  # pragma: no cover


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    benches = {
        "quick": Bench("how quick is it?", _quick, 3, quick=True),
        "slow": Bench("how slow is it?", _slow, 3, quick=False),
        "wrong": Bench("how wrong is it?", _wrong, 3, quick=False),
    }
    for module in (table, benching):
        monkeypatch.setattr(module, "BENCHES", benches)
    monkeypatch.setattr("fxsim.bench.suite.BENCHES", benches)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    before = torch.get_num_threads()
    yield lambda *arguments: CliRunner().invoke(fxsim, ["bench", *arguments])
    torch.set_num_threads(before)


def test_without_a_name_the_quick_ones_run(run: Run) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    assert "quick: how quick is it?" in result.output
    assert re.search(r"quick thing +torch +3\.00 +2\.00 +4\.00 +met\n", result.output)
    assert "a [peer] is not installed; install it with: pip install 'peer'" in result.output
    assert "slow thing" not in result.output
    assert "one thread" in result.output


def test_rounds_threads_and_json_are_obeyed(run: Run) -> None:
    result = run("quick", "slow", "--rounds", "5", "--threads", "2", "--json", "deep/record.json")
    assert result.exit_code == 0, result.output
    record = json.loads(Path("deep/record.json").read_text())
    assert [section["name"] for section in record["sections"]] == ["quick", "slow"]
    assert record["sections"][0]["rows"][0]["ratio"] == 5.0
    assert record["machine"]["threads"] == torch.get_num_threads() == 2
    assert re.search(r"slow thing +torch +0\.500 +1\.00 +not met\n", result.output)


def test_markdown_is_all_that_is_printed(run: Run) -> None:
    result = run("slow", "--markdown")
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith("| slow | slow thing | torch | 0.500 |  | 1.00 |  | not met |\n")
    assert "how slow" not in result.stdout


def test_the_list_names_them_all_and_runs_none(run: Run) -> None:
    result = run("--list")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.output.splitlines()]
    assert [(line[0], line[-1]) for line in lines] == [("quick", "quick"), ("slow", "it?"), ("wrong", "it?")]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["quik"], 1, "Error: bench: quik is unknown; give some of quick, slow, wrong"),
        (["--all", "slow"], 2, "Error: --all runs every benchmark; leave out slow"),
        (["wrong"], 1, "Error: wrong: sum: 1 of 2 elements have wrong bits; not timed"),
        (["--rounds", "0"], 2, "Error: Invalid value for '--rounds': 0 is not in the range x>=1."),
    ],
)
def test_errors_say_what_to_do(run: Run, arguments: list[str], status: int, message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == status
    assert message in " ".join(result.output.split())


def test_all_runs_every_one_whatever_happens_to_another(run: Run) -> None:
    result = run("--all", "--json", "record.json")
    assert result.exit_code == 1
    for text in ("quick thing", "slow thing", "Error: wrong: sum: 1 of 2 elements have wrong bits; not timed"):
        assert text in result.output
    sections = json.loads(Path("record.json").read_text())["sections"]
    assert [(each["name"], each["failure"] is None) for each in sections] == [
        ("quick", True),
        ("slow", True),
        ("wrong", False),
    ]


def test_the_real_ones_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(fxsim, ["bench", "--list"])
    assert [line.split()[0] for line in result.output.splitlines()] == list(BENCHES)
