from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from fxsim.cli import comparing
from fxsim.cli.commands import fxsim
from fxsim.policies import POLICIES

SHORT = ("--batch-size", "8", "--test-limit", "24", "--threads", "1")


def table(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / comparing.TABLE).read_text())
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
    assert (tmp_path / "first" / "report.html").is_file()


def test_the_run_has_at_least_the_steps_asked_for() -> None:
    def sizes(steps: int) -> tuple[int, int]:
        arguments = comparing.Arguments(
            model="lenet5", data="digits", data_dir=None, policies="cpt", steps=steps, batch_size=64, seed=0,
            threads=1, test_limit=0, out=None,
        )  # fmt: skip
        config = comparing.configuration(arguments)
        return config.epochs, config.train_limit

    assert [sizes(steps) for steps in (5, 22, 23, 200)] == [(1, 320), (1, 0), (2, 0), (10, 0)]


def test_all_means_the_whole_table_with_the_baseline_first() -> None:
    assert comparing.chosen("all") == list(POLICIES)
    assert comparing.chosen("cpt, sbm,cpt") == ["float32", "cpt", "sbm"]
    with pytest.raises(click.UsageError, match="--policies: ctp: no such policy; give all, or float32, static"):
        comparing.chosen("ctp,sbm")
