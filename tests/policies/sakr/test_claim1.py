import math
from fractions import Fraction

import pytest

from fxsim.policies.sakr.claim1 import (
    ACTIVATION_GRADIENT_FACTOR,
    WEIGHT_GRADIENT_FACTOR,
    activation_gradient_step,
    activation_gradient_step_by_jacobian,
    ceil_log2,
    floor_log2,
    gradient_range,
    precision_offsets,
    weight_gradient_step,
)


@pytest.mark.parametrize("n", [-200, -1, 0, 1, 52, 300])
def test_logarithms_are_exact_next_to_powers_of_two(n: int) -> None:
    power = math.ldexp(1.0, n)
    assert (floor_log2(power), ceil_log2(power)) == (n, n)
    assert (floor_log2(math.nextafter(power, 0)), ceil_log2(math.nextafter(power, 0))) == (n - 1, n)
    assert (floor_log2(math.nextafter(power, math.inf)), ceil_log2(math.nextafter(power, math.inf))) == (n, n + 1)
    assert floor_log2(Fraction(1, 3)) == -2


def test_offsets_change_where_a_noise_gain_has_grown_by_four_about_the_middle() -> None:
    # rnd(0.5 log2 q) steps at q = 2, 8, 32, ...
    below = [math.nextafter(2.0, 0), math.nextafter(8.0, 0), math.nextafter(32.0, 0)]
    assert precision_offsets([1.0, *below]) == [0, 0, 1, 2]
    assert precision_offsets([2.0, 8.0, 32.0, 1.0]) == [1, 2, 3, 0]
    assert precision_offsets([5e-310, 5e-310]) == [0, 0]


def test_gradient_ranges_cover_two_and_four_standard_deviations() -> None:
    assert gradient_range(0.25, WEIGHT_GRADIENT_FACTOR) == -1
    assert gradient_range(0.26, WEIGHT_GRADIENT_FACTOR) == 0
    assert gradient_range(0.25, ACTIVATION_GRADIENT_FACTOR) == 0
    assert gradient_range(0.3, ACTIVATION_GRADIENT_FACTOR) == 1


def test_weight_gradient_steps_are_at_most_a_quarter_of_the_deviation() -> None:
    assert weight_gradient_step(1.0) == -2  # equal, where the paper's criterion says less: its tables have it so
    assert weight_gradient_step(0.99) == -3


def test_criterion_4_is_met_and_would_not_be_with_twice_the_step() -> None:
    for step, weights, sensitivity in ((-9, 150, 3.0e3), (-12, 48000, 7.7), (-4, 1, 1.0), (-9, 3, 12.0)):
        found = activation_gradient_step(step, weights, sensitivity)
        noise = [Fraction(4) ** each * Fraction(sensitivity) for each in (found, found + 1)]
        allowed = Fraction(4) ** step * weights
        assert noise[0] <= allowed < noise[1]


def test_the_step_of_equation_3_with_and_without_its_size_factor() -> None:
    # 2^-10 / sqrt(4) = 2^-11; with (|G_W| / |G_A|)^(1/4) = 16^(1/4) = 2, 2^-10
    assert activation_gradient_step_by_jacobian(-10, 4.0, 160, 10, size_factor=False) == -11
    assert activation_gradient_step_by_jacobian(-10, 4.0, 160, 10) == -10
    assert activation_gradient_step_by_jacobian(-10, 4.1, 160, 10) == -11
