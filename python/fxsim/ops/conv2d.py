"""`fx.conv2d` and its two gradients, on words."""

from __future__ import annotations

from collections.abc import Sequence

from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.ops import _arguments, _geometry, _products
from fxsim.ops.records import Pass
from fxsim.rng import Key
from fxsim.rounding import Quantizer
from fxsim.tensor import FixedTensor

_EXACT = Accumulator()

Size = int | Sequence[int]


def conv2d(
    x: FixedTensor,
    w: FixedTensor,
    bias: FixedTensor | None = None,
    *,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> FixedTensor:
    """Cross-correlate images with kernels: each output is one dot product in the accumulator's `k_order`.

    Taps on padding keep their place in the order as products of 0. Elements of the result are numbered
    channels last, (n, oh, ow, co), for random bits and `index_offset`.

    Args:
        x: (N, C, H, W), up to 32 bits, any layout.
        w: (C_out, C / groups, KH, KW), up to 32 bits, any layout.
        bias: (C_out,), any format.
        stride, padding, dilation: an int, or one for height and one for width.
        groups: independent convolutions that x and w are split into.
        accumulator, out, key, index_offset: as in `matmul`.

    Returns:
        FixedTensor (N, C_out, OH, OW), channels last in memory.

    Raises:
        TypeError, ValueError, OverflowError: as `matmul`.
    """
    name = "conv2d"
    data, weight = _arguments.fixed(name, "x", x), _arguments.fixed(name, "w", w)
    conv = _shape(name, tuple(data.shape), tuple(weight.shape), stride, padding, dilation, groups)
    words = _arguments.bias_words(name, bias, conv.co)
    plan = _arguments.plan(name, accumulator, data.format, weight.format, conv.depth, key=key, bias=bias, out=out)
    site = _arguments.site(name, Pass.FWD, key, index_offset, conv.n)
    channel_major = accumulator.k_order == "cin_kh_kw"
    raw = _products.conv2d(
        conv, data.raw, data.format, weight.raw, weight.format, words, channel_major, plan, site, plan.dtype
    )
    return FixedTensor._trusted(raw, plan.result)


def conv2d_dgrad(
    g: FixedTensor,
    w: FixedTensor,
    input_size: Sequence[int],
    *,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> FixedTensor:
    """The gradient of a convolution's input: per element a sum over (kh, kw, c_out), kernel indices ascending.

    Pairs that fall between strides or outside g keep their place as products of 0.

    Args:
        g: gradient of the output, (N, C_out, OH, OW).
        w: (C_out, C / groups, KH, KW).
        input_size: (H, W) of the input.
        stride, padding, dilation, groups: those of the convolution.
        accumulator, out, key, index_offset: as in `matmul`; elements are numbered (n, h, w, c).

    Returns:
        FixedTensor (N, C, H, W), channels last in memory.

    Raises:
        TypeError, ValueError, OverflowError: as `matmul`; ValueError too if g is not of the output's shape.
    """
    name = "conv2d_dgrad"
    grad, weight = _arguments.fixed(name, "g", g), _arguments.fixed(name, "w", w)
    if grad.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            f"{name}: g has shape {tuple(grad.shape)} and w {tuple(weight.shape)}: accepted are (N, C_out, OH, OW) "
            f"and (C_out, C / groups, KH, KW)"
        )
    height, width = _arguments.pair(name, "input_size", input_size)
    x_shape = (grad.shape[0], weight.shape[1] * groups, height, width)
    conv = _shape(name, x_shape, tuple(weight.shape), stride, padding, dilation, groups)
    _check_grad(name, conv, grad)
    depth = conv.co // groups * conv.kernel[0] * conv.kernel[1]
    plan = _arguments.plan(name, accumulator, grad.format, weight.format, depth, key=key, out=out)
    site = _arguments.site(name, Pass.DGRAD, key, index_offset, conv.n)
    raw = _products.conv2d_dgrad(conv, grad.raw, grad.format, weight.raw, weight.format, plan, site, plan.dtype)
    return FixedTensor._trusted(raw, plan.result)


def conv2d_wgrad(
    g: FixedTensor,
    x: FixedTensor,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> FixedTensor:
    """The gradient of a convolution's weight: per weight a sum over (n, oh, ow).

    Args:
        g: gradient of the output, (N, C_out, OH, OW).
        x: the input, (N, C, H, W).
        kernel_size: (KH, KW) of the weight, or one int for both.
        stride, padding, dilation, groups: those of the convolution.
        accumulator, out, key, index_offset: as in `matmul`; elements are numbered (c_out, kh, kw, c_in).

    Returns:
        FixedTensor (C_out, C / groups, KH, KW).

    Raises:
        TypeError, ValueError, OverflowError: as `matmul`; ValueError too if g is not of the output's shape.
    """
    name = "conv2d_wgrad"
    grad, data = _arguments.fixed(name, "g", g), _arguments.fixed(name, "x", x)
    if grad.ndim != 4 or data.ndim != 4:
        raise ValueError(
            f"{name}: g has shape {tuple(grad.shape)} and x {tuple(data.shape)}: accepted are (N, C_out, OH, OW) "
            f"and (N, C, H, W)"
        )
    kernel = _arguments.pair(name, "kernel_size", kernel_size)
    w_shape = (grad.shape[1], data.shape[1] // max(groups, 1), *kernel)
    conv = _shape(name, tuple(data.shape), w_shape, stride, padding, dilation, groups)
    _check_grad(name, conv, grad)
    plan = _arguments.plan(name, accumulator, grad.format, data.format, conv.pixels, key=key, out=out)
    site = _arguments.site(name, Pass.WGRAD, key, index_offset, conv.n)
    raw = _products.conv2d_wgrad(conv, grad.raw, grad.format, data.raw, data.format, plan, site, plan.dtype)
    return FixedTensor._trusted(raw, plan.result)


def _shape(
    name: str, x: tuple[int, ...], w: tuple[int, ...], stride: Size, padding: Size, dilation: Size, groups: int
) -> _geometry.Conv:
    return _geometry.conv_shape(
        name,
        x,
        w,
        _arguments.pair(name, "stride", stride),
        _arguments.pair(name, "padding", padding),
        _arguments.pair(name, "dilation", dilation),
        groups,
    )


def _check_grad(name: str, conv: _geometry.Conv, grad: FixedTensor) -> None:
    expected = (conv.n, conv.co, *conv.out)
    if tuple(grad.shape) != expected:
        raise ValueError(
            f"{name}: g has shape {tuple(grad.shape)}: these settings make an output of shape {expected}; "
            f"change g or the settings"
        )
