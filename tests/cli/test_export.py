"""`fxsim export`: golden vectors from the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import fxsim as fx
from fxsim.cli.commands import fxsim

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return lambda *arguments: CliRunner().invoke(fxsim, ["export", *arguments])


def failed(result: Result, status: int) -> str:
    """The message of a command that failed as it should, without a traceback, on one line."""
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    return " ".join(result.output.split())


def test_a_named_network_becomes_a_folder_that_verifies(run: Run) -> None:
    result = run(
        "vectors", "--format", "<8,6>", "--accumulator", "12 overflow=wrap", "--step", "--samples", "1", "--out", "v"
    )
    assert result.exit_code == 0, result.output
    assert re.search(r"0000-conv1-fwd +784 +6 +25 +<8,6> +<8,6> +<12,12> +<12,12> +[1-9][0-9,]*\n", result.output)
    assert "left out: fc2 wgrad bias_grad: a sum without products" in result.output
    assert f"Vectors: {Path('v').resolve()}" in result.output
    assert [each.accumulator for each in fx.export.read("v").vectors] == [fx.Accumulator(12, overflow="wrap")] * 14
    checked = run("verify", "v")
    assert checked.exit_code == 0, checked.output
    assert checked.output == f"14 vectors, 2,514,360 MACs: the same words and counts on {fx.isa.active()}\n"


def test_numerics_layers_and_passes_are_chosen(run: Run) -> None:
    numerics = fx.Numerics("<6,4>", "<8,4>", output="<8,4>,stochastic(4)", carrier="round")
    result = run(
        "vectors", "--numerics", numerics.to_text(), "--seed", "3", "--layer", "fc*", "--pass", "fwd", "--out", "v"
    )
    assert result.exit_code == 0, result.output
    written = fx.export.read("v").vectors
    assert [(each.layer, each.pass_, each.m, each.random.seed) for each in written] == [
        ("fc1", "fwd", 4, 3),
        ("fc2", "fwd", 4, 3),
    ]


def test_a_run_folder_is_read(run: Run) -> None:
    short = ("--epochs", "1", "--batch-size", "8", "--train-limit", "8", "--test-limit", "8", "--threads", "1")
    trained = CliRunner().invoke(fxsim, ["train", *short, "--out", "r"])
    assert trained.exit_code == 0, trained.output
    result = run("vectors", "r", "--samples", "2", "--out", "v")
    assert result.exit_code == 0, result.output
    assert fx.export.read("v").source.startswith("lenet5 of run r, network adapt, after step 1: one forward")


CONTRADICTIONS = [
    ((), "give RUN, or --format as in --format '<8,4>', or --numerics; one of them"),
    (("--format", "<8,4>", "--numerics", "{}"), "give RUN, or --format as in --format '<8,4>', or --numerics; one of"),
    (
        ("--numerics", "{}", "--accumulator", "9"),
        "--accumulator goes with --format; --numerics has accumulators of its",
    ),
    (("--format", "<8,4>", "--network", "x"), "--network names a network of a run folder; give RUN, or leave it out"),
    ((".", "--seed", "1", "--format", "<8,4>"), "says everything about the network; leave out --format, --seed"),
]


@pytest.mark.parametrize(("arguments", "message"), CONTRADICTIONS)
def test_options_that_contradict_each_other_are_refused(arguments: tuple[str, ...], message: str, run: Run) -> None:
    assert message in failed(run("vectors", "--out", "v", *arguments), 2)
    assert not Path("v").exists()


MISTAKES = [
    (("vectors", ".", "--out", "v"), "Error: . is not the folder of a run: it holds no config.toml"),
    (("vectors", "--format", "8", "--out", "v"), "Error: Numerics: weight: "),
    (("vectors", "--format", "<8,4>", "--layer", "fc9", "--out", "v"), "no integer product of layers fc9 and passes"),
    (("verify", "."), "Error: . holds no manifest.json: no export of vectors came to its end there"),
    (
        ("vectors", "--numerics", fx.Numerics("<16,8>", "<16,8>", output="<30,16>").to_text(), "--out", "v"),
        "Error: conv1: conv2d: float32 does not carry",
    ),
    (
        ("vectors", "--format", "<8,7>", "--accumulator", "9 overflow=error", "--out", "v"),
        "the accumulator overflows at output index",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_mistakes_are_one_message(arguments: tuple[str, ...], message: str, run: Run) -> None:
    assert message in failed(run(*arguments), 1)
