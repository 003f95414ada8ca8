import math

import numpy as np
import pytest

from fxsim.formats import Format
from fxsim.policies.adapt.algorithm4 import quantized_diversity, search_format
from fxsim.policies.adapt.trial import TRIAL_BITS, Prepared, prepare
from fxsim.rng import Key, uniform_bits


def gradients(rows: list[list[float]]) -> list[Prepared]:
    return [
        prepare(np.array(row, np.float32), uniform_bits(Key(3), len(row), TRIAL_BITS, site=1, ordinal=k))
        for k, row in enumerate(rows)
    ]


def test_section_9_d_equality_ends_the_search_where_the_printed_loop_would_not_end() -> None:
    orthogonal = gradients([[float(row == column) for column in range(4)] for row in range(4)])
    assert quantized_diversity(orthogonal, Format(8, 4)) == 2.0
    assert search_format(Format(4, 1), Format(8, 4), orthogonal) == Format(4, 1)


def test_candidates_whose_gradients_are_less_diverse_than_now_are_passed_over() -> None:
    """The small components tell the gradients apart; grids too coarse for them make all gradients equal."""
    apart = gradients([[1.0, 2.0**-17], [1.0, -(2.0**-17)]])
    current = Format(32, 20)
    assert quantized_diversity(apart, Format(3, 0)) == 1.0 < quantized_diversity(apart, current)
    found = search_format(Format(3, 0), current, apart)
    assert 4 < found.fl <= current.fl
    assert found.wl == found.fl + 1
    assert quantized_diversity(apart, found) >= quantized_diversity(apart, current)


def test_the_widest_word_ends_the_search() -> None:
    """Candidates reach to +-1 only: there both gradients saturate to the same direction, at every fraction."""
    large = gradients([[4.0, 1.0], [1.0, 4.0]])
    assert search_format(Format(2, 0), Format(8, 4), large, wl_max=24) == Format(24, 24)


def test_gradients_that_cancel_have_infinite_diversity() -> None:
    assert quantized_diversity(gradients([[2.0**-20], [-(2.0**-20)]]), Format(32, 24)) == math.inf


def test_zero_gradients_have_infinite_diversity_and_end_at_once() -> None:
    zeros = gradients([[0.0, 0.0]])
    assert quantized_diversity(zeros, Format(8, 4)) == math.inf
    assert search_format(Format(4, 2), Format(8, 4), zeros) == Format(4, 2)


def test_needs_a_gradient() -> None:
    with pytest.raises(ValueError, match="no gradients; at least one must have been seen"):
        quantized_diversity([], Format(8, 4))
