from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fxsim as fx
from fxsim.policies import CPT, CPTConfig
from fxsim.train.attach import Run
from fxsim.train.convert_for import convert_for
from fxsim.train.learner import Learner
from fxsim.train.range_test import RangeTest, range_test
from fxsim.train.recipe import recipe_for


def batches(count: int = 40) -> list[tuple[Tensor, Tensor]]:
    """Which of four coordinates is the greatest: easy, but not for three levels of weight."""
    chance = torch.Generator().manual_seed(0)
    x = [torch.randn(32, 4, generator=chance) for _ in range(count)]
    return [(each, each.argmax(1)) for each in x]


def started(total_steps: int = 10000, high: int = 6) -> tuple[Run, torch.optim.Optimizer]:
    torch.manual_seed(0)
    policy = CPT(CPTConfig(high=high))
    model = convert_for(policy, nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 4)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return fx.attach(policy, model, optimizer, total_steps=total_steps), optimizer


def test_restart_takes_the_least_precision_near_the_best_and_puts_everything_back() -> None:
    run, optimizer = started()
    before = [parameter.detach().clone() for parameter in run.model.parameters()]
    numerics = run.model[0].numerics  # type: ignore[index]
    random = torch.get_rng_state()
    found = range_test(run, optimizer, batches(), F.cross_entropy)
    assert list(found.accuracies) == [2, 3, 4, 5, 6]
    assert found.low == min(b for b, a in found.accuracies.items() if a >= max(found.accuracies.values()) - 0.02)
    assert found.accuracies[found.low] > 0.5
    assert found.steps == 200
    assert all(map(torch.equal, before, run.model.parameters()))
    assert not optimizer.state_dict()["state"]
    assert run.model[0].numerics == numerics  # type: ignore[index]
    assert torch.equal(torch.get_rng_state(), random)
    assert range_test(run, optimizer, batches(), F.cross_entropy) == found


def test_the_articles_rule_stops_at_the_first_rise_and_warns() -> None:
    run, optimizer = started()
    with pytest.warns(UserWarning, match="answers 2 bits whenever the network learns at 2 bits at all"):
        found = range_test(run, optimizer, batches(), F.cross_entropy, mode="continue")
    assert found == RangeTest(found.low, found.accuracies, 40 * len(found.accuracies))
    assert list(found.accuracies) == list(range(2, found.low + 1))


def test_a_dear_test_is_refused_unless_forced() -> None:
    run, optimizer = started(total_steps=100)
    with pytest.raises(ValueError, match="10 steps are more than a tenth of a run of 90; give fewer batches"):
        range_test(*started(total_steps=90), batches(2), F.cross_entropy)
    assert range_test(run, optimizer, batches(3), F.cross_entropy, force=True).steps == 15


def test_other_policies_and_empty_batches_are_refused() -> None:
    run, optimizer = started()
    with pytest.raises(ValueError, match="range_test: there are no batches; give about 100"):
        range_test(run, optimizer, [], F.cross_entropy)
    with pytest.raises(ValueError, match="range_test: mode is 'stop'; give restart or continue"):
        range_test(run, optimizer, batches(1), F.cross_entropy, mode="stop")  # type: ignore[arg-type]
    model = nn.Linear(2, 2)
    plain = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TypeError, match="range_test: the policy is float32: only cpt has a lower bound to find"):
        range_test(fx.attach(fx.policies.Float32(), model, plain), plain, batches(1), F.cross_entropy)


def test_a_run_finds_its_own_lower_bound_before_the_first_step() -> None:
    def learner(batches_each: int) -> Learner:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 4))
        recipe = recipe_for("cpt", "lenet5", {"range_test": batches_each, "high": 6})
        return Learner(recipe, model, seed=0, total_steps=1000, counting=False)

    tested, plain = learner(20), learner(0)
    for each in (tested, plain):
        each.prepare(iter(batches(30)))
    assert isinstance(tested.run.policy, CPT)
    low = tested.run.policy.low
    assert 2 <= low <= 6
    assert {form.wl for form in tested.run.formats.values()} == {low}
    assert {form.wl for form in plain.run.formats.values()} == {3}
    assert all(map(torch.equal, tested.model.parameters(), plain.model.parameters()))
