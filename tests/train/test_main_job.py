"""What the main job promises, on real data: AdaPT learns the digits, and its words stay narrow."""

from __future__ import annotations

from pathlib import Path

import pytest

from fxsim.report.load import load
from fxsim.report.summary import summarize
from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.loop import train
from fxsim.train.recipe import recipe_for
from fxsim.train.runfolder import RunFolder


@pytest.mark.slow
def test_adapt_learns_digits_within_24_bits(tmp_path: Path) -> None:
    config = TrainConfig(
        model="lenet5",
        data="digits",
        recipes=(recipe_for("adapt", "lenet5"),),
        environment=Environment.current(1),
        epochs=30,
        count=False,
    )
    assert train(config, tmp_path / "run")
    summary = summarize(load(RunFolder.open(tmp_path / "run")).logs[0])
    assert summary.accuracy >= 0.96
    assert summary.word_length_final <= 24
