from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.recipe import recipe_for


@pytest.fixture
def small() -> Callable[..., TrainConfig]:
    """A configuration of 40 steps that take about a second: long enough for AdaPT to switch formats."""

    def make(*policies: str, **changes: Any) -> TrainConfig:
        recipes = tuple(recipe_for(policy, "lenet5") for policy in policies or ("adapt", "float32"))
        config = TrainConfig(
            model="lenet5",
            data="digits",
            recipes=recipes,
            environment=Environment.current(1),
            epochs=5,
            batch_size=8,
            train_limit=64,
            test_limit=24,
        )
        return dataclasses.replace(config, **changes)

    return make
