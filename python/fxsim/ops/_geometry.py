"""Operands of matrix products as views: which element of a tensor stands at row i and depth k.

A convolution never copies its input into columns: the view says where each pair (pixel, tap) finds its
element, or that it falls on padding or between strides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, final

from torch import Tensor

from fxsim.formats import Format

Axis = tuple[int, int, int, int, int]
"""(pixel_mul, tap_mul, offset, div, size): position * div = pixel * pixel_mul + tap * tap_mul + offset, a
structural zero unless 0 <= position < size."""

Pair = tuple[int, int]

_POINT: Final[Axis] = (0, 0, 0, 1, 1)


class View(NamedTuple):
    """A tensor as a matrix of pixels (n, y, x) against taps (y, x, c); rows are pixels unless transposed.

    data: integer tensor whose first element is position 0; strides: elements per step of (n, y, x, c).
    channel_major: taps run (c, y, x) instead of (y, x, c).
    """

    data: Tensor
    format: Format
    pixels: tuple[int, int, int]
    taps: tuple[int, int, int]
    strides: tuple[int, int, int, int]
    y: Axis = _POINT
    x: Axis = _POINT
    channel_major: bool = False
    transposed: bool = False

    @property
    def elements(self) -> int:
        """Elements of the tensor that it shows, each once."""
        return self.pixels[0] * self.y[4] * self.x[4] * self.taps[2]


def matrix(data: Tensor, form: Format) -> View:
    """A 2-D tensor (rows, k) as it is, whatever its strides."""
    rows, depth = data.shape
    row_stride, k_stride = data.stride()
    return View(data, form, (rows, 1, 1), (1, 1, depth), (row_stride, 0, 0, k_stride))


@final
@dataclass(frozen=True, slots=True)
class Conv:
    """The sizes of one convolution: x (n, c, h, w), weight (co, c / groups, kh, kw), y (n, co, oh, ow)."""

    n: int
    c: int
    co: int
    size: Pair
    kernel: Pair
    out: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        """Of the input."""
        return (self.n, self.c, *self.size)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Of the weight."""
        return (self.co, self.c // self.groups, *self.kernel)

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        """Of the output."""
        return (self.n, self.co, *self.out)

    @property
    def depth(self) -> int:
        """K of the forward product of one group."""
        return self.c // self.groups * self.kernel[0] * self.kernel[1]

    @property
    def pixels(self) -> int:
        """Output pixels of the whole batch."""
        return self.n * self.out[0] * self.out[1]

    def _group(self, data: Tensor, dim: int, group: int) -> Tensor:
        if self.groups == 1:
            return data
        width = data.shape[dim] // self.groups
        return data.narrow(dim, group * width, width)

    def _gather(self, axis: int) -> Axis:
        return (self.stride[axis], self.dilation[axis], -self.padding[axis], 1, self.size[axis])

    def _scatter(self, axis: int) -> Axis:
        return (1, -self.dilation[axis], self.padding[axis], self.stride[axis], self.out[axis])

    def _same(self, axis: int) -> Axis:
        return (1, 0, 0, 1, self.out[axis])

    def _taps(self, axis: int) -> Axis:
        return (0, 1, 0, 1, self.kernel[axis])

    def forward(
        self, x: Tensor, x_format: Format, weight: Tensor, weight_format: Format, group: int, channel_major: bool
    ) -> tuple[View, View]:
        """Rows: output pixels, output channels of the group; k: (kh, kw, c) or, channel major, (c, kh, kw)."""
        x, weight = self._group(x, 1, group), self._group(weight, 0, group)
        taps = (*self.kernel, x.shape[1])
        a = View(x, x_format, (self.n, *self.out), taps, _nyxc(x), self._gather(0), self._gather(1), channel_major)
        b = View(
            weight,
            weight_format,
            (weight.shape[0], 1, 1),
            taps,
            _nyxc(weight),
            self._taps(0),
            self._taps(1),
            channel_major,
        )
        return a, b

    def dgrad(
        self, grad: Tensor, grad_format: Format, weight: Tensor, weight_format: Format, group: int
    ) -> tuple[View, View]:
        """Rows: input pixels, input channels of the group; k: (kh, kw, co), kernel indices not flipped."""
        grad, weight = self._group(grad, 1, group), self._group(weight, 0, group)
        taps = (*self.kernel, grad.shape[1])
        a = View(grad, grad_format, (self.n, *self.size), taps, _nyxc(grad), self._scatter(0), self._scatter(1))
        stride_o, stride_i, stride_h, stride_w = weight.stride()
        strides = (stride_i, stride_h, stride_w, stride_o)
        b = View(weight, weight_format, (weight.shape[1], 1, 1), taps, strides, self._taps(0), self._taps(1))
        return a, b

    def wgrad(self, grad: Tensor, grad_format: Format, x: Tensor, x_format: Format, group: int) -> tuple[View, View]:
        """Rows: output channels, taps (kh, kw, c) of the group; k: output pixels (n, oh, ow)."""
        grad, x = self._group(grad, 1, group), self._group(x, 1, group)
        pixels = (self.n, *self.out)
        a = View(
            grad,
            grad_format,
            pixels,
            (1, 1, grad.shape[1]),
            _nyxc(grad),
            self._same(0),
            self._same(1),
            transposed=True,
        )
        taps = (*self.kernel, x.shape[1])
        b = View(x, x_format, pixels, taps, _nyxc(x), self._gather(0), self._gather(1), transposed=True)
        return a, b

    def pairs(self) -> int:
        """Pairs (output pixel, tap) of one channel that meet an element of the image, whatever the product."""
        return self.n * self._within(0) * self._within(1)

    def _within(self, axis: int) -> int:
        return _positions_within(
            self.size[axis],
            self.out[axis],
            self.kernel[axis],
            self.stride[axis],
            self.padding[axis],
            self.dilation[axis],
        )


@lru_cache(maxsize=4096)
def _positions_within(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Pairs (output, tap) of one dimension that meet an element."""
    starts = range(-padding, out * stride - padding, stride)
    taps = range(0, kernel * dilation, dilation)
    return sum(0 <= start + tap < size for start in starts for tap in taps)


def _nyxc(data: Tensor) -> tuple[int, int, int, int]:
    n, c, h, w = data.stride()
    return (n, h, w, c)


@lru_cache(maxsize=4096)
def strides_of(shape: tuple[int, ...], channels_last: bool) -> tuple[int, ...]:
    """The strides of a tensor that fills its memory in C order, or with the second dimension last."""
    step, strides = 1, [0] * len(shape)
    order = [*range(len(shape))]
    for axis in reversed([0, *order[2:], 1] if channels_last else order):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Positions of a kernel along one axis."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


@lru_cache(maxsize=4096)
def conv_shape(
    name: str,
    x: tuple[int, ...],
    weight: tuple[int, ...],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Conv:
    """The checked sizes of a convolution of shapes `x` (n, c, h, w) and `weight` (co, c / groups, kh, kw).

    Raises:
        ValueError: the shapes and settings do not make a convolution; the text begins with `name`.
    """
    if len(x) != 4 or len(weight) != 4:
        raise ValueError(
            f"{name}: x has shape {tuple(x)} and weight {tuple(weight)}: accepted are (N, C, H, W) and "
            f"(C_out, C / groups, KH, KW); reshape them"
        )
    settings = (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1), ("groups", (groups,), 1))
    for setting, values, least in settings:
        if min(values) < least:
            raise ValueError(f"{name}: {setting} = {values}: accepted are integers of at least {least}")
    n, c, *size = x
    co, c_group, *kernel = weight
    if c != c_group * groups or co % groups:
        raise ValueError(
            f"{name}: x has {c} channels, weight has shape {tuple(weight)} and groups = {groups}: x needs "
            f"{c_group} * groups channels, and C_out must be a multiple of groups; change x, weight or groups"
        )
    out = tuple(map(output_size, size, kernel, stride, padding, dilation))
    if min(kernel) < 1 or min(out) < 1:
        raise ValueError(
            f"{name}: a kernel of {tuple(kernel)} with dilation {dilation} has no place in an image of {tuple(size)} "
            f"with padding {padding}; enlarge the image or the padding"
        )
    return Conv(
        n, c, co, (size[0], size[1]), (kernel[0], kernel[1]), (out[0], out[1]), stride, padding, dilation, groups
    )


def rows_of(data: Tensor) -> Tensor:
    """All leading dimensions made one; a view where strides allow it."""
    return data if data.dim() == 2 else data.reshape(math.prod(data.shape[:-1]), data.shape[-1])
