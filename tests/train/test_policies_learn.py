"""Each precision-switching policy trains LeNet-5 on a few digits: it must learn, at the bits it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import fxsim as fx
from fxsim.policies import BlockGradientRule
from fxsim.ranges import Block
from fxsim.rng import Key
from fxsim.train import gradients
from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.learner import Learner
from fxsim.train.loop import train
from fxsim.train.recipe import recipe_for

LEAST = 0.6
"""Chance is 0.1; these 36 steps were seen to give 0.86 to 0.88 on the first 120 test images."""


def metrics(policy: str, folder: Path, **options: bool) -> list[dict[str, Any]]:
    config = TrainConfig(
        model="lenet5",
        data="digits",
        recipes=(recipe_for(policy, "lenet5", options),),
        environment=Environment.current(1),
        epochs=3,
        batch_size=16,
        train_limit=200,
        test_limit=120,
        count=policy == "pfq",
    )
    assert train(config, folder)
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("policy", "first", "last"),
    [("muppet", 8, 12), ("cpt", 3, 8), ("pfq", 3, 8), ("dfq", 4, 4), ("fractrain", 4, 4), ("sbm", 8, 8)],
)
def test_it_learns_digits(policy: str, first: int, last: int, tmp_path: Path) -> None:
    lines = metrics(policy, tmp_path / policy)
    training = [line for line in lines if line["split"] == "train"]
    assert {wl for wl, _ in training[0]["word_lengths"].values()} == {first}
    assert {wl for wl, _ in training[-1]["word_lengths"].values()} == {last}
    final = [line for line in lines if line["split"] == "test"][-1]
    assert final["finalized"]
    assert final["accuracy"] >= LEAST
    if policy == "pfq":  # three bits by three forward, six by three back; the last layer is float32
        shares = [line["bit_operations"] / (1024 * line["macs"]) for line in training]
        assert shares[0] == min(shares) < 0.03
        assert shares[-1] == max(shares) < 0.09


def test_muppet_learns_with_scales_for_each_image(tmp_path: Path) -> None:
    assert metrics("muppet", tmp_path / "run", per_sample=True)[-1]["accuracy"] >= LEAST
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    recipe = recipe_for("muppet", "lenet5", {"per_sample": True})
    learner = Learner(recipe, model, seed=0, total_steps=110, counting=False)
    overs = [layer.numerics.activation.over for _, layer in fx.nn.layers(learner.model)]  # type: ignore[union-attr]
    assert overs == ["sample", "tensor"]
    x = torch.tensor([[1.0, 2.0, 3.0], [0.001, 0.002, 0.003]])
    assert torch.isfinite(torch.tensor(learner.step((x, torch.tensor([0, 1])), 0).loss))


def test_a_block_gradient_rule_keeps_the_scale_and_names_the_layer() -> None:
    gradient = torch.tensor([[0.3, -1.0], [2e-4, 0.0]])
    treated = gradient.clone()
    rule = BlockGradientRule(Block(8))
    with fx.count() as counts:
        vanished = gradients.treat(treated, rule, fx.Format(8, 0), Key(1, 2), layer="fc.weight")
    assert not vanished
    assert treated[0, 1] == -1.0
    assert (treated - gradient).abs().max() < 2.0**-7
    assert [(record.layer, record.random_draws) for record in counts.records] == [("fc.weight", 4)]
    assert gradients.treat(torch.zeros(3), rule, fx.Format(8, 0), Key(1), layer="fc.bias")
    with pytest.raises(ValueError, match=r"fc.weight: range_quantize: the range is .*: an element is NaN or infinite"):
        gradients.treat(gradient * float("nan"), rule, fx.Format(8, 0), Key(1), layer="fc.weight")
