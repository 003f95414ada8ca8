"""Sums, bounds and means of windows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from fxsim.formats import Format
from fxsim.reference.counts import Counts
from fxsim.reference.quantize import INDEX_ORDERS, check_key, draw, quantize_value, value_of
from fxsim.rng import Key
from fxsim.rounding import Quantizer

_Raws = npt.NDArray[Any]
_Pair = tuple[int, int]


def add(
    a: _Raws,
    a_format: Format,
    b: _Raws,
    b_format: Format,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
    index_order: str = "c",
) -> tuple[_Raws, Format, Counts]:
    """a + b on raws of one shape, rounded once; without `out` in a format that holds every sum.

    Returns:
        Raws, int64; their format; the counts.

    Raises:
        ValueError: a key is missing.
        OverflowError: the first overflow under "error".
    """
    values = np.empty(a.shape, object)
    for position in np.ndindex(*a.shape):
        values[position] = value_of(int(a[position]), a_format) + value_of(int(b[position]), b_format)
    quantizer = Quantizer(_sum_format(a_format, b_format)) if out is None else Quantizer.of(out)
    return _rounded("add", values, quantizer, key, index_offset, index_order)


def clip(x: _Raws, form: Format, low: float | None = None, high: float | None = None) -> _Raws:
    """Every raw of x, or the bound beyond which it lies, moved inwards to the grid."""
    least = form.raw_min if low is None else math.ceil(Fraction(low) / value_of(1, form))
    greatest = form.raw_max if high is None else math.floor(Fraction(high) / value_of(1, form))
    return np.array([max(least, min(int(raw), greatest)) for raw in x.reshape(-1)], np.int64).reshape(x.shape)


def avg_pool2d(
    x: _Raws,
    x_format: Format,
    kernel_size: _Pair,
    stride: _Pair,
    padding: _Pair,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> tuple[_Raws, Format, Counts]:
    """Means of the windows of raws (N, C, H, W), zeros of the padding included."""
    size = [
        (length + 2 * pad - kernel) // step + 1
        for length, pad, kernel, step in zip(x.shape[2:], padding, kernel_size, stride, strict=True)
    ]
    values = np.empty((*x.shape[:2], *size), object)
    for n, c, row, column in np.ndindex(*values.shape):
        taps = _taps((row, column), kernel_size, stride, padding)
        values[n, c, row, column] = _mean(
            (x[n, c, y, z] for y, z in taps if 0 <= y < x.shape[2] and 0 <= z < x.shape[3]), x_format, kernel_size
        )
    return _means("avg_pool2d", values, x_format, kernel_size, out, key, index_offset)


def avg_pool2d_dgrad(
    g: _Raws,
    g_format: Format,
    input_size: _Pair,
    kernel_size: _Pair,
    stride: _Pair,
    padding: _Pair,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> tuple[_Raws, Format, Counts]:
    """The gradient of an input: g over all windows it is in, divided by the size of a window."""
    values = np.empty((*g.shape[:2], *input_size), object)
    for n, c, y, z in np.ndindex(*values.shape):
        windows = [
            (row, column)
            for row, column in np.ndindex(*g.shape[2:])
            if (y, z) in _taps((row, column), kernel_size, stride, padding)
        ]
        values[n, c, y, z] = _mean((g[n, c, row, column] for row, column in windows), g_format, kernel_size)
    return _means("avg_pool2d_dgrad", values, g_format, kernel_size, out, key, index_offset)


def _taps(place: _Pair, size: _Pair, stride: _Pair, padding: _Pair) -> set[_Pair]:
    top, left = (at * step - pad for at, step, pad in zip(place, stride, padding, strict=True))
    return {(top + row, left + column) for row in range(size[0]) for column in range(size[1])}


def _mean(raws: Iterable[Any], form: Format, kernel_size: _Pair) -> Fraction:
    return sum((value_of(int(raw), form) for raw in raws), Fraction(0)) / (kernel_size[0] * kernel_size[1])


def _means(
    name: str,
    values: _Raws,
    form: Format,
    kernel_size: _Pair,
    out: Quantizer | Format | str | None,
    key: Key | None,
    index_offset: int,
) -> tuple[_Raws, Format, Counts]:
    if out is None:
        bits = int(math.log2(kernel_size[0] * kernel_size[1]))
        quantizer = Quantizer(Format(form.wl + bits, form.fl + bits, form.signed))
    else:
        quantizer = Quantizer.of(out)
    return _rounded(name, values, quantizer, key, index_offset, "channels_last")


def _sum_format(a: Format, b: Format) -> Format:
    """One bit more than the wider operand has once both are aligned and of one kind of sign."""
    fl, signed = max(a.fl, b.fl), a.signed or b.signed
    widths = [form.wl + fl - form.fl + (1 if signed and not form.signed else 0) for form in (a, b)]
    return Format(max(widths) + 1, fl, signed)


def _rounded(
    name: str, values: _Raws, q: Quantizer, key: Key | None, index_offset: int, index_order: str
) -> tuple[_Raws, Format, Counts]:
    check_key(name, key, q)
    assert index_order in INDEX_ORDERS  # noqa: S101 - callers are tests
    order = values if index_order == "c" else np.moveaxis(values, 1, -1)
    counts, raws = Counts(), np.zeros(order.shape, np.int64)
    for i, position in enumerate(np.ndindex(*order.shape)):
        u = draw(key, index_offset + i, q)
        outcome = quantize_value(Fraction(order.item(position)), q, u)
        raws[position] = outcome.raw
        counts.random_draws += u is not None
        counts.output_overflows += outcome.overflowed
        counts.inexact += outcome.inexact
        counts.round_to_zero += outcome.rounded_to_zero
    return raws if index_order == "c" else np.moveaxis(raws, -1, 1), q.format, counts
