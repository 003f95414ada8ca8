"""A closer look at the operands of products: the matrices written out, and what their elements are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fxsim.ops._geometry import Axis, View
from fxsim.ops.details import BINS, Detail, Look

Ints = npt.NDArray[np.int64]


def look_at(products: Sequence[tuple[View, View]], look: Look) -> Detail:
    """The detail of the GEMMs of one call, rows of a view against rows of another."""
    rows: list[Ints] = []
    columns: list[Ints] = []
    pairs: list[Ints] = []
    histograms = np.zeros((4, BINS), np.int64)
    for a_view, b_view in products:
        a, b = matrix(a_view), matrix(b_view)
        rows.append(np.count_nonzero(a, axis=1))
        columns.append(np.count_nonzero(b, axis=1))
        if look.level < 2:
            continue
        # k < 2^53, so sums of ones are exact.
        pairs.append(((a != 0).astype(np.float64) @ (b != 0).astype(np.float64).T).astype(np.int64).reshape(-1))
        signed = (a_view.format.signed, b_view.format.signed)
        needed = [needed_bits(each, of_signed) for each, of_signed in zip((a, b), signed, strict=True)]
        set_bits = [np.bitwise_count(np.abs(each.astype(np.int64))) for each in (a, b)]
        for histogram, bits in zip(histograms, (*needed, *set_bits), strict=True):
            histogram += np.bincount(greatest(bits, look.rows, look.lanes).reshape(-1), minlength=BINS)
    found = Detail(a_row_nnz=np.concatenate(rows), b_column_nnz=np.concatenate(columns))
    if look.level < 2:
        return found
    return Detail(
        a_row_nnz=found.a_row_nnz,
        b_column_nnz=found.b_column_nnz,
        pair_nnz=np.concatenate(pairs),
        a_needed_bits=histograms[0],
        b_needed_bits=histograms[1],
        a_set_bits=histograms[2],
        b_set_bits=histograms[3],
        rows=look.rows,
        lanes=look.lanes,
    )


def matrix(view: View) -> npt.NDArray[np.integer]:
    """The rows of a view, (rows, k), structural zeros as 0."""
    n, height, width = view.pixels
    data = view.data.numpy()
    shape = (n, view.y[4], view.x[4], view.taps[2])
    strides = tuple(stride * data.itemsize for stride in view.strides)
    elements = np.lib.stride_tricks.as_strided(data, shape, strides, writeable=False)
    ys, xs = _positions(view.y, height, view.taps[0]), _positions(view.x, width, view.taps[1])
    at_y, at_x = ys[:, None, :, None], xs[None, :, None, :]
    found = np.where(((at_y >= 0) & (at_x >= 0))[None, ..., None], elements[:, at_y, at_x], 0)
    if view.channel_major:
        found = found.transpose(0, 1, 2, 5, 3, 4)
    table = found.reshape(n * height * width, -1) if found.size else np.zeros(_size(view), data.dtype)
    return table.T if view.transposed else table


def _size(view: View) -> tuple[int, int]:
    pixels, taps = (int(np.prod(each)) for each in (view.pixels, view.taps))
    return pixels, taps


def _positions(axis: Axis, pixels: int, taps: int) -> Ints:
    """(pixels, taps): the position met, -1 for none."""
    pixel_mul, tap_mul, offset, div, size = axis
    place = np.arange(pixels)[:, None] * pixel_mul + np.arange(taps)[None] * tap_mul + offset
    position, rest = np.divmod(place, div)
    return np.where((rest == 0) & (position >= 0) & (position < size), position, -1)


def needed_bits(raw: npt.NDArray[np.integer], signed: bool) -> npt.NDArray[np.integer]:
    """The least word length that holds each integer; 0 for 0."""
    wide = raw.astype(np.int64)
    magnitude = np.where(wide < 0, ~wide, wide)
    bits = np.frexp(magnitude.astype(np.float64))[1]  # raws are below 2^53, so the exponent is that of the integer
    return np.where(wide == 0, 0, bits + (1 if signed else 0))


def greatest(bits: npt.NDArray[np.integer], rows: int, lanes: int) -> npt.NDArray[np.integer]:
    """The greatest of each group of `rows` by `lanes` elements; groups at the edges are smaller."""
    if not bits.size:
        return np.zeros((0,), np.int64)
    by_rows = np.maximum.reduceat(bits, np.arange(0, bits.shape[0], rows), axis=0)
    return np.maximum.reduceat(by_rows, np.arange(0, bits.shape[1], lanes), axis=1)
