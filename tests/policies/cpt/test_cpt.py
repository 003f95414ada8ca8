"""Cyclic precision against numbers from Fu et al. 2021 (CPT) and from its formula, worked out by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fxsim.policies import CPT, CPTConfig, LayerObservation, LayerShape, Observation
from fxsim.policies.cpt.schedule import cost_ratio, cycles_for, cyclic_bits

LAYERS = (LayerShape("a", (2, 3), 0), LayerShape("b", (3, 4), 1))


def cycle(length: int, low: int, high: int) -> list[int]:
    return [cyclic_bits(t, length, 1, low, high) for t in range(length)]


def observation(step: int) -> Observation:
    layers = tuple(
        LayerObservation(each.name, np.zeros(each.shape, np.float32), np.ones(each.shape, np.float32))
        for each in LAYERS
    )
    return Observation(step, 1.0, layers)


def test_equation_1_counts_of_a_cycle_of_2000_steps_from_3_to_8_bits() -> None:
    assert Counter(cycle(2000, 3, 8)) == {3: 410, 4: 329, 5: 261, 6: 262, 7: 329, 8: 409}


@pytest.mark.parametrize(
    ("low", "high", "gradient", "cost", "saving"),
    [(3, 8, 8, 0.039579, 36.67), (3, 6, 6, 0.024593, 30.05), (4, 8, 8, 0.043683, 30.11), (3, 6, 8, 0.030451, 29.13)],
)
def test_section_4_costs_of_a_cycle_of_2000_steps(
    low: int, high: int, gradient: int, cost: float, saving: float
) -> None:
    found = cost_ratio((bits, gradient) for bits in cycle(2000, low, high))
    static = cost_ratio([(high, gradient)])
    assert found == pytest.approx(cost, abs=5e-7)
    assert 100 * (1 - found / static) == pytest.approx(saving, abs=5e-3)


@pytest.mark.parametrize(
    ("length", "cost"), [(5, 0.03535), (10, 0.03792), (20, 0.03877), (50, 0.03925), (100, 0.03941)]
)
def test_short_cycles_cost_a_little_less(length: int, cost: float) -> None:
    assert cost_ratio((bits, 8) for bits in cycle(length, 3, 8)) == pytest.approx(cost, abs=5e-6)
    assert cost_ratio([(8, 8)]) == 0.0625


def test_a_cycle_begins_low_ends_high_and_what_is_left_over_stays_high() -> None:
    bits = [cyclic_bits(t, 103, 2, 3, 8) for t in range(103)]
    assert (bits[0], bits[50], bits[51], bits[101], bits[102]) == (3, 8, 3, 8, 8)


def test_ties_are_even_whatever_the_last_digit_of_the_cosine() -> None:
    assert cyclic_bits(1, 3, 1, 2, 4) == 2  # 2.5
    assert cyclic_bits(2, 3, 1, 2, 4) == 4  # 3.5
    assert cyclic_bits(1, 2, 1, 3, 8) == 6  # 5.5


def test_cycles_are_at_least_20_steps_long() -> None:
    assert [cycles_for(total, 32) for total in (10, 39, 40, 640, 64000)] == [1, 1, 2, 32, 32]


def test_the_policy_follows_the_schedule_and_ends_with_the_upper_bound() -> None:
    policy = CPT(CPTConfig(cycles=2))
    policy.plan(80)
    policy.start(LAYERS, 0)
    seen = [policy.present().weight.bits]
    for step in range(79):
        decision = policy.observe(observation(step))
        seen.append(policy.present().weight.bits)
        assert {form.wl for form in decision.formats.values()} == {seen[-1]}
        assert len(decision.switches) == (2 if seen[-1] != seen[-2] else 0)
    assert seen == [cyclic_bits(t, 80, 2, 3, 8) for t in range(80)]
    numerics = policy.present()
    assert (numerics.grad_output.bits, numerics.evaluation_bits) == (8, 8)
    policy.finalize({}, 80)
    assert policy.present().weight.bits == 8


def test_gradients_follow_the_same_formula_where_they_have_a_range() -> None:
    policy = CPT(CPTConfig(low=8, grad_low=4, cycles=1, total_steps=20))
    policy.start(LAYERS, 0)
    decision = [policy.observe(observation(step)) for step in range(19)][-1]
    assert policy.present().grad_output.bits == cyclic_bits(19, 20, 1, 4, 8)
    assert decision.formats["a"].wl == 8


def test_short_runs_warn_and_runs_of_unknown_length_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    policy = CPT()
    with pytest.raises(ValueError, match=r"CPT: the length of the run is not known; give attach\(..., total_steps=\)"):
        policy.start(LAYERS, 0)
    policy.plan(100)
    policy.start(LAYERS, 0)
    assert "a run of 100 steps has room for 5 cycles of at least 20 steps, not 32" in caplog.text


def test_a_lower_bound_may_be_found_later_and_settings_are_checked() -> None:
    policy = CPT()
    policy.set_low(5)
    assert policy.low == 5
    with pytest.raises(ValueError, match="CPT: low is 9; give 1 to 8"):
        policy.set_low(9)
    with pytest.raises(ValueError, match="CPTConfig: high is 2; give low = 3 to 16 bits"):
        CPTConfig(high=2)
    with pytest.raises(ValueError, match="CPTConfig: cycles is 0; give 1 or more"):
        CPTConfig(cycles=0)
