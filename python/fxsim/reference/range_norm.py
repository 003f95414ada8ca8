"""Range BN: a channel is centred by its mean and divided by a multiple of its range."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from fxsim.formats import Format
from fxsim.normalization import CONSTANT_BITS, GUARD_BITS, chunk_count, range_constant, scale_floor
from fxsim.reference.counts import Counts
from fxsim.reference.gemm import integers
from fxsim.reference.quantize import check_key, draw, quantize_value, value_of
from fxsim.reference.rounding import round_real
from fxsim.rng import Key
from fxsim.rounding import Quantizer

_Raws = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Normalization:
    """The settings of one Range BN: the formats of input, weight and bias, the constant of the range, and eps."""

    x: Format
    weight: Format
    bias: Format
    constant: str = "reference"
    eps: float = 1e-5

    @property
    def grid(self) -> Fraction:
        """One step of mean and deviation."""
        return Fraction(2) ** -(self.x.fl + GUARD_BITS)

    def scale(self, sigma: int) -> Fraction:
        """What a centred value is divided by."""
        return (sigma + scale_floor(self.eps, self.x.fl + GUARD_BITS)) * self.grid


def range_statistics(x: _Raws, rules: Normalization) -> tuple[list[int], list[int]]:
    """Mean and deviation of every channel of raws (N, C, H, W), on a grid 8 bits finer than x.

    Raises:
        ValueError: a channel has fewer than 2 values.
    """
    mean, sigma = [], []
    for values in _channels(x):
        if len(values) < 2:
            raise ValueError(f"range_norm: x has shape {x.shape}: statistics take 2 values a channel or more")
        mean.append(_on_grid(Fraction(sum(value_of(raw, rules.x) for raw in values)) / len(values), rules))
        chunks = _chunks(values)
        spread = Fraction(sum(value_of(max(chunk) - min(chunk), rules.x) for chunk in chunks)) / len(chunks)
        sigma.append(_on_grid(_constant(values, rules) * spread, rules))
    return mean, sigma


def range_norm(
    x: _Raws,
    weight: _Raws,
    bias: _Raws,
    rules: Normalization,
    out: Quantizer | Format | str,
    *,
    mean: list[int],
    sigma: list[int],
    key: Key | None = None,
    index_offset: int = 0,
) -> tuple[_Raws, Counts]:
    """(x - mean) / scale * weight + bias, rounded once.

    Args:
        x: raws (N, C, H, W); weight, bias: raws (C,); mean, sigma: of `range_statistics`, or running ones.
        rules: what they mean.
        out: how the result is rounded. key, index_offset: as in `quantize`, numbered channels last.

    Returns:
        Raws (N, C, H, W), int64, and the counts.

    Raises:
        ValueError: a raw is out of range, or a key is missing.
    """
    data = integers("range_norm", x, rules.x)

    def value(c: int, _: int, raw: int) -> Fraction:
        centred = value_of(raw, rules.x) - mean[c] * rules.grid
        gain, shift = value_of(int(weight[c]), rules.weight), value_of(int(bias[c]), rules.bias)
        return centred / rules.scale(sigma[c]) * gain + shift

    return _rounded("range_norm", data, value, Quantizer.of(out), key, index_offset)


def range_norm_backward(
    g: _Raws,
    g_format: Format,
    x: _Raws,
    weight: _Raws,
    rules: Normalization,
    grad_input: Quantizer | Format | str,
    grad_weight: Quantizer | Format | str,
    *,
    mean: list[int],
    sigma: list[int],
    running: bool = False,
    keys: tuple[Key | None, Key | None, Key | None] = (None, None, None),
    index_offset: int = 0,
) -> tuple[tuple[_Raws, Counts], tuple[_Raws, Counts], tuple[_Raws, Counts]]:
    """The gradients of x, weight and bias, raws and counts of each.

    Args:
        g: raws of the output's gradient (N, C, H, W), of `g_format`.
        x, weight, rules, mean, sigma: as in `range_norm`.
        grad_input, grad_weight: how the gradients are rounded; the bias's as the weight's.
        running: mean and sigma are running ones, through which no gradient passes.
        keys: for the three roundings.

    Raises:
        ValueError: a raw is out of range, or a key is missing.
    """
    grad, data = integers("range_norm_backward", g, g_format), integers("range_norm_backward", x, rules.x)
    fine = Fraction(2) ** -(g_format.fl + GUARD_BITS)
    of_weight, of_bias, average, pull = [], [], [], []
    for c, (gradients, values) in enumerate(zip(_channels(grad), _channels(data), strict=True)):
        reals = [value_of(raw, g_format) for raw in gradients]
        centred = [value_of(raw, rules.x) - mean[c] * rules.grid for raw in values]
        slope = sum(a * b for a, b in zip(reals, centred, strict=True)) / rules.scale(sigma[c])
        of_bias.append(Fraction(sum(reals)))
        of_weight.append(Fraction(slope))
        if not running:
            average.append(round_real(sum(reals) / Fraction(len(reals)) / fine, "nearest_even"))
            spread = _constant(values, rules) * slope / len(_chunks(values))
            pull.append(round_real(spread / fine, "nearest_even"))
    signs = [_extremes(values) for values in _channels(data)]

    def value(c: int, place: int, raw: int) -> Fraction:
        through = value_of(raw, g_format)
        if not running:
            through -= (average[c] + signs[c][place] * pull[c]) * fine
        return through * value_of(int(weight[c]), rules.weight) / rules.scale(sigma[c])

    name, quantizer = "range_norm_backward", Quantizer.of(grad_weight)
    return (
        _rounded(name, grad, value, Quantizer.of(grad_input), keys[0], index_offset),
        _vector(name, of_weight, quantizer, keys[1]),
        _vector(name, of_bias, quantizer, keys[2]),
    )


def _channels(x: _Raws) -> list[list[int]]:
    """The values of every channel in the order (n, y, x)."""
    return [[int(raw) for raw in channel.reshape(-1)] for channel in np.moveaxis(x, 1, 0)]


def _chunks(values: list[int]) -> list[list[int]]:
    size = len(values) // chunk_count(len(values))
    return [values[start : start + size] for start in range(0, len(values), size)]


def _constant(values: list[int], rules: Normalization) -> Fraction:
    return Fraction(range_constant(len(_chunks(values)[0]), rules.constant), 1 << CONSTANT_BITS)


def _on_grid(value: Fraction, rules: Normalization) -> int:
    return round_real(value / rules.grid, "nearest_even")


def _extremes(values: list[int]) -> list[int]:
    """+1 at the first highest of every chunk, -1 at the first lowest, 0 elsewhere and where both are one."""
    signs = [0] * len(values)
    start = 0
    for chunk in _chunks(values) if values else []:
        signs[start + chunk.index(max(chunk))] += 1
        signs[start + chunk.index(min(chunk))] -= 1
        start += len(chunk)
    return signs


def _rounded(
    name: str, raws: _Raws, value: Any, q: Quantizer, key: Key | None, index_offset: int
) -> tuple[_Raws, Counts]:
    """Every element's value, a function of channel, place in the channel and raw, rounded in channels-last order."""
    check_key(name, key, q)
    images, channels, height, width = raws.shape
    result, counts = np.zeros(raws.shape, np.int64), Counts()
    for place, (n, y, x) in enumerate(np.ndindex(images, height, width)):
        for c in range(channels):
            index = index_offset + place * channels + c
            result[n, c, y, x] = _one(value(c, place, int(raws[n, c, y, x])), q, key, index, counts)
    return result, counts


def _vector(name: str, values: list[Fraction], q: Quantizer, key: Key | None) -> tuple[_Raws, Counts]:
    check_key(name, key, q)
    counts = Counts()
    return np.array([_one(value, q, key, i, counts) for i, value in enumerate(values)], np.int64), counts


def _one(value: Fraction, q: Quantizer, key: Key | None, index: int, counts: Counts) -> int:
    u = draw(key, index, q)
    outcome = quantize_value(value, q, u)
    counts.random_draws += u is not None
    counts.output_overflows += outcome.overflowed
    counts.inexact += outcome.inexact
    counts.round_to_zero += outcome.rounded_to_zero
    return outcome.raw
