"""Whatever a policy makes a network compute in, what a training step executes can be priced."""

from __future__ import annotations

import logging

import pytest
import torch

from fxsim import models
from fxsim.cost.accelerators import systolic
from fxsim.policies import POLICIES
from fxsim.train.learner import Learner
from fxsim.train.recipe import recipe_for

MEASURING = ("sakr",)  # it trains a float network first; its formats are those of any Numerics


@pytest.mark.parametrize("policy", [name for name in POLICIES if name not in MEASURING])
def test_a_step_under_every_policy_is_priced(policy: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    torch.manual_seed(0)
    model = models.build("lenet5", 10, 1)
    learner = Learner(recipe_for(policy, "lenet5"), model, seed=0, total_steps=300, counting=True)
    counts = learner.step((torch.rand(2, 1, 32, 32), torch.tensor([3, 7])), 0).counts
    assert counts is not None
    counts.check()
    report = systolic(8, 8).evaluate(counts)
    assert report.total.macs == counts.total.macs
    assert report.total.bit_operations == counts.bit_operations
    assert report.total.cycles > 0
