"""`fx.avg_pool2d` and its gradient, on words."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fxsim.formats import Format
from fxsim.ops import _arguments
from fxsim.ops._elementwise import Averages, Window, averages, window_spread, window_sums
from fxsim.ops._emit import emit
from fxsim.ops._publish import Site
from fxsim.ops.quantize import quantizer_of
from fxsim.ops.records import Pass
from fxsim.rng import Key
from fxsim.rounding import Quantizer
from fxsim.tensor import FixedTensor


def avg_pool2d(
    x: FixedTensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    *,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> FixedTensor:
    """Means of windows: the exact sum over the number of values in a window, zeros of the padding included.

    Args:
        x: (N, C, H, W).
        kernel_size, stride, padding: one number for both axes, or two; stride None: the size.
        out: how the exact quotient is rounded; None, for windows of a power of two: exact.
        key: random bits, for stochastic rounding. index_offset: elements before the first, numbered channels last.

    Returns:
        FixedTensor (N, C, OH, OW), channels last in memory.

    Raises:
        TypeError: x is no FixedTensor, or a size is neither an int nor two.
        ValueError: a window that does not fit; no `out` where the mean has no exact format, or one that does not
            saturate; stochastic rounding without a key.
    """
    name = "avg_pool2d"
    window = _window(name, kernel_size, stride, padding)
    window.outputs(name, _arguments.fixed(name, "x", x).shape)
    mean = averages(name, "out", window_sums(x.raw, window), x.format, window.values, _quantizer(name, out, key))
    site = _arguments.site(name, Pass.FWD, key, index_offset, len(x))
    return _emitted(mean, site, x)


def avg_pool2d_dgrad(
    g: FixedTensor,
    input_size: Sequence[int],
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    *,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> FixedTensor:
    """The gradient of x: for every input the sum of g over the windows it is in, divided as the means were.

    Args:
        g: gradient of the means, (N, C, OH, OW).
        input_size: (H, W) of x.
        kernel_size ... index_offset: as in `avg_pool2d`.

    Returns:
        FixedTensor (N, C, H, W), channels last in memory.

    Raises:
        TypeError, ValueError: as `avg_pool2d`; or g has another shape than the means.
    """
    name = "avg_pool2d_dgrad"
    window = _window(name, kernel_size, stride, padding)
    shape = torch.Size((*_arguments.fixed(name, "g", g).shape[:2], *input_size))
    if window.outputs(name, shape) != tuple(g.shape[2:]):
        raise ValueError(
            f"{name}: g has shape {tuple(g.shape)}: means of an image of {tuple(input_size)} have "
            f"{window.outputs(name, shape)} positions"
        )
    total = window_spread(g.raw, shape, window)
    mean = averages(name, "out", total, g.format, window.values, _quantizer(name, out, key))
    return _emitted(mean, _arguments.site(name, Pass.DGRAD, key, index_offset, len(g)), g)


def _emitted(mean: Averages, site: Site, x: FixedTensor) -> FixedTensor:
    plan = mean.plan
    raw = emit(mean.words, mean.fl, plan, site, plan.dtype, x.format, None, x.numel(), channels_last=True)
    return FixedTensor._trusted(raw, plan.format)


def _window(
    name: str, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None, padding: int | Sequence[int]
) -> Window:
    size = _arguments.pair(name, "kernel_size", kernel_size)
    steps = size if stride is None else _arguments.pair(name, "stride", stride)
    return Window(size, steps, _arguments.pair(name, "padding", padding))


def _quantizer(name: str, out: Quantizer | Format | str | None, key: Key | None) -> Quantizer | None:
    return None if out is None else quantizer_of(name, out, None, None, key)
