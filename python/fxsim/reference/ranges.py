"""Grids that follow a tensor, and products of codes, in fractions and integers one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Grid: TypeAlias = tuple[float, float]
"""Scale and zero: a code q stands for q * scale + zero."""

Term: TypeAlias = tuple[int, int]
"""The codes of both operands at one k."""

Ints: TypeAlias = npt.NDArray[np.int64]


def affine_code(x: float, low: float, high: float, bits: int, *, random_bits: int = 0, draw: int = 0) -> int:
    """The code of one number: its exact place in the range in steps, clamped, rounded to nearest even.

    With random_bits r > 0: the place times 2**r rounded down, plus the draw, shifted back; the last code at most.
    """
    top = (1 << bits) - 1
    if high == low:
        return 0
    place = (Fraction(x) - Fraction(low)) * top / (Fraction(high) - Fraction(low))
    place = max(Fraction(0), min(Fraction(top), place))
    if not random_bits:
        return round(place)
    return min((math.floor(place * (1 << random_bits)) + draw) >> random_bits, top)


def range_codes(
    x: npt.NDArray[Any], low: float, high: float, bits: int, *, random_bits: int = 0, draws: Iterable[int] = ()
) -> Ints:
    """`affine_code` of every element, in C order, each with its own draw."""
    given = list(draws) or [0] * x.size
    codes = [
        affine_code(float(each), low, high, bits, random_bits=random_bits, draw=int(draw))
        for each, draw in zip(x.ravel(), given, strict=True)
    ]
    return np.array(codes, np.int64).reshape(x.shape)


def ranged_sum(terms: Iterable[Term], a: Grid, b: Grid, *, affine: bool = True) -> float:
    """The value of a sum of products of codes: four exact sums, put together in float64 from left to right.

    terms: those that meet no padding. affine: False where no zero is other than 0, and its sums are left out.
    """
    terms = list(terms)
    (scale_a, zero_a), (scale_b, zero_b) = a, b
    total = float(sum(p * q for p, q in terms)) * (scale_a * scale_b)
    if affine:
        total += float(sum(p for p, _ in terms)) * (scale_a * zero_b)
        total += float(sum(q for _, q in terms)) * (zero_a * scale_b)
        total += float(len(terms)) * (zero_a * zero_b)
    return total


Sizes: TypeAlias = tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]
"""Stride, padding, dilation, groups."""


def _taps(x: tuple[int, ...], weight: tuple[int, ...], sizes: Sizes) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Indices of y, weight and x of every product of a convolution that meets no padding."""
    (sh, sw), (ph, pw), (dh, dw), groups = sizes
    n, _, h, w = x
    co, c, kh, kw = weight
    oh, ow = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1, (w + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    for i, o, y0, x0 in np.ndindex(n, co, oh, ow):
        for r, s, k in np.ndindex(kh, kw, c):
            row, column = y0 * sh + r * dh - ph, x0 * sw + s * dw - pw
            if 0 <= row < h and 0 <= column < w:
                channel = o // (co // groups) * c + k
                yield (i, o, y0, x0), (o, k, r, s), (i, channel, row, column)


def _collect(
    shape: tuple[int, ...], terms: Iterable[tuple[tuple[int, ...], Term]], a: Grid, b: list[Grid], affine: bool
) -> npt.NDArray[np.float64]:
    """Sums by output index; b has one grid, or one for each index of dimension 1."""
    found: dict[tuple[int, ...], list[Term]] = {index: [] for index in np.ndindex(*shape)}
    for index, term in terms:
        found[index].append(term)
    out = np.empty(shape)
    for index, each in found.items():
        out[index] = ranged_sum(each, a, b[index[1] if len(b) > 1 else 0], affine=affine)
    return out


def ranged_conv2d(
    x: Ints, x_grid: Grid, weight: Ints, weight_grids: list[Grid], sizes: Sizes, *, affine: bool = True
) -> npt.NDArray[np.float64]:
    """A convolution of codes x (N, C, H, W) and weight (C_out, C / groups, KH, KW), without bias."""
    (sh, sw), (ph, pw), (dh, dw), _ = sizes
    (n, _, h, w), (co, _, kh, kw) = x.shape, weight.shape
    oh, ow = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1, (w + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    terms = ((y, (int(x[i]), int(weight[t]))) for y, t, i in _taps(x.shape, weight.shape, sizes))
    return _collect((n, co, oh, ow), terms, x_grid, weight_grids, affine)


def ranged_conv2d_dgrad(
    grad: Ints,
    grad_grid: Grid,
    weight: Ints,
    weight_grid: Grid,
    size: tuple[int, ...],
    sizes: Sizes,
    *,
    affine: bool = True,
) -> npt.NDArray[np.float64]:
    """The gradient of x, of shape `size` (N, C, H, W)."""
    terms = ((i, (int(grad[y]), int(weight[t]))) for y, t, i in _taps(size, weight.shape, sizes))
    return _collect(size, terms, grad_grid, [weight_grid], affine)


def ranged_conv2d_wgrad(
    grad: Ints, grad_grid: Grid, x: Ints, x_grid: Grid, size: tuple[int, ...], sizes: Sizes, *, affine: bool = True
) -> npt.NDArray[np.float64]:
    """The gradient of weight, of shape `size` (C_out, C / groups, KH, KW)."""
    terms = ((t, (int(grad[y]), int(x[i]))) for y, t, i in _taps(x.shape, size, sizes))
    return _collect(size, terms, grad_grid, [x_grid], affine)
