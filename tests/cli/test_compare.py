from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest
from click.testing import CliRunner

from fxsim.cli import comparing, training
from fxsim.cli.commands import fxsim
from fxsim.policies import POLICIES
from fxsim.report import comparison
from fxsim.train.learner import Batch, Learner
from fxsim.train.window import StepOutcome

SHORT = ("--batch-size", "8", "--test-limit", "24", "--threads", "1")


def table(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / comparing.TABLE).read_text())["rows"]
    return found


def test_one_table_of_all_policies_that_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = []
    for out in ("first", "second"):
        arguments = ["compare", "--policies", "static,pfq", "--steps", "4", *SHORT, "--out", out]
        result = CliRunner().invoke(fxsim, arguments)
        assert result.exit_code == 0, result.output
        for text in ("Policy", "Memory", "float32", "static", "pfq", "comparison.json", "report.html"):
            assert text in result.output
        results.append(table(tmp_path / out))
    assert results[0] == results[1]  # under one seed
    by_policy = {each["policy"]: each for each in results[0]}
    assert list(by_policy) == ["float32", "static", "pfq"]
    assert by_policy["float32"]["accuracy_gain"] == 0.0
    assert by_policy["float32"]["training_bit_operations"] == 1.0
    assert by_policy["static"]["inference_bit_operations"] == 0.25  # 16 by 16 bits
    assert by_policy["static"]["weight_memory"] == 0.5
    assert by_policy["pfq"]["weight_memory"] == pytest.approx((3 + 4 + 6 + 8) / 4 / 32)
    assert {each["failure"] for each in results[0]} == {""}
    assert (tmp_path / "first" / "report.html").is_file()
    about = json.loads((tmp_path / "first" / comparing.TABLE).read_text())
    command = "--policies static,pfq --steps 4 --batch-size 8 --seed 0 --test-limit 24 --threads 1"
    assert about["command"] == f"fxsim compare --model lenet5 --data digits {command}"
    assert ", commit " in about["machine"]
    for policy in by_policy:
        plot = ET.fromstring((tmp_path / "first" / policy / comparing.PLOT).read_text())
        assert plot.tag == "{http://www.w3.org/2000/svg}svg"


def test_a_policy_that_fails_has_a_row_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    real = Learner.step

    def failing(learner: Learner, batch: Batch, step: int) -> StepOutcome:
        if step == 2 and learner.recipe.name == "static":
            raise ValueError("step 2: the loss is nan: training has diverged; lower the learning rate")
        if learner.recipe.name == "pfq":
            raise RuntimeError("[no memory]")
        return real(learner, batch, step)

    monkeypatch.setattr(Learner, "step", failing)
    arguments = ["compare", "--policies", "static,pfq,terngrad", "--steps", "4", *SHORT, "--out", "here"]
    result = CliRunner().invoke(fxsim, arguments)
    assert result.exit_code == comparing.FAILED, result.output
    assert re.search(r"^static +failed +– ", result.output, re.MULTILINE)
    assert re.search(r"^terngrad +\d", result.output, re.MULTILINE)
    assert result.output.count("static failed: step 2: the loss is nan") == 2  # at once, and below the table
    assert "pfq failed: RuntimeError: [no memory]" in result.output
    rows = {each["policy"]: each for each in table(tmp_path / "here")}
    assert rows["static"]["failure"].startswith("step 2: the loss is nan: training has diverged")
    assert (rows["static"]["accuracy"], rows["static"]["accuracy_gain"]) == (None, None)
    assert rows["static"]["weight_memory"] == 0.5  # of the two steps before
    assert rows["terngrad"]["accuracy_gain"] is not None
    about, read = comparison.from_json((tmp_path / "here" / comparing.TABLE).read_text())
    assert [each.policy for each in read] == ["float32", "static", "pfq", "terngrad"]
    assert comparison.to_json(read, about) == (tmp_path / "here" / comparing.TABLE).read_text()
    assert "Traceback" in (tmp_path / "here" / "pfq" / comparing.FAILURE).read_text()

    monkeypatch.setattr(Learner, "step", real)
    again = CliRunner().invoke(fxsim, ["compare", "--resume", "--out", "here"])
    assert again.exit_code == 0, again.output
    assert {each["failure"] for each in table(tmp_path / "here")} == {""}
    assert not (tmp_path / "here" / "pfq" / comparing.FAILURE).exists()


def test_without_the_baseline_there_are_no_gains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    real = Learner.step

    def failing(learner: Learner, batch: Batch, step: int) -> StepOutcome:
        if learner.recipe.name == "float32":
            raise ValueError("no")
        return real(learner, batch, step)

    monkeypatch.setattr(Learner, "step", failing)
    result = CliRunner().invoke(fxsim, ["compare", "--policies", "static", "--steps", "2", *SHORT, "--out", "here"])
    assert result.exit_code == comparing.FAILED, result.output
    float32, static = table(tmp_path / "here")
    assert (float32["failure"], float32["weight_memory"]) == ("no", None)
    assert static["accuracy"] is not None
    assert static["accuracy_gain"] is None


def test_a_comparison_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["compare", "--policies", "static,sq", "--steps", "4", *SHORT, "--out"]
    whole = CliRunner().invoke(fxsim, [*arguments, "whole"])
    assert whole.exit_code == 0, whole.output
    real = Learner.step

    def stopping(learner: Learner, batch: Batch, step: int) -> StepOutcome:
        if step == 2 and learner.recipe.name == "static":
            os.kill(os.getpid(), signal.SIGINT)
        return real(learner, batch, step)

    monkeypatch.setattr(Learner, "step", stopping)
    stopped = CliRunner().invoke(fxsim, [*arguments, "parts"])
    assert stopped.exit_code == training.INTERRUPTED, stopped.output
    assert "Stopped. To go on:  fxsim compare --resume --out parts" in stopped.output
    assert not (tmp_path / "parts" / "sq").exists()
    monkeypatch.setattr(Learner, "step", real)
    assert CliRunner().invoke(fxsim, [*arguments, "parts"]).exit_code == 1  # it is not begun anew by accident
    (tmp_path / "parts" / "sq").mkdir()  # as a crash before the first checkpoint leaves it
    assert CliRunner().invoke(fxsim, ["compare", "--resume", "--out", "parts"]).exit_code == 0
    assert table(tmp_path / "parts") == table(tmp_path / "whole")


def test_a_second_ctrl_c_before_a_policy_s_first_checkpoint_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    real = Learner.prepare

    def interrupted(learner: Learner, *rest: Any) -> None:
        if learner.recipe.name == "static":
            raise KeyboardInterrupt
        real(learner, *rest)

    monkeypatch.setattr(Learner, "prepare", interrupted)
    arguments = ["compare", "--policies", "static", "--steps", "2", *SHORT]
    result = CliRunner().invoke(fxsim, [*arguments, "--out", "here"])
    assert result.exit_code == training.INTERRUPTED, result.output
    assert "Stopped at once. To go on:  fxsim compare --resume --out here" in result.output
    monkeypatch.setattr(Learner, "prepare", real)
    assert CliRunner().invoke(fxsim, ["compare", "--resume", "--out", "here"]).exit_code == 0
    assert [each["failure"] for each in table(tmp_path / "here")] == ["", ""]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--resume",), 2, "--resume needs --out, the folder of the comparison to go on with"),
        (("--resume", "--out", "x", "--steps", "3"), 2, "as it was started; leave out --steps"),
        (("--resume", "--out", "gone"), 1, "gone is not the folder of a comparison: it holds no compare.json"),
    ],
)
def test_what_cannot_be_gone_on_with_is_said(
    arguments: tuple[str, ...], status: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(fxsim, ["compare", *arguments])
    assert result.exit_code == status
    assert message in " ".join(result.output.split())


def test_the_run_has_at_least_the_steps_asked_for() -> None:
    def sizes(steps: int) -> tuple[int, int]:
        arguments = comparing.Arguments(
            model="lenet5", data="digits", data_dir=None, policies="cpt", steps=steps, batch_size=64, seed=0,
            threads=1, test_limit=0, out=None, resume=False,
        )  # fmt: skip
        config = comparing.configuration(arguments)
        return config.epochs, config.train_limit

    assert [sizes(steps) for steps in (5, 22, 23, 200)] == [(1, 320), (1, 0), (2, 0), (10, 0)]


def test_all_means_the_whole_table_with_the_baseline_first() -> None:
    assert comparing.chosen("all") == list(POLICIES)
    assert comparing.chosen("cpt, sbm,cpt") == ["float32", "cpt", "sbm"]
    with pytest.raises(click.UsageError, match="--policies: ctp: no such policy; give all, or float32, static"):
        comparing.chosen("ctp,sbm")
