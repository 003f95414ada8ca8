"""Range BN on integers: rows (values of a channel in the order n, y, x; channels) in, rows out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple, final

import numpy as np
import numpy.typing as npt

from fxsim.formats import Format
from fxsim.normalization import CONSTANT_BITS, GUARD_BITS, chunk_count, nearest_even, range_constant, scale_floor
from fxsim.ops import _carried
from fxsim.ops._carried import Quotients, column_sums, product_sums
from fxsim.ops._quotients import SAFE_BITS, Integers, each, magnitude, quotients, shifted, widened
from fxsim.rounding import Quantizer

Words = npt.NDArray[np.int64]

_SIDE_BY_SIDE: Final = 64
"""Rows at most that are compared at once."""


class Statistics(NamedTuple):
    """Mean and deviation of every channel, int64 (C,), on the input's grid with GUARD_BITS more."""

    mean: Words
    sigma: Words


class Extremes(NamedTuple):
    """Rows of the first highest and first lowest value of every chunk, (2 * chunks, C), and +1, -1, or 0 if one row."""

    rows: Words
    signs: Words


@final
@dataclass(frozen=True, slots=True)
class Rules:
    """The formats of input, weight and bias, the constant of the range, and eps."""

    x: Format
    weight: Format
    bias: Format
    constant: str
    eps: float

    @property
    def fl(self) -> int:
        """Fractional bits of mean and deviation."""
        return self.x.fl + GUARD_BITS

    def scale(self, sigma: Words) -> Words:
        """What centred values are divided by, on the grid of the deviation."""
        return sigma + scale_floor(self.eps, self.fl)


def statistics(x: Integers, form: Format, constant: str) -> Statistics:
    """Mean and deviation of rows (count, C) of `form`, count of 2 or more."""
    count = len(x)
    parts = chunk_count(count)
    factor = range_constant(count // parts, constant)
    highest, lowest = (_reduced(x, parts, of) for of in (np.maximum, np.minimum))
    spread = (highest - lowest).sum(0).tolist()
    mean = [nearest_even(total << GUARD_BITS, count) for total in column_sums(x, form)]
    sigma = [nearest_even((total * factor) << GUARD_BITS, parts << CONSTANT_BITS) for total in spread]
    return Statistics(np.array(mean, np.int64), np.array(sigma, np.int64))


def forward(
    x: Integers, weight: Words, bias: Words, known: Statistics, rules: Rules, out: Quantizer
) -> Words | Quotients:
    """Quotients of (x - mean) / scale * weight + bias, as words or, where bounds allow it, as what gives floats."""
    fl = max(rules.weight.fl, rules.bias.fl)
    scale = rules.scale(known.sigma)
    gain = shifted(weight, fl - rules.weight.fl)
    shift = shifted(bias, fl - rules.bias.fl)
    shift = widened(shift, magnitude(shift).bit_length() + magnitude(scale).bit_length()) * scale
    bits = rules.x.wl + GUARD_BITS + 1 + magnitude(gain).bit_length()
    offset = shift - widened(gain, magnitude(known.mean).bit_length() + magnitude(gain).bit_length()) * known.mean
    values = _carried.quotients(x, rules.x, shifted(gain, GUARD_BITS), offset, scale, fl, out)
    if values is not None:
        return values

    def compute(raws: Integers) -> Words:
        numerator = widened((raws << GUARD_BITS) - known.mean, max(bits, magnitude(shift).bit_length()) + 1) * gain
        return quotients(numerator + shift, scale, fl, out)

    return each(x, rules.x, compute)


class Sums(NamedTuple):
    """Per channel, exact: the sum of g, and of g times the centred input, which has GUARD_BITS more; Python ints."""

    grad: list[int]
    slope: list[int]


def sums(g: Integers, g_format: Format, x: Integers, known: Statistics, rules: Rules) -> Sums:
    """The two sums that every gradient is made of."""
    grad, cross = product_sums(g, g_format, x, rules.x)
    slope = [
        (both << GUARD_BITS) - int(mean) * total for both, mean, total in zip(cross, known.mean, grad, strict=True)
    ]
    return Sums(grad, slope)


def grad_weight(totals: Sums, g_format: Format, scale: Words, quantizer: Quantizer) -> Words:
    """Quotient words of the weight's gradient, (C,)."""
    return quotients(np.array(totals.slope, object), scale, g_format.fl, quantizer)


def grad_bias(totals: Sums, g_format: Format, quantizer: Quantizer) -> Words:
    """Quotient words of the bias's gradient, (C,)."""
    return quotients(np.array(totals.grad, object), np.ones(1, np.int64), g_format.fl, quantizer)


def grad_input(
    g: Integers,
    g_format: Format,
    x: Integers,
    weight: Words,
    known: Statistics,
    totals: Sums | None,
    rules: Rules,
    quantizer: Quantizer,
) -> Words | Quotients:
    """Quotients of the input's gradient, as in `forward`; `totals` None: mean and deviation are constants."""
    scale = rules.scale(known.sigma)
    fl = g_format.fl + GUARD_BITS + rules.weight.fl - rules.fl
    if totals is None:
        none = np.empty((0, g.shape[1]), np.int64)
        taken = Taken(np.zeros_like(weight), Extremes(none, none), none)
    else:
        taken = _taken(len(g), x, scale, totals, rules)
    values = _carried_gradients(g, g_format, weight, scale, taken, fl, quantizer)
    return _wide_gradients(g, g_format, weight, scale, taken, fl, quantizer) if values is None else values


class Taken(NamedTuple):
    """What is taken from the gradient before it is scaled, GUARD_BITS finer than it, as ints of any size.

    average: everywhere, (C,). at_extremes: at the rows of `found`, of its shape.
    """

    average: Integers
    found: Extremes
    at_extremes: Integers


def _taken(count: int, x: Integers, scale: Words, totals: Sums, rules: Rules) -> Taken:
    found, chunks = extremes(x), chunk_count(count)
    factor = range_constant(count // chunks, rules.constant)
    average = np.array([nearest_even(total << GUARD_BITS, count) for total in totals.grad], np.int64)
    below = [(chunks << CONSTANT_BITS) * each for each in scale.tolist()]
    pull = [nearest_even((factor * slope) << GUARD_BITS, each) for slope, each in zip(totals.slope, below, strict=True)]
    return Taken(average, found, found.signs * _narrowed(pull) + average)


def _carried_gradients(
    g: Integers, g_format: Format, weight: Words, scale: Words, taken: Taken, fl: int, quantizer: Quantizer
) -> Quotients | None:
    slope, bits = shifted(weight, GUARD_BITS), magnitude(weight).bit_length()
    rows = taken.found.rows
    offset, at_extremes = (
        -widened(each, magnitude(each).bit_length() + bits) * weight for each in (taken.average, taken.at_extremes)
    )
    patch = _carried.Patch(rows, g[rows, np.arange(g.shape[1])], at_extremes)
    return _carried.quotients(g, g_format, slope, offset, scale, fl, quantizer, patch)


def _wide_gradients(
    g: Integers, g_format: Format, weight: Words, scale: Words, taken: Taken, fl: int, quantizer: Quantizer
) -> Words:
    bits = g_format.wl + GUARD_BITS + 1 + magnitude(weight).bit_length()

    def compute(raws: Integers) -> Words:
        return quotients(widened((raws << GUARD_BITS) - taken.average, bits) * weight, scale, fl, quantizer)

    words = each(g, g_format, compute)
    columns = np.arange(g.shape[1])
    through = (g[taken.found.rows, columns].astype(object) << GUARD_BITS) - taken.at_extremes
    words[taken.found.rows, columns] = quotients(through * weight, scale, fl, quantizer)
    return words


def _narrowed(integers: list[int]) -> Integers:
    """Integers as int64 if a sum of two of them fits, else as Python ints."""
    values = np.array(integers, object)
    return values.astype(np.int64) if magnitude(values).bit_length() < SAFE_BITS else values


def extremes(x: Integers) -> Extremes:
    """Where the range of every chunk comes from."""
    chunks = _chunks(x)
    highest, lowest = chunks.argmax(2).T, chunks.argmin(2).T
    starts = (np.arange(chunks.shape[1]) * chunks.shape[2])[:, None]
    apart = (highest != lowest).astype(np.int64)
    return Extremes(np.concatenate((starts + highest, starts + lowest)), np.concatenate((apart, -apart)))


def _reduced(x: Integers, parts: int, of: np.ufunc) -> Words:
    """The highest or lowest value of every chunk, (parts, C): rows side by side first, so that vectors are long."""
    size, channels = len(x) // parts, x.shape[1]
    beside = math.gcd(size, _SIDE_BY_SIDE)
    wide = x.reshape(parts, size // beside, beside * channels)
    reduced: Words = of.reduce(of.reduce(wide, axis=1).reshape(parts, beside, channels), axis=1).astype(np.int64)
    return reduced


def _chunks(x: Integers) -> Integers:
    """Rows as (C, chunks, values)."""
    count, channels = x.shape
    parts = chunk_count(count)
    return np.ascontiguousarray(x.T).reshape(channels, parts, count // parts)
