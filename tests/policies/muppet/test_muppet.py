"""MuPPET against numbers from Rajagopal et al. 2020, and against its pseudo-code worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fxsim.policies import LayerObservation, LayerShape, MuPPET, MuPPETConfig, Observation
from fxsim.policies.muppet.diversity import mean_diversity, tensor_diversity, threshold
from fxsim.ranges import Block, Plain

LAYER = LayerShape("a", (1, 2), 0)


def observation(step: int, gradient: tuple[float, float]) -> Observation:
    layer = LayerObservation("a", np.zeros((1, 2), np.float32), np.array([gradient], np.float32))
    return Observation(step, 1.0, (layer,))


def started(**settings: int | str) -> MuPPET:
    policy = MuPPET(MuPPETConfig(epoch_steps=1, **settings))  # type: ignore[arg-type]
    policy.start((LAYER,), 0)
    return policy


def test_section_3_3_threshold_by_epoch() -> None:
    assert [round(threshold(epoch), 4) for epoch in (0, 1, 2, 30)] == [2.5, 2.3573, 2.2281, 1.0747]


def test_equation_4_is_1_for_equal_gradients_and_the_mean_is_over_tensors() -> None:
    assert tensor_diversity(3 * 25.0, 3 * 5.0) == pytest.approx(1 / 3)
    assert tensor_diversity(2.0, math.sqrt(2.0)) == pytest.approx(1.0)
    assert mean_diversity([1.0, None, 3.0]) == 2.0


def test_a_sum_of_zero_is_left_out_of_the_mean() -> None:
    assert tensor_diversity(0.0, 0.0) is None
    assert tensor_diversity(2.0, 0.0) is None
    assert mean_diversity([None]) is None


@pytest.mark.parametrize(
    ("epochs", "memory"), [((16, 10, 14, 14, 45), 1.66), ((22, 22, 10, 15, 45), 1.61)], ids=["alexnet", "resnet20"]
)
def test_kummer_2021_table_2_memory_from_the_switch_schedule_truncated(epochs: tuple[int, ...], memory: float) -> None:
    lengths = (*MuPPETConfig().word_lengths, Plain().bits)
    mean = sum(bits * count for bits, count in zip(lengths, epochs, strict=True)) / sum(epochs)
    assert math.floor(100 * (1 + mean / 32)) / 100 == memory


def test_everything_is_a_block_of_the_word_length_and_float32_comes_last() -> None:
    policy = started()
    numerics = policy.present()
    block = Block(8)
    assert (numerics.weight, numerics.activation, numerics.output, numerics.grad_output) == (block,) * 4
    assert policy.gradient_rule is not None
    assert policy.gradient_rule.block == block
    policy._stage = 4
    assert policy.present().is_float
    assert policy.gradient_rule is None


def test_the_word_length_rises_after_two_violations() -> None:
    """Alternating gradients are diverse, equal ones are not: their ratio is (2/1e-4) to 1/2, far above any T."""
    policy = started(resolution=2)
    step = 0

    def window(*gradients: tuple[float, float]) -> int | None:
        nonlocal step
        for gradient in gradients:
            policy.observe(observation(step, gradient))
            step += 1
        return policy.word_length

    diverse, alike = ((1.0, 0.01), (-1.0, 0.01)), ((1.0, 0.0), (1.0, 0.0))
    assert window(*diverse) == 8  # the greatest so far
    assert window(*alike) == 8  # first violation
    assert window(*alike) == 12  # second
    assert window(*alike) == 12  # the greatest begins anew: no violation
    assert window(*alike) == 12


def test_a_greater_diversity_is_no_violation_and_windows_do_not_overlap() -> None:
    policy = started(resolution=2)
    for step, gradient in enumerate([(1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 0.0)]):
        decision = policy.observe(observation(step, gradient))
    assert decision.switches[0].details["diversity"] == pytest.approx(1.0)
    assert decision.switches[0].details["greatest"] == pytest.approx(0.5)
    assert not decision.switches[0].changed
    assert policy.own_state()["sums"] == {}


def test_the_first_gradient_of_a_window_is_copied() -> None:
    policy = started(resolution=3)
    seen = observation(0, (1.0, 0.0))
    policy.observe(seen)
    seen.layers[0].gradient[:] = 99.0
    assert policy.own_state()["sums"]["a"].tolist() == [[1.0, 0.0]]


def test_the_tail_drops_the_learning_rate_twice_and_then_the_run_may_end() -> None:
    policy = started(tail=2)
    policy._stage = 4
    factors = []
    for step in range(7):
        factors.append(policy.learning_rate_factor)
        assert policy.finished == (step >= 6)
        policy.observe(observation(step, (1.0, 0.0)))
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])


def test_an_epoch_is_a_110th_of_the_run_unless_given() -> None:
    policy = MuPPET()
    with pytest.raises(ValueError, match=r"the length of an epoch is not known; give attach\(..., total_steps=\)"):
        policy.start((LAYER,), 0)
    for total, steps in ((50, 1), (1100, 10), (1209, 10)):
        policy.plan(total)
        assert policy.own_state()["epoch_steps"] == steps


def test_the_published_schedule_switches_after_nine_epochs_at_the_earliest() -> None:
    """resolution * (patience + 1): the first window only sets the greatest diversity."""
    policy = started()
    gradients = [(1.0, 0.01), (-1.0, 0.01), (1.0, 0.0)] + [(1.0, 0.0)] * 6
    lengths = []
    for step, gradient in enumerate(gradients):
        policy.observe(observation(step, gradient))
        lengths.append(policy.word_length)
    assert lengths == [8] * 8 + [12]


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="resolution is 1; give 2 or more"):
        MuPPETConfig(resolution=1)
    with pytest.raises(ValueError, match="schedule is '12,8'; give rising word lengths of 2 to 16 bits"):
        MuPPETConfig(schedule="12,8")
    with pytest.raises(ValueError, match="schedule is '8,x'; give integers with commas between them"):
        MuPPETConfig(schedule="8,x")


def test_section_3_images_have_scales_of_their_own_on_request() -> None:
    policy = MuPPET(MuPPETConfig(epoch_steps=1, per_sample=True))
    policy.start((LayerShape("first", (1, 2), 0), LayerShape("second", (1, 2), 1)), 0)
    first, second = (policy.numerics_of(name).activation for name in ("first", "second"))
    assert (first, second) == (Block(8, 16, over="sample"), Block(8, 16))
    assert MuPPET(MuPPETConfig(epoch_steps=1)).present().activation == Block(8, 16)
