"""The three products of a 2-d convolution, each defined by the sequence of taps of every output element."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.reference.gemm import Dot, Row, Settings, biases, gemm, integers
from fxsim.reference.linear import Result
from fxsim.rng import Key
from fxsim.rounding import Quantizer

Pair = int | tuple[int, int]

_EXACT = Accumulator()


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where a kernel's taps fall: per dimension stride, padding, dilation and kernel size; and the groups."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    kernel: tuple[int, int]
    groups: int

    @staticmethod
    def of(stride: Pair, padding: Pair, dilation: Pair, kernel: Sequence[int], groups: int) -> Geometry:
        """The geometry of torch's arguments."""
        return Geometry(_pair(stride), _pair(padding), _pair(dilation), (kernel[0], kernel[1]), groups)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the output."""
        sizes = (
            (size + 2 * self.padding[d] - self.dilation[d] * (self.kernel[d] - 1) - 1) // self.stride[d] + 1
            for d, size in enumerate((height, width))
        )
        rows, columns = sizes
        return rows, columns

    def input_position(self, output: tuple[int, int], tap: tuple[int, int]) -> tuple[int, int]:
        """Where in the input a tap of an output element falls; possibly on the padding."""
        y, x = (output[d] * self.stride[d] - self.padding[d] + tap[d] * self.dilation[d] for d in (0, 1))
        return y, x

    def output_position(self, source: tuple[int, int], tap: tuple[int, int]) -> tuple[int, int] | None:
        """Which output element sees an input element through a tap; None if it falls between strides."""
        numerators = [source[d] + self.padding[d] - tap[d] * self.dilation[d] for d in (0, 1)]
        if any(numerator % self.stride[d] for d, numerator in enumerate(numerators)):
            return None
        return numerators[0] // self.stride[0], numerators[1] // self.stride[1]

    def taps(self) -> list[tuple[int, int]]:
        """(kh, kw), ascending."""
        return list(np.ndindex(*self.kernel))


def conv2d(
    x: npt.NDArray[Any],
    x_format: Format,
    w: npt.NDArray[Any],
    w_format: Format,
    *,
    bias: npt.NDArray[Any] | None = None,
    bias_format: Format | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> Result:
    """The convolution of torch, on raws.

    Args:
        x: raws (N, C_in, H, W); w: raws (C_out, C_in / groups, KH, KW); bias: raws (C_out,).
        x_format, w_format, bias_format: what they mean.
        stride, padding, dilation, groups: as in torch.
        accumulator, out, key, index_offset: as in `Settings`; the accumulator's k order is obeyed.

    Returns:
        Raws (N, C_out, OH, OW), int64, numbered channels-last; their format; the counts.

    Raises:
        ValueError: an operand is too wide, a raw out of range, or a key missing.
        OverflowError: the first overflow under "error", or a result beyond 64 bits.
    """
    geometry = Geometry.of(stride, padding, dilation, w.shape[2:], groups)
    image, kernel = integers("conv2d", x, x_format), integers("conv2d", w, w_format)
    samples, out_channels, in_channels = x.shape[0], w.shape[0], w.shape[1]
    size = geometry.output_size(*x.shape[2:])
    channel_bias = biases("conv2d", bias, bias_format, out_channels)
    order = _forward_order(geometry, in_channels, accumulator.k_order)
    per_group = out_channels // groups

    def dots() -> Iterator[Dot]:
        for n, oh, ow, channel in np.ndindex(samples, *size, out_channels):
            first = channel // per_group * in_channels
            positions = ((first + c, *geometry.input_position((oh, ow), tap)) for c, tap in order)
            a = [_at(image[n], position) for position in positions]
            b = [kernel[(channel, c, *tap)] for c, tap in order]
            yield Dot(a, b, channel_bias[channel])

    settings = Settings.of(accumulator, out, key, index_offset)
    raws, result, counts = gemm("conv2d", dots(), len(order), x_format, w_format, bias_format, settings)
    counts.nnz_a, counts.nnz_b = int(np.count_nonzero(image)), int(np.count_nonzero(kernel))
    channels_last = np.array(raws, np.int64).reshape(samples, *size, out_channels)
    return np.moveaxis(channels_last, -1, 1), result, counts


def conv2d_dgrad(
    g: npt.NDArray[Any],
    g_format: Format,
    w: npt.NDArray[Any],
    w_format: Format,
    *,
    input_size: Sequence[int],
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> Result:
    """The gradient of a convolution's input.

    Args:
        g: raws of the output's gradient (N, C_out, OH, OW); w: raws (C_out, C_in / groups, KH, KW).
        input_size: shape of the input, of which the last two entries, H and W, are used.
        The rest as in `conv2d`. Per input element k runs over (kh, kw, c_out of the group).

    Returns:
        Raws (N, C_in, H, W), int64, numbered channels-last; their format; the counts.

    Raises:
        ValueError, OverflowError: as in `conv2d`.
    """
    geometry = Geometry.of(stride, padding, dilation, w.shape[2:], groups)
    gradient, kernel = integers("conv2d_dgrad", g, g_format), integers("conv2d_dgrad", w, w_format)
    samples, per_group, in_channels = g.shape[0], w.shape[0] // groups, w.shape[1]
    height, width = input_size[-2:]
    order = [(tap, c) for tap in geometry.taps() for c in range(per_group)]

    def dots() -> Iterator[Dot]:
        for n, y, x, channel in np.ndindex(samples, height, width, in_channels * groups):
            group, c_in = divmod(channel, in_channels)
            a: list[int | None] = []
            for tap, c in order:
                position = geometry.output_position((y, x), tap)
                a.append(None if position is None else _at(gradient[n], (group * per_group + c, *position)))
            b = [kernel[(group * per_group + c, c_in, *tap)] for tap, c in order]
            yield Dot(a, b)

    settings = Settings.of(accumulator, out, key, index_offset)
    raws, result, counts = gemm("conv2d_dgrad", dots(), len(order), g_format, w_format, None, settings)
    counts.nnz_a, counts.nnz_b = int(np.count_nonzero(gradient)), int(np.count_nonzero(kernel))
    channels_last = np.array(raws, np.int64).reshape(samples, height, width, in_channels * groups)
    return np.moveaxis(channels_last, -1, 1), result, counts


def conv2d_wgrad(
    g: npt.NDArray[Any],
    g_format: Format,
    x: npt.NDArray[Any],
    x_format: Format,
    *,
    kernel_size: Sequence[int],
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> Result:
    """The gradient of a convolution's weight.

    Args:
        g: raws of the output's gradient (N, C_out, OH, OW); x: raws of the input (N, C_in, H, W).
        kernel_size: shape of the weight, of which the last two entries, KH and KW, are used.
        The rest as in `conv2d`. Per weight k runs over (n, oh, ow).

    Returns:
        Raws (C_out, C_in / groups, KH, KW), int64, numbered (c_out, kh, kw, c_in); their format; the counts.

    Raises:
        ValueError, OverflowError: as in `conv2d`.
    """
    geometry = Geometry.of(stride, padding, dilation, kernel_size[-2:], groups)
    gradient, image = integers("conv2d_wgrad", g, g_format), integers("conv2d_wgrad", x, x_format)
    out_channels, in_channels = g.shape[1], x.shape[1] // groups
    per_group = out_channels // groups
    order = list(np.ndindex(g.shape[0], *g.shape[2:]))

    def dots() -> Iterator[Dot]:
        for c_out, kh, kw, c_in in np.ndindex(out_channels, *geometry.kernel, in_channels):
            source = c_out // per_group * in_channels + c_in
            a: Row = [int(gradient[n, c_out, oh, ow]) for n, oh, ow in order]
            b = [_at(image[n], (source, *geometry.input_position((oh, ow), (kh, kw)))) for n, oh, ow in order]
            yield Dot(a, b)

    settings = Settings.of(accumulator, out, key, index_offset)
    raws, result, counts = gemm("conv2d_wgrad", dots(), len(order), g_format, x_format, None, settings)
    counts.nnz_a, counts.nnz_b = int(np.count_nonzero(gradient)), int(np.count_nonzero(image))
    weight_order = np.array(raws, np.int64).reshape(out_channels, *geometry.kernel, in_channels)
    return np.moveaxis(weight_order, -1, 1), result, counts


def _forward_order(geometry: Geometry, in_channels: int, k_order: str) -> list[tuple[int, tuple[int, int]]]:
    """(c_in within the group, tap) in the order of k."""
    if k_order == "kh_kw_cin":
        return [(c, tap) for tap in geometry.taps() for c in range(in_channels)]
    return [(c, tap) for c in range(in_channels) for tap in geometry.taps()]


def _at(planes: npt.NDArray[np.object_], position: tuple[int, int, int]) -> int | None:
    """An element of (C, H, W); None, a structural zero, where the position lies outside."""
    channel, y, x = position
    if not (0 <= y < planes.shape[1] and 0 <= x < planes.shape[2]):
        return None
    return int(planes[channel, y, x])


def _pair(value: Pair) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
