import math
from fractions import Fraction

import pytest

from fxsim.policies.adapt.lookback import adapt_lookback, adapt_resolution

GAMMA = Fraction(33, 100)
TOWARDS_LOWER = math.inf
TOWARDS_UPPER = 1.0


def step(diversity: float | None, lookback: int, gamma: Fraction = GAMMA) -> int:
    return adapt_lookback(diversity, lookback, lower=25, upper=100, gamma=gamma)


@pytest.mark.parametrize(
    ("lookback", "new"), [(25, 25), (26, 26), (27, 27), (28, 28), (29, 28), (30, 29), (60, 49), (100, 76)]
)
def test_section_7_check_values_towards_the_lower_bound(lookback: int, new: int) -> None:
    assert step(TOWARDS_LOWER, lookback) == new


@pytest.mark.parametrize(("lookback", "new"), [(25, 50), (28, 52), (60, 74), (99, 100)])
def test_section_7_check_values_towards_the_upper_bound(lookback: int, new: int) -> None:
    assert step(TOWARDS_UPPER, lookback) == new


def test_section_7_fixed_points_above_the_lower_bound_are_26_27_28() -> None:
    """Rounding up makes the published rule stick there: once away from 25, a lookback never returns to it."""
    fixed = [lookback for lookback in range(25, 101) if step(TOWARDS_LOWER, lookback) == lookback]
    assert fixed == [25, 26, 27, 28]
    lookback = 100
    for _ in range(1000):
        lookback = step(TOWARDS_LOWER, lookback)
    assert lookback == 28


def test_section_7_the_upper_bound_is_reached_from_below() -> None:
    lookback = 25
    for _ in range(20):
        lookback = step(TOWARDS_UPPER, lookback)
    assert lookback == 100


def test_section_7_the_average_is_rounded_up_exactly_where_floats_would_give_27() -> None:
    gamma = Fraction(1, 10)
    assert math.ceil(0.1 * 26 + 0.9 * 26) == 27
    assert adapt_lookback(100 / 26, 26, lower=25, upper=100, gamma=gamma) == 26


def test_section_7_the_first_diversity_is_1_so_the_lookback_leaves_its_bound_at_once() -> None:
    assert step(1.0, 25) == 50


def test_section_5_no_gradient_but_zero_ones_counts_as_the_longest_lookback() -> None:
    assert step(None, 25) == step(1.0, 25)


def test_newest_value_is_clipped_to_the_bounds_at_both_ends() -> None:
    at_once = Fraction(1)
    assert step(0.99999, 60, at_once) == 100
    assert step(3.0, 60, at_once) == 34
    assert step(4.0, 60, at_once) == 25
    assert step(5.0, 60, at_once) == 25


@pytest.mark.parametrize(
    ("resolution", "lookback", "new"),
    [
        (50, 100, 51),
        (149, 100, 150),
        (150, 100, 150),
        (51, 25, 50),
        (50, 25, 50),
        (77, 26, 77),
        (77, 99, 77),
    ],
)
def test_resolution_follows_the_lookback_at_its_bounds_only(resolution: int, lookback: int, new: int) -> None:
    assert adapt_resolution(resolution, lookback, lookback_bounds=(25, 100), bounds=(50, 150)) == new
