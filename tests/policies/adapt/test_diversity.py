import math

import numpy as np
import pytest

from fxsim.policies.adapt.diversity import gradient_diversity
from fxsim.policies.norm import CHUNK, euclidean_norm


def test_equal_unit_gradients_have_diversity_1() -> None:
    assert gradient_diversity(7, 7.0) == 1.0


def test_orthogonal_unit_gradients_have_diversity_sqrt_n() -> None:
    total = np.zeros(16, np.float32)
    for axis in range(16):
        total[axis] += 1.0
    assert gradient_diversity(16, euclidean_norm(total)) == 4.0


def test_zero_gradients_count_and_so_raise_the_diversity() -> None:
    assert gradient_diversity(10, 5.0) == 2.0


def test_gradients_that_cancel_exactly_have_infinite_diversity() -> None:
    assert gradient_diversity(2, 0.0) == math.inf


def test_at_least_one_gradient_is_needed() -> None:
    with pytest.raises(ValueError, match="count is 0; at least one gradient must have been seen"):
        gradient_diversity(0, 1.0)


@pytest.mark.parametrize("size", [0, 1, 3, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_norm_of_ones_is_the_root_of_their_number(size: int) -> None:
    assert euclidean_norm(np.ones(size, np.float32)) == math.sqrt(size)


def test_norm_does_not_overflow_float32_and_sees_every_dimension() -> None:
    assert euclidean_norm(np.full((2, 2), 1e30, np.float32)) == 2.0 * float(np.float32(1e30))
    assert euclidean_norm(np.array([[3.0], [4.0]]).T) == 5.0
