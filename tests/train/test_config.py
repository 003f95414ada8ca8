from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.recipe import Recipe, recipe_for

Small = Callable[..., TrainConfig]


@pytest.fixture
def config(small: Small) -> TrainConfig:
    return small("adapt", "static", "float32")


def test_the_text_gives_the_configuration_back(config: TrainConfig) -> None:
    again = TrainConfig.from_toml(config.to_toml())
    assert again == config.with_full_options()
    assert again.to_toml() == config.to_toml()


def test_floats_survive_the_text_bit_for_bit(config: TrainConfig) -> None:
    odd = dataclasses.replace(config.recipes[0], learning_rate=0.1 + 0.2, weight_decay=1e-8 / 3)
    again = TrainConfig.from_toml(dataclasses.replace(config, recipes=(odd,)).to_toml())
    assert (again.recipes[0].learning_rate, again.recipes[0].weight_decay) == (0.1 + 0.2, 1e-8 / 3)


def test_every_option_of_the_policy_is_written_down(config: TrainConfig) -> None:
    options = tomllib.loads(config.to_toml())["recipes"][0]["options"]
    assert options == recipe_for("adapt", "lenet5").full_options()
    assert options["buff"] == 8
    assert options["start"] == "<8,4>"


def test_the_environment_is_written_down(config: TrainConfig) -> None:
    written = tomllib.loads(config.to_toml())["environment"]
    assert written == dataclasses.asdict(Environment.current(1))
    assert set(written) == {"fxsim", "python", "numpy", "torch", "torch_build", "cpu_capability", "threads"}


def test_a_seed_of_64_bits_has_a_text(small: Small) -> None:
    # TOML integers have 64 bits with a sign, so the largest seeds are the ones a naive file would lose
    config = small(seed=2**64 - 1)
    assert TrainConfig.from_toml(config.to_toml()).seed == 2**64 - 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version = 1", "version = 2", "version is 2; give 1, which this fxsim reads"),
        ("epochs = 5", "epochs = 0", "epochs is 0; give 1 or more"),
        ("epochs = 5", "epoch = 5", "epoch: no such key; accepted: model, data, recipes"),
        ("batch_size = 8", "batch_size = [", "not a TOML file"),
        ('policy = "adapt"', 'policy = "adopt"', "policy 'adopt' is unknown; give one of float32, static, adapt"),
        ("buff = 8", "buf = 8", "policy 'adapt' has no option buf"),
        ('model = "lenet5"\n', "", "model: missing"),
        ("momentum = 0.9", "momentum = 1.0", "momentum is 1.0; give 0 or more, below 1"),
        ('schedule = "cosine"', 'schedule = "step"', "schedule is 'step'; give cosine or constant"),
    ],
)
def test_a_wrong_file_is_refused_by_name(config: TrainConfig, old: str, new: str, message: str) -> None:
    text = config.to_toml()
    assert old in text
    with pytest.raises(ValueError, match=message):
        TrainConfig.from_toml(text.replace(old, new))


def test_two_networks_need_two_names(small: Small) -> None:
    with pytest.raises(ValueError, match="recipes is named float32, float32; give each a name of its own"):
        small("float32", "float32")


@pytest.mark.parametrize(("step", "rate"), [(0, 0.03), (50, 0.03 * 0.5 * (1 + 2**0.5 / 2)), (100, 0.015), (200, 0.0)])
def test_cosine_falls_from_the_first_rate_to_zero(step: int, rate: float) -> None:
    recipe = Recipe(name="r", policy="float32", learning_rate=0.03)
    assert recipe.learning_rate_at(step, 200) == pytest.approx(rate, abs=1e-17)


def test_constant_stays() -> None:
    recipe = Recipe(name="r", policy="float32", learning_rate=0.03, schedule="constant")
    assert {recipe.learning_rate_at(step, 200) for step in range(200)} == {0.03}


@pytest.mark.parametrize(("model", "gain"), [("lenet5", 0.5), ("alexnet", 2.0), ("resnet20", 0.5)])
def test_deep_plain_nets_start_with_the_larger_gain(model: str, gain: float) -> None:
    assert recipe_for("adapt", model).gain == gain


def test_differences_name_what_decides_bits() -> None:
    here = Environment.current(2)
    there = dataclasses.replace(here, threads=4, torch_build="other", python="9.9")
    assert here.differences(here) == ()
    assert here.differences(there) == (f"torch_build: {here.torch_build}, now other", "threads: 2, now 4")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kept_weights": "<30,20>"}, "Recipe: kept_weights is '<30,20>'; give a format that torch.float32 carries"),
        ({"kept_momentum": "<60,20>"}, "Recipe: kept_momentum is '<60,20>'; give a format that torch.float64 carries"),
        ({"kept_momentum": "<16,8>", "momentum": 0.0}, "Recipe: kept_momentum is '<16,8>'; give it with momentum"),
        ({"kept_weights": "16.8"}, "16.8"),
    ],
)
def test_what_cannot_be_kept_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Recipe(name="r", policy="float32", learning_rate=0.03, **changes)
