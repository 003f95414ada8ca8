"""Zeros of an operand, per k, from one pass over its elements.

An element stands in many places of the matrix, so places are not visited one by one: what they share is added up
first. Where k is a tap, that is the images; where k is a pixel, the channels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fxsim.ops import _bridge
from fxsim.ops._geometry import Axis, View

Counts = npt.NDArray[np.int64]


class Zeros(NamedTuple):
    """Of an operand at each k = (i, j), row-major: its rows, those that are structural zeros, those that are not 0.

    structural: (J,), the same for every i. non_zero: (I, J). elements, nnz: of the tensor, each once.
    """

    rows: int
    structural: Counts
    non_zero: npt.NDArray[np.integer]
    elements: int
    nnz: int


class MacCounts(NamedTuple):
    """Macs of products by what their operands are; the meaning is `OpCounts`'s."""

    macs: int
    pad_macs: int
    zero_a_macs: int
    zero_b_macs: int
    zero_macs: int
    nz_macs: int


def count_macs(products: Iterable[tuple[Zeros, Zeros]]) -> MacCounts:
    """Every row of a meets every row of b at every k, so sums over k replace the inner loop."""
    macs = valid = a_met = b_met = both = 0
    for a, b in products:
        a_valid, b_valid = a.rows - a.structural, b.rows - b.structural
        repeats = len(a.non_zero)
        macs += a.rows * b.rows * repeats * len(a_valid)
        valid += repeats * int(a_valid @ b_valid)
        a_met += int(a.non_zero.sum(0, dtype=np.int64) @ b_valid)
        b_met += int(a_valid @ b.non_zero.sum(0, dtype=np.int64))
        both += _dot(a.non_zero, b.non_zero)
    return MacCounts(macs, macs - valid, valid - a_met, valid - b_met, valid - both, both)


def _dot(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> int:
    # In float64 for BLAS: no product of matrices has 2^53 macs, so every partial sum is exact.
    return int(np.vdot(a.astype(np.float64), b.astype(np.float64)))


class _Reach(NamedTuple):
    """The pixels of one axis that meet an element through one tap, `met` of them, and the positions they meet."""

    pixels: slice
    positions: slice
    met: int


def zeros(view: View) -> Zeros:
    """Zeros of a view, k by k."""
    n, c = view.pixels[0], view.taps[2]
    shape = (n, view.y[4], view.x[4], c)
    data = view.data.numpy()
    strides = tuple(stride * data.itemsize for stride in view.strides)
    elements = np.lib.stride_tricks.as_strided(data, shape, strides, writeable=False)
    return _by_pixels(view, elements) if view.transposed else _by_taps(view, elements)


def _by_taps(view: View, elements: npt.NDArray[np.integer]) -> Zeros:
    sums = _bridge.count_images(elements)
    kernel_y, kernel_x, channels = view.taps
    structural = np.empty((kernel_y, kernel_x, channels), np.int64)
    found = np.empty((kernel_y, kernel_x, channels), np.int64)
    rows = math.prod(view.pixels)
    for y, row in enumerate(_reaches(view.y, view.pixels[1], kernel_y)):
        lines = sums[row.positions].sum(0)
        for x, column in enumerate(_reaches(view.x, view.pixels[2], kernel_x)):
            structural[y, x] = rows - view.pixels[0] * row.met * column.met
            found[y, x] = lines[column.positions].sum(0)
    if view.channel_major:
        structural, found = structural.transpose(2, 0, 1), found.transpose(2, 0, 1)
    return Zeros(rows, structural.reshape(-1), found.reshape(1, -1), elements.size, int(sums.sum()))


def _by_pixels(view: View, elements: npt.NDArray[np.integer]) -> Zeros:
    sums = _bridge.count_channels(elements)
    kernel_y, kernel_x, channels = view.taps
    rows = kernel_y * kernel_x * channels
    y_reaches = _reaches(view.y, view.pixels[1], kernel_y)
    x_reaches = _reaches(view.x, view.pixels[2], kernel_x)
    lines = np.zeros((view.pixels[0], view.pixels[1], sums.shape[2]), np.int32)
    for reach in y_reaches:
        lines[:, reach.pixels] += sums[:, reach.positions]
    found = np.zeros(view.pixels, np.int32)
    for reach in x_reaches:
        found[:, :, reach.pixels] += lines[:, :, reach.positions]
    met = np.outer(_meetings(y_reaches, view.pixels[1]), _meetings(x_reaches, view.pixels[2]))
    structural = rows - channels * met.reshape(-1)
    nnz = int(sums.sum(dtype=np.int64))
    return Zeros(rows, structural, found.reshape(view.pixels[0], len(structural)), elements.size, nnz)


def _meetings(reaches: Iterable[_Reach], pixels: int) -> Counts:
    """Taps through which each pixel of an axis meets an element."""
    met = np.zeros(pixels, np.int64)
    for reach in reaches:
        met[reach.pixels] += 1
    return met


@lru_cache(maxsize=4096)
def _reaches(axis: Axis, pixels: int, taps: int) -> tuple[_Reach, ...]:
    return tuple(_reach(axis, pixels, tap) for tap in range(taps))


def _reach(axis: Axis, pixels: int, tap: int) -> _Reach:
    """Pixels that meet something are evenly spaced, and so are their positions."""
    pixel_mul, tap_mul, offset, div, size = axis
    met = []
    for pixel in range(pixels):
        position, rest = divmod(pixel * pixel_mul + tap * tap_mul + offset, div)
        if rest == 0 and 0 <= position < size:
            met.append((pixel, position))
    if not met:
        return _Reach(slice(0, 0), slice(0, 0), 0)
    (first_pixel, first), (second_pixel, second) = met[0], met[min(1, len(met) - 1)]
    return _Reach(
        slice(first_pixel, met[-1][0] + 1, max(second_pixel - first_pixel, 1)),
        slice(first, met[-1][1] + 1, max(second - first, 1)),
        len(met),
    )
