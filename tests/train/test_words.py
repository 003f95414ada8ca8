"""Integer weight words against the words of the specification, in Python integers."""

from fractions import Fraction

import pytest
import torch

from fxsim.formats import Format
from fxsim.train.words import Word, initial, split, updated


def nearest_away(x: Fraction) -> int:
    whole = int(abs(x) + Fraction(1, 2))
    return whole if x >= 0 else -whole


@pytest.mark.parametrize(("weight", "residue"), [(2, 1), (3, 2), (4, 5), (8, 16), (14, 18)])
def test_a_word_splits_into_a_weight_in_range_and_a_residue_of_half_a_step(weight: int, residue: int) -> None:
    word = Word.of_weight(weight, residue)
    words = torch.tensor([word.low, word.low + 1, -1, 0, 1, word.high - 1, word.high])
    weights, residues = split(words, word)
    assert torch.equal((weights << residue) + residues, words)
    assert int(weights.min()) == -(1 << (weight - 1))
    assert int(weights.max()) == (1 << (weight - 1)) - 1
    assert int(residues.min()) >= -(1 << (residue - 1))
    assert int(residues.max()) < 1 << (residue - 1)
    # the bounds are the last words with such weights
    assert int(split(torch.tensor([word.low - 1]), word)[0]) == -(1 << (weight - 1)) - 1
    assert int(split(torch.tensor([word.high + 1]), word)[0]) == 1 << (weight - 1)


def test_splitting_leaves_no_drift_where_rounding_away_would() -> None:
    word = Word.of_weight(4, 1)
    words = torch.arange(word.low, word.high + 1)
    weights, residues = split(words, word)
    assert set(residues.tolist()) == {-1, 0}  # a residue of +1 half step is the next weight's
    assert int(weights[words == -1]) == 0  # away from zero it would be -1, and its residue +1


@pytest.mark.parametrize("rate", [2.0**-3, 2.0**5, 2.0**-20, 0.1, 0.75])
@pytest.mark.parametrize("gradient_fl", [7, 20, -3])
def test_an_update_is_the_exact_product_rounded_once(rate: float, gradient_fl: int) -> None:
    word = Word.of_weight(6, 10)
    raws = torch.tensor([-128, -127, -3, -1, 0, 1, 2, 5, 127])
    gradient = (raws.double() * 2.0**-gradient_fl).float()
    words = torch.tensor([0, word.low, 77, -5, 3, word.high, 12, -13, 1])
    found = updated(words, gradient, gradient_fl, rate, word)
    cut = Fraction(int(rate * 2**44)) / 2**44 if rate == 0.1 else Fraction(rate)  # below
    mantissa_bits = Fraction(2) ** -27  # 0.1 = 0.8 * 2^-3: 24 bits end at 2^-27
    exact = (Fraction(rate) // mantissa_bits) * mantissa_bits if rate == 0.1 else cut
    grid = Fraction(2) ** -(5 + 10)
    for w, g, f in zip(words.tolist(), raws.tolist(), found.tolist(), strict=True):
        step = nearest_away(exact * g * Fraction(2) ** -gradient_fl / grid)
        assert f == min(max(w - step, word.low), word.high)


def test_first_words_are_the_nearest_and_saturate() -> None:
    word = Word.of_weight(4, 3)
    x = torch.tensor([0.0, 0.5, -0.25 + 2.0**-7, 5.0, -5.0])
    assert initial(x, word).tolist() == [0, 32, -16, word.high, word.low]


def test_a_bias_has_no_residue_and_stays_within_what_a_float_carries() -> None:
    word = Word.of_bias(Format(32, 9))
    assert (word.fl, word.residue, word.low, word.high) == (9, 0, -(1 << 23), (1 << 23) - 1)
    raws, residues = split(torch.tensor([-7, 7]), word)
    assert (raws.tolist(), residues.tolist()) == ([-7, 7], [0, 0])
