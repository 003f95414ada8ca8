import math

from fxsim.policies.adapt.penalty import l1_gradient_norm, word_length_penalty


def test_is_1_for_dense_words_of_32_bits_and_0_for_none() -> None:
    assert word_length_penalty([(32, 10, 10), (32, 5, 5)]) == 1.0
    assert word_length_penalty([(32, 0, 10)]) == 0.0
    assert word_length_penalty([]) == 0.0


def test_section_10_is_the_mean_over_tensors_of_word_length_times_density() -> None:
    """The paper writes one layer's term; the mean over all tensors is what its authors compute."""
    assert word_length_penalty([(8, 5, 10), (16, 4, 4)]) == (8 / 32 * 0.5 + 16 / 32) / 2


def test_empty_tensors_are_passed_over() -> None:
    assert word_length_penalty([(8, 0, 0), (32, 3, 3)]) == 1.0


def test_the_l1_gradient_has_one_alpha_for_each_element_that_is_not_zero() -> None:
    assert math.isclose(l1_gradient_norm(1e-4, 10_000), 1e-2)
    assert l1_gradient_norm(1e-4, 0) == 0.0
