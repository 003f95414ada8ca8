"""PFQ, DFQ and both against numbers from Fu et al. 2020 (FracTrain) and its published settings."""

from __future__ import annotations

import numpy as np
import pytest

from fxsim.policies import (
    DFQ,
    PFQ,
    DFQConfig,
    FracTrain,
    FracTrainConfig,
    LayerObservation,
    LayerShape,
    Observation,
    PFQConfig,
)
from fxsim.policies.fractrain.clock import epoch_length
from fxsim.policies.fractrain.cost import percent, product_costs, target_sign
from fxsim.policies.fractrain.indicator import Indicator, due_stage

LAYER = LayerShape("a", (1, 2), 0)


def observation(step: int, loss: float, penalty: float = 0.0) -> Observation:
    layer = LayerObservation("a", np.zeros((1, 2), np.float32), np.ones((1, 2), np.float32))
    return Observation(step, loss + penalty, (layer,), penalty)


@pytest.mark.parametrize(("bits", "numerator"), [((3, 6), 45), ((4, 6), 64), ((6, 8), 132), ((8, 8), 192)], ids=str)
def test_section_4_1_cost_of_each_stage_of_pfq(bits: tuple[int, int], numerator: int) -> None:
    forward, backward = bits
    assert product_costs(forward, forward, backward) / 3 == numerator / 3072
    assert (forward, backward) in PFQConfig().ladder


def test_section_4_1_cost_of_each_candidate_of_dfq() -> None:
    gating = DFQ().gating
    assert [round(cost * 1024) for cost in gating.costs] == [54, 64, 80, 104, 144]
    assert [round(percent(cost), 3) for cost in gating.costs] == [1.758, 2.083, 2.604, 3.385, 4.688]
    assert [each.weight.bits for each in gating.candidates] == [4] * 5
    assert [(each.activation.bits, each.grad_output.bits) for each in gating.candidates] == [
        (3, 6), (4, 6), (4, 8), (6, 8), (6, 12),
    ]  # fmt: skip


def test_section_3_3_sign_at_the_target_punishes_and_inside_the_range_rests() -> None:
    assert [target_sign(cost, 3.0) for cost in (2.9, 3.0, 3.1)] == [-1, 1, 1]
    assert [target_sign(cost, 1.5, 0.5) for cost in (1.4, 1.5, 1.9, 2.0)] == [-1, 0, 0, 1]
    assert DFQ(DFQConfig(beta=0.5)).gate_factor(2.0) == -0.5


def test_section_3_2_five_losses_that_agree_with_the_last_are_a_turn() -> None:
    indicator = Indicator(eps=0.1, alpha=0.5, turns=3)
    assert [indicator.add(loss) for loss in (1.0, 1.0, 1.0, 1.0)] == [False] * 4
    assert indicator.add(1.0)
    assert (indicator.stage, indicator.eps, indicator.history) == (1, 0.05, [])


def test_a_rising_loss_holds_the_turn_up() -> None:
    indicator = Indicator(eps=0.1, alpha=0.5, turns=3)
    assert not any(indicator.add(1.0 + 0.05 * epoch) for epoch in range(12))


def test_the_scale_freezes_after_ten_epochs_and_eps_shrinks_at_the_first_two_turns_only() -> None:
    indicator = Indicator(eps=0.8, alpha=0.5, turns=3)
    for _ in range(12):
        indicator.add(2.0)
    assert indicator.scale == 2.0
    for _ in range(30):
        indicator.add(1.0)
    assert (indicator.scale, indicator.stage, indicator.eps) == (2.0, 3, 0.2)
    assert indicator.history == []


def test_stage_i_begins_at_the_latest_after_its_share_of_the_run() -> None:
    assert [due_stage(step, 100, 3) for step in (0, 24, 25, 49, 50, 75, 100)] == [0, 0, 1, 1, 2, 3, 3]
    assert [epoch_length(total) for total in (10, 1000, 4000)] == [25, 25, 100]


def test_pfq_climbs_its_ladder_by_deadline_while_the_loss_still_falls() -> None:
    policy = PFQ()
    policy.plan(80)
    policy.start((LAYER,), 0)
    seen, reasons = [], []
    for step in range(80):
        numerics = policy.present()
        seen.append((numerics.weight.bits, numerics.activation.bits, numerics.grad_output.bits))
        decision = policy.observe(observation(step, 10.0 - 0.1 * step))
        reasons += [switch.reason for switch in decision.switches]
    assert [seen[step] for step in (0, 19, 20, 40, 60, 79)] == [
        (3, 3, 6), (3, 3, 6), (4, 4, 6), (6, 6, 8), (8, 8, 8), (8, 8, 8),
    ]  # fmt: skip
    assert reasons == ["deadline"] * 3


def test_pfq_climbs_by_indicator_when_the_loss_has_settled_and_a_penalty_does_not_count() -> None:
    policy = PFQ(PFQConfig(epoch_steps=2, total_steps=1000))
    policy.start((LAYER,), 0)
    switches = [policy.observe(observation(step, 1.0, penalty=step % 7.0)).switches for step in range(10)]
    assert [switch.reason for each in switches for switch in each] == ["indicator"]
    assert policy.stage == 1


def test_fractrain_raises_the_target_with_the_stage() -> None:
    policy = FracTrain(FracTrainConfig(total_steps=40))
    policy.start((LAYER,), 0)
    targets = []
    for step in range(40):
        targets.append(policy.target)
        policy.observe(observation(step, 10.0 - 0.1 * step))
    assert [targets[step] for step in (0, 10, 20, 30)] == [1.5, 2.0, 2.5, 3.0]
    assert [policy.sign(cost) for cost in (2.9, 3.2, 3.5)] == [-1, 0, 1]


def test_runs_of_unknown_length_and_wrong_settings_are_refused() -> None:
    for policy in (PFQ(), FracTrain()):
        with pytest.raises(ValueError, match=r"the length of the run is not known; give attach\(..., total_steps=\)"):
            policy.start((LAYER,), 0)
    with pytest.raises(ValueError, match="backward is '6,6'; give 4 numbers, as forward has"):
        PFQConfig(backward="6,6")
    with pytest.raises(ValueError, match="gradients is '6'; give 5 numbers, as activations has"):
        DFQConfig(gradients="6")
    with pytest.raises(ValueError, match="alpha is 0; give a number above 0 and at most 1"):
        PFQConfig(alpha=0)
