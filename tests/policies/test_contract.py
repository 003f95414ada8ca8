"""What every policy of the table promises, on small networks of every kind."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fxsim as fx
from fxsim import models
from fxsim.policies import POLICIES, Policy, build
from fxsim.train.convert_for import convert_for
from fxsim.train.recipe import recipe_for

STEPS = 3


class Transformer(nn.Module):
    """One block: attention of two heads over eight tokens. Scores, softmax and normalisation are float."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.norm = nn.LayerNorm(8)
        self.queries, self.keys, self.values = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        y = self.norm(x)
        queries, keys, values = (
            layer(y).unflatten(2, (2, 4)).transpose(1, 2) for layer in (self.queries, self.keys, self.values)
        )
        scores = (queries @ keys.transpose(2, 3) / 2.0).softmax(3)
        x = x + self.mix((scores @ values).transpose(1, 2).flatten(2))
        return self.head(x.mean(1))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 10))


def resnet20() -> nn.Module:
    model = models.build("resnet20", 10, 1)
    model.pool = nn.AdaptiveAvgPool2d(1)
    return model


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "lenet5": (lambda: models.build("lenet5", 10, 1), (2, 1, 32, 32)),
    "alexnet": (lambda: models.build("alexnet", 10, 3), (2, 3, 32, 32)),
    "resnet20": (resnet20, (2, 1, 8, 8)),
    "mlp": (mlp, (4, 1, 4, 4)),
    "transformer": (Transformer, (4, 8, 4)),
}

SMALL = ("mlp", "transformer")


class Training:
    """A policy at work on a network; steps are numbered on."""

    def __init__(self, name: str, network: str, options: dict[str, Any] | None = None) -> None:
        make, self.shape = NETWORKS[network]
        self.policy: Policy = build(name, options)
        recipe = recipe_for(name, "lenet5")
        torch.manual_seed(0)
        self.model = convert_for(self.policy, make(), seed=3)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum)
        self.run = fx.attach(self.policy, self.model, self.optimizer, total_steps=40)

    def step(self, number: int) -> float:
        chance = torch.Generator().manual_seed(number)
        x = torch.randn(self.shape, generator=chance)
        y = torch.randint(10, self.shape[:1], generator=chance)
        loss = nn.functional.cross_entropy(self.model(x), y)
        total = loss + self.run.penalty()
        total.backward()
        self.run.step(total)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(loss.detach())

    def state(self) -> bytes:
        parts = (self.model.state_dict(), self.optimizer.state_dict(), self.run.state_dict())
        return pickle.dumps(parts)

    def load(self, state: bytes) -> None:
        model, optimizer, run = pickle.loads(state)
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        self.run.load_state_dict(run)


def weights(training: Training) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in training.model.parameters()]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_trains_every_kind_of_network_within_bounds(name: str, network: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tiny batches: range normalisation warns of few values
        training = Training(name, network)
        before = weights(training)
        assert torch.isfinite(torch.tensor(training.step(0)))
        for layer, form in training.run.formats.items():
            assert 1 <= form.wl <= 32, layer
            assert -64 <= form.fl <= 64, layer
        assert 1 <= training.run.mean_word_length <= 32
        assert not all(map(torch.equal, before, weights(training)))
        training.run.finalize()
        training.model.eval()
        x = torch.randn(training.shape)
        with torch.no_grad():
            first = training.model(x)
            assert torch.equal(first, training.model(x))
        assert first.shape == (training.shape[0], 10)
        assert torch.isfinite(first).all()


@pytest.mark.parametrize("network", SMALL)
@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_repeats_itself_under_a_seed(name: str, network: str) -> None:
    first, second = Training(name, network), Training(name, network)
    assert [first.step(number) for number in range(STEPS)] == [second.step(number) for number in range(STEPS)]
    assert all(map(torch.equal, weights(first), weights(second)))
    assert first.run.formats == second.run.formats


@pytest.mark.parametrize("network", SMALL)
@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(name: str, network: str) -> None:
    first, second = Training(name, network), Training(name, network)
    for number in range(STEPS):
        first.step(number)
    second.load(first.state())
    assert [first.step(number) for number in range(STEPS, 2 * STEPS)] == [
        second.step(number) for number in range(STEPS, 2 * STEPS)
    ]
    assert all(map(torch.equal, weights(first), weights(second)))
    assert first.run.formats == second.run.formats
    assert first.run.mean_word_length == second.run.mean_word_length


@pytest.mark.parametrize("name", POLICIES)
def test_a_copy_of_a_model_computes_the_same(name: str) -> None:
    training = Training(name, "mlp")
    training.step(0)
    training.model.eval()
    twin = copy.deepcopy(training.model)
    x = torch.randn(training.shape)
    with torch.no_grad():
        assert torch.equal(twin(x), training.model(x))
