from collections.abc import Callable

import numpy as np
import pytest

from fxsim.formats import Format
from fxsim.policies.adapt.divergence import information_loss
from fxsim.policies.adapt.histogram import bins_of, original_histogram, quantized_histogram
from fxsim.policies.adapt.push_down import push_down, smallest_passing
from fxsim.policies.adapt.trial import TRIAL_BITS, prepare
from fxsim.rng import Key, uniform_bits


def draws(count: int, stream: int = 7) -> np.ndarray:
    return uniform_bits(Key(1, stream), count, TRIAL_BITS)


def tnvs(count: int, deviation: float) -> np.ndarray:
    """Normal weights cut at sqrt(3) deviations, as TNVS draws them."""
    values = np.random.default_rng(0).normal(0, deviation, 4 * count)
    return values[np.abs(values) < 3**0.5 * deviation][:count].astype(np.float32).reshape(-1, 8)


def loss_at(weight: np.ndarray, format: Format, resolution: int) -> float:
    tensor = prepare(weight, draws(weight.size))
    bins = bins_of(tensor, resolution)
    return information_loss(original_histogram(tensor, bins), quantized_histogram(tensor, bins, format))


@pytest.mark.parametrize("answer", range(-3, 12))
def test_bisection_finds_the_smallest_that_passes_or_returns_the_upper_end(answer: int) -> None:
    tried: list[int] = []

    def passes(candidate: int) -> bool:
        tried.append(candidate)
        return candidate >= answer

    assert smallest_passing(passes, 0, 9) == min(max(answer, 0), 9)
    assert len(tried) <= 5


def test_bisection_of_a_rule_that_is_not_monotone_still_returns_something_that_passes() -> None:
    rule: Callable[[int], bool] = lambda n: n in {3, 8, 9}  # noqa: E731
    assert rule(smallest_passing(rule, 0, 9))


@pytest.mark.parametrize(
    ("count", "deviation", "resolution", "fl"),
    [
        (2400, 0.08, 50, 12),
        (2400, 0.08, 150, 16),
        (36864, 0.05, 50, 12),
        (36864, 0.05, 150, 14),
        (589824, 0.02, 50, 14),
        (589824, 0.02, 150, 16),
    ],
)
def test_section_8_even_fl_needed_for_a_loss_below_a_thousandth_of_a_bit(
    count: int, deviation: float, resolution: int, fl: int
) -> None:
    weight = tnvs(count, deviation)
    losses = {even: loss_at(weight, Format(32, even), resolution) for even in range(0, 25, 2)}
    assert min(even for even, loss in losses.items() if loss < 1e-3) == fl


def test_section_8_losses_of_a_small_tensor_in_150_bins() -> None:
    """5e-3 and 1.7e-3 bit, computed on other draws: one order of magnitude, and the right side of one another."""
    weight = tnvs(2400, 0.08)
    assert loss_at(weight, Format(32, 12), 150) == pytest.approx(5e-3, rel=0.5)
    assert loss_at(weight, Format(32, 14), 150) == pytest.approx(1.7e-3, rel=0.5)


@pytest.mark.parametrize("resolution", [50, 150])
def test_the_format_found_is_lossless_and_one_bit_less_is_not(resolution: int) -> None:
    weight = tnvs(2400, 0.08)
    found = push_down(weight, Format(32, 24), draws(weight.size), resolution=resolution)
    wl, fl = found.format.wl, found.format.fl
    assert found.loss_bits < 1e-3
    assert loss_at(weight, found.format, resolution) == found.loss_bits
    assert loss_at(weight, Format(32, fl - 1), resolution) >= 1e-3
    assert loss_at(weight, Format(wl - 1, fl), resolution) >= 1e-3


def test_the_search_goes_down_only() -> None:
    weight = tnvs(2400, 0.08)
    found = push_down(weight, Format(8, 4), draws(weight.size), resolution=50)
    assert found.format == Format(8, 4)
    assert found.loss_bits > 1e-3


def test_the_word_length_found_holds_the_range_and_may_be_less_than_the_fraction() -> None:
    weight = np.linspace(-0.06, 0.06, 4096, dtype=np.float32).reshape(64, 64)
    found = push_down(weight, Format(24, 16), draws(weight.size), resolution=50)
    assert found.format.wl < found.format.fl
    assert found.format.max > 0.059


def test_weights_on_a_grid_need_that_grid_and_no_more() -> None:
    weight = (np.random.default_rng(3).integers(-8, 8, (100, 10)) / 8).astype(np.float32)
    found = push_down(weight, Format(16, 12), draws(weight.size), resolution=50)
    assert (found.format, found.loss_bits) == (Format(4, 3), 0.0)


@pytest.mark.parametrize(("value", "fl"), [(0.0, 0), (0.375, 3), (1.0, 0)])
def test_a_constant_tensor_needs_what_holds_its_value(value: float, fl: int) -> None:
    weight = np.full((5, 20), value, np.float32)
    found = push_down(weight, Format(16, 12), draws(weight.size), resolution=50)
    assert found.format.fl == fl
    assert found.loss_bits == 0.0


def test_a_single_weight_is_a_tensor_too() -> None:
    assert push_down(np.array([[0.5]], np.float32), Format(8, 4), draws(1), resolution=50).format == Format(2, 1)


def test_equal_draws_give_equal_results_and_the_weight_is_left_alone() -> None:
    weight = tnvs(2400, 0.08)
    before = weight.copy()
    first, second = (push_down(weight, Format(32, 24), draws(weight.size), resolution=150) for _ in range(2))
    assert first == second
    assert (weight == before).all()


def test_section_8_a_search_costs_at_most_a_dozen_trials() -> None:
    for count, deviation in ((2400, 0.08), (36864, 0.05)):
        weight = tnvs(count, deviation)
        for resolution in (50, 150):
            assert push_down(weight, Format(32, 24), draws(weight.size), resolution=resolution).trials <= 12


def test_eps_trades_bits_for_loss() -> None:
    weight = tnvs(36864, 0.05)
    found = [
        push_down(weight, Format(32, 24), draws(weight.size), resolution=50, eps=eps)
        for eps in (1e-1, 1e-2, 1e-3, 1e-4)
    ]
    lengths = [down.format.fl for down in found]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]
