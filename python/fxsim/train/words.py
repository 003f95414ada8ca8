"""Integer weight words: a weight and the residue below its step, in one number.

A word of B_W + B_acc bits on the grid 2**(1 - B_W - B_acc) is what is kept and updated,

    word <- saturate(word - round(learning rate * gradient / grid))                ties away from zero
    weight = (word + 2**(B_acc - 1)) >> B_acc                                      ties up
    residue = word - (weight << B_acc)

and the weight, B_W bits in [-1, 1), is what the network computes with. Saturation, to the words whose weight is in
range, is the clipping of the weights. Splitting must round ties up: rounding them away from zero would leave a residue
that is not in the accumulator's range, and leak.

Source: Sakr and Shanbhag, ICLR 2019; their code keeps weight and residue apart, which is the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self, final

import torch
from torch import Tensor

from fxsim.formats import Format

_CARRIED_BITS = 24
_RATE_BITS = 24
_LARGEST_SHIFT = 62


@final
@dataclass(frozen=True, slots=True)
class Word:
    """fl: of the weight. residue: bits below it. low, high: bounds of the word."""

    fl: int
    residue: int
    low: int
    high: int

    @classmethod
    def of_weight(cls, weight_bits: int, residue_bits: int) -> Self:
        """Weights of [-1, 1) with a residue of half a step either way."""
        half = 1 << (residue_bits - 1)
        top = 1 << (weight_bits + residue_bits - 1)
        return cls(weight_bits - 1, residue_bits, -top - half, top - half - 1)

    @classmethod
    def of_bias(cls, format: Format) -> Self:
        """A word that is its own value, no wider than a float32 parameter carries."""
        top = 1 << (min(format.wl, _CARRIED_BITS) - 1)
        return cls(format.fl, 0, -top, top - 1)


def initial(x: Tensor, word: Word) -> Tensor:
    """The words of float parameters, rounded to nearest even; int64, shaped like x."""
    scaled = torch.round(x.to(torch.float64) * math.ldexp(1.0, word.fl + word.residue))
    return scaled.clamp_(word.low, word.high).to(torch.int64)


def split(words: Tensor, word: Word) -> tuple[Tensor, Tensor]:
    """Weights and residues, raw: words == (weights << residue bits) + residues."""
    if word.residue == 0:
        return words, torch.zeros_like(words)
    weights = (words + (1 << (word.residue - 1))) >> word.residue
    return weights, words - (weights << word.residue)


def updated(words: Tensor, gradient: Tensor, gradient_fl: int, rate: float, word: Word) -> Tensor:
    """The words after one step. gradient: carriers on the grid 2**-gradient_fl, of at most 24 bits.

    Exact where the rate has at most 24 significant bits, as every power of two; a longer one is cut off there.
    |gradient raw| < 2^24 and |rate mantissa| < 2^24, so products stay below 2^48.
    """
    raw = (gradient.to(torch.float64) * math.ldexp(1.0, gradient_fl)).to(torch.int64)
    mantissa, exponent = math.frexp(rate)
    product = raw * int(math.ldexp(mantissa, _RATE_BITS))
    shift = exponent - _RATE_BITS - gradient_fl + word.fl + word.residue
    return (words - _shifted(product, shift, word)).clamp_(word.low, word.high)


def _shifted(product: Tensor, shift: int, word: Word) -> Tensor:
    """round(product * 2**shift), ties away from zero; what exceeds every word is left at a bound beyond them."""
    if shift >= 0:
        limit = 2 * (word.high - word.low + 1)
        return product.clamp(-limit, limit) << min(shift, 64 - 2 - limit.bit_length())
    down = min(-shift, _LARGEST_SHIFT)
    return product.sign() * ((product.abs() + (1 << (down - 1))) >> down)
