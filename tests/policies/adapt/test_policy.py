import copy
import json
import math
from typing import Any

import numpy as np
import pytest

from fxsim.formats import Format
from fxsim.policies import AdaPT, AdaPTConfig, Decision, LayerObservation, LayerShape, Observation, Static, Switch
from fxsim.policies.adapt.push_down import push_down
from fxsim.policies.adapt.push_up import push_up
from fxsim.policies.adapt.trial import TRIAL_BITS
from fxsim.rng import Key, Role, stream, uniform_bits
from fxsim.rounding import Stochastic

SHAPES = (LayerShape("conv", (6, 1, 5, 5), 0), LayerShape("fc", (10, 84), 3))


class Training:
    """Gradients, losses and weights of a made-up run, a function of the step."""

    def __init__(self, seed: int = 0, *, vanished: bool = False, agreeing: bool = False, raw: bool = False) -> None:
        generator = np.random.default_rng(seed)
        self.weights = {layer.name: generator.normal(0, 0.1, layer.shape).astype(np.float32) for layer in SHAPES}
        self.vanished, self.agreeing, self.raw, self.seed = vanished, agreeing, raw, seed

    def observation(self, step: int, loss: float | None = None) -> Observation:
        return Observation(
            step, 2.0 / (step + 1) if loss is None else loss, tuple(self.layer(shape, step) for shape in SHAPES)
        )

    def layer(self, shape: LayerShape, step: int) -> LayerObservation:
        generator = np.random.default_rng((self.seed, shape.layer_id, 0 if self.agreeing else step + 1))
        gradient = generator.normal(0, 1, shape.shape)
        unit = (gradient / np.linalg.norm(gradient)).astype(np.float32)
        given = np.zeros_like(unit) if self.vanished else unit
        raw = given if self.raw else None
        return LayerObservation(shape.name, self.weights[shape.name], given, self.vanished, raw)


def run(policy: AdaPT, training: Training, steps: range) -> list[Decision]:
    return [policy.observe(training.observation(step)) for step in steps]


def switches(decisions: list[Decision]) -> list[Switch]:
    return [switch for decision in decisions for switch in decision.switches]


def started(**changes: Any) -> AdaPT:
    policy = AdaPT(AdaPTConfig(**changes))
    policy.start(SHAPES, seed=5)
    return policy


def test_every_layer_starts_in_the_start_format() -> None:
    decision = AdaPT().start(SHAPES, seed=0)
    assert decision.formats == {"conv": Format(8, 4), "fc": Format(8, 4)}
    assert decision.switches == ()


def test_numerics_round_everything_stochastically_to_the_layers_format() -> None:
    numerics = AdaPT(AdaPTConfig(random_bits=12)).numerics_for(Format(12, 6))
    assert numerics is not None
    for quantizer in (numerics.weight, numerics.activation, numerics.output, numerics.bias):
        assert quantizer is not None
        assert (quantizer.format, quantizer.rounding, quantizer.overflow) == (Format(12, 6), Stochastic(12), "saturate")
    assert (numerics.ste, numerics.carrier) == ("clipped", "round")
    assert (numerics.grad_output, numerics.grad_weight, numerics.grad_input) == (None, None, None)
    assert numerics.accumulator.format is None


def test_the_numerics_of_a_format_are_made_once() -> None:
    policy = AdaPT()
    assert policy.numerics_for(Format(12, 6)) is policy.numerics_for(Format(12, 6))
    assert policy.numerics_for(Format(12, 6)) != AdaPT(AdaPTConfig(random_bits=12)).numerics_for(Format(12, 6))


def test_section_7_lookbacks_of_agreeing_gradients_follow_the_published_map_from_the_first_step() -> None:
    """The first diversity is always 1. All gradients equal, it stays 1, and the lookback climbs 50, 67, 78 ..."""
    policy = started()
    seen = []
    for step in range(4):
        policy.observe(Training(agreeing=True).observation(step))
        seen.append(policy.state_dict()["layers"]["fc"]["lookback"])
    assert seen == [50, 67, 78, 86]


def test_a_switch_comes_when_the_lookback_has_passed_and_starts_the_count_again() -> None:
    policy = started()
    decisions = run(policy, Training(), range(60))
    first = next(switch for switch in switches(decisions) if switch.layer == "fc")
    assert first.details["gradients"] >= first.details["lookback"]
    assert first.step + 1 == first.details["gradients"]
    later = [switch for switch in switches(decisions) if switch.layer == "fc" and switch.step > first.step]
    assert all(switch.details["gradients"] < switch.step for switch in later)


def test_a_switch_is_push_down_then_push_up_with_the_policys_own_stream() -> None:
    policy, training = started(), Training()
    decisions = run(policy, training, range(60))
    switch = next(switch for switch in switches(decisions) if switch.layer == "fc")
    weight = training.weights["fc"]
    draws = uniform_bits(Key(5, stream(3, Role.POLICY, switch.step)), weight.size, TRIAL_BITS)
    down = push_down(weight, Format(8, 4), draws, resolution=int(switch.details["resolution"]))
    assert (down.format.wl, down.format.fl) == (switch.details["wl_min"], switch.details["fl_min"])
    assert down.loss_bits == switch.details["kl_bits"]
    u = math.log(switch.details["diversity"]) - 1
    assert u > 0
    steps = min(max(math.ceil(1 / u**2), 1), max(min(math.ceil(32 * u**2), 32) - down.format.fl, 1))
    assert switch.reason == "min"
    assert switch.new == push_up(down.format, steps, 8)


def test_section_5_a_vanished_layer_switches_after_lb_lwr_steps_to_the_widest_fraction() -> None:
    """Zero gradients count; a rule that skipped them would leave such a layer in its format for ever."""
    policy = started()
    decisions = run(policy, Training(vanished=True), range(60))
    found = [switch for switch in switches(decisions) if switch.layer == "fc"]
    assert [switch.step for switch in found] == [24, 49]
    assert {str(switch.new) for switch in found} == {"<32,24>"}
    assert {switch.reason for switch in found} == {"vanished"}
    assert all("diversity" not in switch.details for switch in found)


def test_section_5_zero_gradients_among_others_raise_the_diversity() -> None:
    policy, training = started(), Training(agreeing=True)
    for step in range(20):
        kind = Training(agreeing=True, vanished=step % 2 == 1)
        kind.weights = training.weights
        policy.observe(kind.observation(step))
    state = policy.state_dict()["layers"]["fc"]
    assert state["count"] == 20
    assert math.isclose(float(np.linalg.norm(state["gradient_sum"])), 10.0, rel_tol=1e-5)


def test_section_5_the_strategy_moves_before_the_layers_are_looked_at() -> None:
    """A loss that has stopped falling for longer than the mean lookback raises the strategy, step by step, to max."""
    policy = started()
    for step in range(130):
        policy.observe(Training().observation(step, loss=1.0))
    assert policy.strategy == "max"
    policy.observe(Training().observation(130, loss=0.5))
    assert policy.strategy == "min"


@pytest.mark.parametrize("wl_max", [16, 24, 32])
@pytest.mark.parametrize("buff", [4, 8])
def test_no_word_exceeds_wl_max_and_none_lacks_its_buffer(wl_max: int, buff: int) -> None:
    policy = started(wl_max=wl_max, buff=buff)
    decisions = run(policy, Training(), range(80)) + run(policy, Training(vanished=True), range(80, 140))
    new = [switch.new for switch in switches(decisions)]
    assert new
    assert all(format.wl <= wl_max and format.wl >= format.fl + buff and format.signed for format in new)


def test_finalize_is_push_down_and_one_step_for_every_layer() -> None:
    policy, training = started(), Training()
    run(policy, training, range(80))
    before = dict(policy.formats)
    decision = policy.finalize(training.weights, 80)
    assert [switch.layer for switch in decision.switches] == ["conv", "fc"]
    for switch in decision.switches:
        least = Format(int(switch.details["wl_min"]), int(switch.details["fl_min"]))
        assert (switch.reason, switch.step, switch.old) == ("finalize", 80, before[switch.layer])
        assert switch.new == push_up(least, 1, 8) == decision.formats[switch.layer] == policy.formats[switch.layer]


def test_finalize_brings_a_vanished_layer_down_from_32_bits() -> None:
    policy, training = started(), Training(vanished=True)
    run(policy, training, range(25))
    assert str(policy.formats["fc"]) == "<32,24>"
    assert policy.finalize(training.weights, 25).formats["fc"].wl < 28


def test_a_layer_without_a_gradient_is_left_as_it_is() -> None:
    policy, training = started(), Training()
    for step in range(60):
        policy.observe(Observation(step, 1.0, (training.layer(SHAPES[1], step),)))
    assert policy.formats["conv"] == Format(8, 4)
    assert policy.state_dict()["layers"]["conv"]["count"] == 0
    assert policy.formats["fc"] != Format(8, 4)


@pytest.mark.parametrize("push_up_rule", ["closed", "alg4"])
@pytest.mark.parametrize("stop", [1, 20, 37, 40])
def test_a_restored_policy_continues_to_the_same_decisions(push_up_rule: str, stop: int) -> None:
    training = Training(raw=push_up_rule == "alg4")
    straight = started(push_up=push_up_rule)
    expected = run(straight, training, range(80))
    first = started(push_up=push_up_rule)
    run(first, training, range(stop))
    second = AdaPT(AdaPTConfig(push_up=push_up_rule))  # type: ignore[arg-type]
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    run(first, training, range(stop, stop + 10))
    assert run(second, training, range(stop, 80)) == expected[stop:]
    assert second.finalize(training.weights, 80) == straight.finalize(training.weights, 80)


def test_the_state_is_plain_but_for_arrays_and_shares_no_memory() -> None:
    policy = started()
    run(policy, Training(), range(3))
    state = policy.state_dict()
    state["layers"]["fc"]["gradient_sum"].fill(9.0)
    assert policy.state_dict()["layers"]["fc"]["gradient_sum"].max() < 9.0
    json.dumps(state, default=lambda array: array.tolist())


def test_switches_hold_finite_numbers_only() -> None:
    found = switches(run(started(), Training(), range(90)))
    assert found
    for switch in found:
        assert all(math.isfinite(value) for value in switch.details.values())


def test_equal_seeds_give_equal_decisions_and_others_other_trial_losses() -> None:
    training = Training()
    first, again, other = AdaPT(), AdaPT(), AdaPT()
    for policy, seed in ((first, 1), (again, 1), (other, 2)):
        policy.start(SHAPES, seed)
    one, two, three = (switches(run(policy, training, range(60))) for policy in (first, again, other))
    assert one == two
    assert [switch.details["kl_bits"] for switch in one] != [switch.details["kl_bits"] for switch in three]


def test_observed_arrays_are_not_kept() -> None:
    policy, training = started(), Training(agreeing=True)
    observation = training.observation(0)
    policy.observe(observation)
    held = policy.state_dict()["layers"]["fc"]["gradient_sum"]
    observation.layers[1].gradient.fill(0.0)
    assert (policy.state_dict()["layers"]["fc"]["gradient_sum"] == held).all()


def test_start_begins_afresh() -> None:
    policy = started()
    run(policy, Training(), range(60))
    policy.start(SHAPES, seed=5)
    fresh = started()
    assert run(policy, Training(), range(60)) == run(fresh, Training(), range(60))


def test_refuses_states_of_others_and_runs_that_have_not_begun() -> None:
    policy = started()
    with pytest.raises(ValueError, match="saved by policy 'static', this one is 'adapt'; build the policy"):
        policy.load_state_dict(Static("<8,4>").state_dict())
    with pytest.raises(ValueError, match="saved with buff = 4, this adapt policy has 8; build it with the settings"):
        policy.load_state_dict(started(buff=4).state_dict())
    other = AdaPT()
    other.start((LayerShape("head", (2, 2)),), 0)
    with pytest.raises(ValueError, match="the state has the layers head, this run has conv, fc; build the model"):
        policy.load_state_dict(other.state_dict())
    with pytest.raises(RuntimeError, match=r"the run has not begun; call start\(\) or load_state_dict\(\) first"):
        AdaPT().observe(Training().observation(0))
    with pytest.raises(ValueError, match="no layers to decide on; give at least one weighted layer"):
        AdaPT().start((), 0)
    with pytest.raises(ValueError, match="the weights of fc are missing; give those of every layer"):
        policy.finalize({"conv": Training().weights["conv"]}, 1)


def test_section_5_a_switch_goes_by_the_strategy_of_its_own_step() -> None:
    """A window of 3: constant losses raise the strategy at steps 4 and 5; every third step is a switch."""
    policy = started(lb_lwr=3, lb_upr=3)
    decisions = [policy.observe(Training().observation(step, loss=1.0)) for step in range(9)]
    found = [(switch.step, switch.reason) for switch in switches(decisions) if switch.layer == "fc"]
    assert found == [(2, "min"), (5, "max"), (8, "max")]


@pytest.mark.parametrize("direction", ["quantized_original", "original_quantized"])
@pytest.mark.parametrize("eps", [0.1, 1e-3])
def test_push_down_is_given_the_layers_resolution_and_the_configured_eps_and_direction(
    direction: Any, eps: float
) -> None:
    wide = Format(28, 20)
    policy = started(start=wide, r_lwr=77, r_upr=77, eps=eps, kl_direction=direction)
    weight = Training().weights["fc"]
    switch = policy.finalize(Training().weights, 9).switches[1]
    draws = uniform_bits(Key(5, stream(3, Role.POLICY, 9)), weight.size, TRIAL_BITS)
    down = push_down(weight, wide, draws, resolution=77, eps=eps, direction=direction)
    assert switch.details["kl_bits"] == down.loss_bits
    assert (switch.details["wl_min"], switch.details["fl_min"]) == (down.format.wl, down.format.fl)


def test_algorithm_4_rounds_equal_gradients_with_different_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []

    def capture(least: Format, current: Format, gradients: Any, *, wl_max: int) -> Format:
        seen.extend(gradient.draws for gradient in gradients)
        return least

    monkeypatch.setattr("fxsim.policies.adapt.policy.search_format", capture)
    policy = started(push_up="alg4", lb_lwr=2, lb_upr=2)
    run(policy, Training(agreeing=True, raw=True), range(2))
    weight_draws = uniform_bits(Key(5, stream(3, Role.POLICY, 1)), 840, TRIAL_BITS)
    assert len(seen) == 4
    assert not (seen[2] == seen[3]).all()
    assert not (seen[2] == weight_draws).all()
