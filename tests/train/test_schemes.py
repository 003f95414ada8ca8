"""Each published scheme learns: a minute net, digits, a few hundred samples."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from fxsim.train import loop
from fxsim.train.config import TrainConfig
from fxsim.train.recipe import Recipe, recipe_for
from fxsim.train.runfolder import RunFolder

CHANCE = 0.1


def final_accuracy(folder: Path) -> float:
    return [line for line in RunFolder(folder).metrics() if line.split == "test"][-1].accuracy


@pytest.mark.parametrize("policy", ["sakr", "sq", "terngrad", "binarynet", "dorefa", "wage", "flexpoint"])
def test_the_scheme_learns_digits_under_its_own_recipe(
    policy: str, small: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    options = {"images": 10} if policy == "sakr" else {}
    config = small(epochs=5, batch_size=16, train_limit=192, test_limit=120, count=False)
    config = dataclasses.replace(config, recipes=(recipe_for(policy, "lenet5", options),))
    assert loop.train(config, tmp_path / "run")
    assert final_accuracy(tmp_path / "run") > 4 * CHANCE


@pytest.mark.parametrize("policy", ["sakr", "sq", "terngrad", "binarynet", "dorefa", "wage"])
def test_a_stopped_run_goes_on_to_the_same_bits(policy: str, small: Callable[..., TrainConfig], tmp_path: Path) -> None:
    options = {"images": 4, "target": 0.3} if policy == "sakr" else {}
    config = small(epochs=1, batch_size=8, train_limit=48, test_limit=8, count=False)
    config = dataclasses.replace(config, recipes=(recipe_for(policy, "lenet5", options),))
    assert loop.train(config, tmp_path / "whole")
    asked = iter([False, False, True])
    assert not loop.train(config, tmp_path / "halves", stop=lambda: next(asked))
    assert loop.resume(tmp_path / "halves")
    whole, halves = (list(RunFolder(tmp_path / name).metrics()) for name in ("whole", "halves"))
    assert [dataclasses.replace(line, seconds=0.0) for line in halves] == [
        dataclasses.replace(line, seconds=0.0) for line in whole
    ]


def test_the_rate_that_falls_by_eighths_stays_a_power_of_two() -> None:
    recipe = Recipe(name="x", policy="float32", learning_rate=8.0, schedule="eighths")
    rates = [recipe.learning_rate_at(step, 12) for step in range(12)]
    assert rates == [8.0] * 8 + [1.0] * 2 + [0.125] * 2
