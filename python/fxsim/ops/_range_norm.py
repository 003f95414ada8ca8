"""Range BN on integers: rows (values of a channel in the order n, y, x; channels) in, rows out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, final

import numpy as np
import numpy.typing as npt

from fxsim.formats import Format
from fxsim.normalization import CONSTANT_BITS, GUARD_BITS, chunk_count, nearest_even, range_constant, scale_floor
from fxsim.ops._quotients import Integers, each, magnitude, quotients, shifted, widened
from fxsim.rounding import Quantizer

Words = npt.NDArray[np.int64]

_NO_ROWS: Final = np.empty((0, 0), np.int64)


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


def statistics(x: Integers, constant: str) -> Statistics:
    """Mean and deviation of rows (count, C), count of 2 or more."""
    count = len(x)
    chunks = _chunks(x)
    factor, parts = range_constant(chunks.shape[2], constant), chunks.shape[1]
    spread = (chunks.max(2).astype(np.int64) - chunks.min(2)).sum(1)
    mean = [nearest_even(int(total) << GUARD_BITS, count) for total in x.sum(0, dtype=np.int64)]
    sigma = [nearest_even((int(total) * factor) << GUARD_BITS, parts << CONSTANT_BITS) for total in spread]
    return Statistics(np.array(mean, np.int64), np.array(sigma, np.int64))


def forward(x: Integers, weight: Words, bias: Words, known: Statistics, rules: Rules, out: Quantizer) -> Words:
    """Quotient words of (x - mean) / scale * weight + bias."""
    fl = max(rules.weight.fl, rules.bias.fl)
    scale = rules.scale(known.sigma)
    gain = shifted(weight, fl - rules.weight.fl)
    shift = shifted(bias, fl - rules.bias.fl)
    shift = widened(shift, magnitude(shift).bit_length() + magnitude(scale).bit_length()) * scale
    bits = rules.x.wl + GUARD_BITS + 1 + magnitude(gain).bit_length()

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
    bits = g_format.wl + rules.x.wl + len(g).bit_length()
    products = widened(g.astype(np.int64), bits) * x
    grad = [int(each) for each in g.sum(0, dtype=np.int64)]
    cross = [int(each) for each in products.sum(0)]
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
) -> Words:
    """Quotient words of the input's gradient; `totals` None: mean and deviation are constants."""
    scale = rules.scale(known.sigma)
    fl = g_format.fl + GUARD_BITS + rules.weight.fl - rules.fl
    if totals is None:
        average, pull, found = np.zeros_like(weight), np.zeros_like(weight), Extremes(_NO_ROWS, _NO_ROWS)
    else:
        found = extremes(x)
        chunks = chunk_count(len(x))
        factor = range_constant(len(x) // chunks, rules.constant)
        average = np.array([nearest_even(total << GUARD_BITS, len(g)) for total in totals.grad], np.int64)
        denominators = (chunks << CONSTANT_BITS) * scale.astype(object)
        pull = np.array(
            [
                nearest_even((factor * slope) << GUARD_BITS, below)
                for slope, below in zip(totals.slope, denominators, strict=True)
            ],
            object,
        )
    bits = g_format.wl + GUARD_BITS + 1 + magnitude(weight).bit_length()

    def compute(raws: Integers) -> Words:
        return quotients(widened((raws << GUARD_BITS) - average, bits) * weight, scale, fl, quantizer)

    words = each(g, g_format, compute)
    if found.rows.size:
        columns = np.arange(g.shape[1])
        raws = g[found.rows, columns].astype(object)
        through = (raws << GUARD_BITS) - average - found.signs * pull
        words[found.rows, columns] = quotients(through * weight, scale, fl, quantizer)
    return words


def extremes(x: Integers) -> Extremes:
    """Where the range of every chunk comes from."""
    chunks = _chunks(x)
    highest, lowest = chunks.argmax(2).T, chunks.argmin(2).T
    starts = (np.arange(chunks.shape[1]) * chunks.shape[2])[:, None]
    apart = (highest != lowest).astype(np.int64)
    return Extremes(np.concatenate((starts + highest, starts + lowest)), np.concatenate((apart, -apart)))


def _chunks(x: Integers) -> Integers:
    """Rows as (C, chunks, values)."""
    count, channels = x.shape
    parts = chunk_count(count)
    return np.ascontiguousarray(x.T).reshape(channels, parts, count // parts)
