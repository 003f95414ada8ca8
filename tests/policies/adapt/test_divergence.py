import math

import numpy as np
import pytest

from fxsim.formats import Format
from fxsim.policies.adapt.divergence import information_loss, kl_bits
from fxsim.policies.adapt.histogram import CHUNK, Bins, bins_of, original_histogram, quantized_histogram
from fxsim.policies.adapt.trial import TRIAL_BITS, Prepared, prepare
from fxsim.rng import Key, uniform_bits


def counts(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def prepared(values: np.ndarray) -> Prepared:
    return prepare(values.astype(np.float32), uniform_bits(Key(1, 2), values.size, TRIAL_BITS))


def test_equal_histograms_lose_nothing() -> None:
    assert kl_bits(counts(1, 2, 3), counts(10, 20, 30)) == 0.0


def test_is_measured_in_bits() -> None:
    assert kl_bits(counts(4, 0), counts(2, 2)) == 1.0
    assert kl_bits(counts(1, 0, 0, 0), counts(1, 1, 1, 1)) == 2.0


def test_section_8_an_empty_bin_of_the_original_counts_as_half_an_element() -> None:
    assert kl_bits(counts(4, 4), counts(8, 0)) == 0.5 * math.log2(0.5) + 0.5 * math.log2(0.5 / (0.5 / 8))


def test_section_8_direction_is_quantized_against_original_and_can_be_reversed() -> None:
    original, quantized = counts(6, 2), counts(4, 4)
    assert information_loss(original, quantized) == kl_bits(quantized, original)
    assert information_loss(original, quantized, "original_quantized") == kl_bits(original, quantized)
    assert kl_bits(quantized, original) != kl_bits(original, quantized)


def test_section_8_both_directions_are_nearly_equal_below_a_twentieth_of_a_bit() -> None:
    tensor = prepared(np.random.default_rng(0).normal(0, 0.05, 36864))
    bins = bins_of(tensor, 50)
    original = original_histogram(tensor, bins)
    quantized = quantized_histogram(tensor, bins, Format(32, 11))
    forward, backward = (information_loss(original, quantized, d) for d in ("quantized_original", "original_quantized"))
    assert 0.0 < forward < 0.05
    assert math.isclose(forward, backward, rel_tol=0.2)


def test_bins_are_equal_closed_at_the_top_and_take_what_lies_outside_at_the_ends() -> None:
    bins = Bins(-1.0, 1.0, 4)
    assert bins.tally(np.array([-1.0, -0.51, -0.5, 0.0, 0.49, 0.5, 1.0])).tolist() == [2, 1, 2, 2]
    assert bins.tally(np.array([-7.0, 7.0, 1e300, -1e300])).tolist() == [2, 0, 0, 2]


def test_bins_of_a_constant_tell_equal_from_unequal() -> None:
    assert Bins(0.3, 0.3, 5).tally(np.array([0.3, 0.3, 0.25])).tolist() == [2, 0, 0, 0, 1]


@pytest.mark.parametrize("size", [1, 7, CHUNK, CHUNK + 1])
def test_histograms_count_every_element_once_and_leave_the_tensor_alone(size: int) -> None:
    tensor = prepared(np.random.default_rng(1).normal(0, 1, size))
    before = tensor.values.copy()
    bins = bins_of(tensor, 50)
    assert original_histogram(tensor, bins).sum() == size
    assert quantized_histogram(tensor, bins, Format(8, 4)).sum() == size
    assert (tensor.values == before).all()


def test_a_grid_that_holds_every_element_gives_the_original_histogram() -> None:
    tensor = prepared(np.random.default_rng(2).integers(-8, 8, 1000) / 16)
    bins = bins_of(tensor, 50)
    assert (quantized_histogram(tensor, bins, Format(8, 4)) == original_histogram(tensor, bins)).all()
