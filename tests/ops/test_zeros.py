"""Zeros of views, against an element looked up for every row and k."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from fxsim.formats import Format
from fxsim.ops._geometry import View, conv_shape, matrix
from fxsim.ops._zeros import count_macs, zeros

FORMAT = Format(6, 2)


def looked_up(view: View) -> list[list[int | None]]:
    """The matrix of a view, row by row, None for structural zeros."""
    pixels = list(itertools.product(*map(range, view.pixels)))
    taps = list(itertools.product(*map(range, view.taps)))
    if view.channel_major:
        taps.sort(key=lambda tap: (tap[2], tap[0], tap[1]))
    table = [[element(view, pixel, tap) for tap in taps] for pixel in pixels]
    return [list(column) for column in zip(*table, strict=True)] if view.transposed else table


def element(view: View, pixel: tuple[int, ...], tap: tuple[int, ...]) -> int | None:
    place = [pixel[0]]
    for at, through, (pixel_mul, tap_mul, offset, div, size) in zip(pixel[1:], tap[:2], (view.y, view.x), strict=True):
        position, rest = divmod(at * pixel_mul + through * tap_mul + offset, div)
        if rest or not 0 <= position < size:
            return None
        place.append(position)
    start = view.data.storage_offset() + sum(i * s for i, s in zip((*place, tap[2]), view.strides, strict=True))
    return int(view.data.as_strided((1,), (1,), start))


def sparse(*shape: int, dtype: torch.dtype = torch.int8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(-1, 2, shape, generator=generator).to(dtype)


def check(view: View) -> None:
    expected = looked_up(view)
    found = zeros(view)
    assert found.rows == len(expected)
    depth = math.prod(view.pixels if view.transposed else view.taps)
    columns = [[row[k] for row in expected] for k in range(depth)]
    repeats, period = found.non_zero.shape
    assert found.non_zero.reshape(-1).tolist() == [sum(bool(each) for each in column) for column in columns]
    assert found.structural.tolist() * repeats == [column.count(None) for column in columns]
    assert repeats * period == len(columns)


CASES = [(1, 0, 1, 1), (1, 1, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), (3, 2, 2, 2), (4, 0, 1, 2)]


@pytest.mark.parametrize("channels", [2, 8, 16])
@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), CASES)
def test_every_operand_of_a_convolution(stride: int, padding: int, dilation: int, groups: int, channels: int) -> None:
    conv = conv_shape(
        "test",
        (3, channels * groups, 5, 6),
        (2 * groups, channels, 3, 2),
        (stride, stride),
        (padding, padding),
        (dilation, dilation),
        groups,
    )
    x, w = sparse(3, 5, 6, conv.c).permute(0, 3, 1, 2), sparse(conv.co, channels, 3, 2, dtype=torch.int16)
    g = sparse(3, *conv.out, conv.co, dtype=torch.int32).permute(0, 3, 1, 2)
    for group in range(groups):
        views = [
            *conv.forward(x, FORMAT, w, FORMAT, group, False),
            *conv.forward(x, FORMAT, w, FORMAT, group, True),
            *conv.dgrad(g, FORMAT, w, FORMAT, group),
            *conv.wgrad(g, FORMAT, x, FORMAT, group),
        ]
        for view in views:
            check(view)


def test_elements_are_counted_once_each() -> None:
    conv = conv_shape("test", (2, 4, 5, 5), (6, 2, 3, 3), (2, 2), (1, 1), (1, 1), 2)
    x, w = sparse(2, 4, 5, 5), sparse(6, 2, 3, 3)
    found = [zeros(conv.forward(x, FORMAT, w, FORMAT, group, False)[0]) for group in range(2)]
    assert sum(each.elements for each in found) == x.numel()
    assert sum(each.nnz for each in found) == int(torch.count_nonzero(x))


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64])
def test_matrices_of_any_strides(dtype: torch.dtype) -> None:
    full = sparse(9, 14, dtype=dtype)
    for data in (full, full.t(), full[::2, 1::3], full[:0], full[:, :0], full[:1].expand(4, 14)):
        check(matrix(data, FORMAT))


def test_more_images_than_a_byte_counts_and_than_a_block_holds() -> None:
    data = torch.ones(700, 1200, dtype=torch.int8)
    data[:, 3] = 0
    found = zeros(matrix(data, FORMAT))
    assert found.non_zero.reshape(-1).tolist() == [0 if k == 3 else 700 for k in range(1200)]
    assert found.nnz == 700 * 1199


def test_more_channels_than_a_byte_counts() -> None:
    conv = conv_shape("test", (1, 300, 2, 2), (300, 300, 1, 1), (1, 1), (0, 0), (1, 1), 1)
    g, x = torch.ones(1, 300, 2, 2, dtype=torch.int8), torch.ones(1, 300, 2, 2, dtype=torch.int8)
    a, b = (zeros(view) for view in conv.wgrad(g, FORMAT, x, FORMAT, 0))
    assert a.non_zero.tolist() == b.non_zero.tolist() == [[300] * 4]
    assert count_macs([(a, b)]).nz_macs == 300 * 300 * 4
