"""`fx.linear`, its two gradients, and the gradient of a bias, on words."""

from __future__ import annotations

import math

from torch import Tensor

from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.ops import _arguments, _geometry, _products
from fxsim.ops._geometry import rows_of
from fxsim.ops._plan import ONE
from fxsim.ops.records import Pass
from fxsim.rng import Key
from fxsim.rounding import Quantizer
from fxsim.tensor import FixedTensor

_EXACT = Accumulator()


def linear(
    x: FixedTensor,
    w: FixedTensor,
    bias: FixedTensor | None = None,
    *,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> FixedTensor:
    """x times w transposed, plus bias: each output is one dot product over the features in ascending order.

    Args:
        x: (..., K), up to 32 bits.
        w: (N, K), up to 32 bits.
        bias: (N,), any format.
        accumulator, out, key, index_offset: as in `matmul`.

    Returns:
        FixedTensor (..., N).

    Raises:
        TypeError, ValueError, OverflowError: as `matmul`.
    """
    left, right = _arguments.fixed("linear", "x", x), _arguments.fixed("linear", "w", w)
    if left.ndim < 1 or right.ndim != 2 or left.shape[-1] != right.shape[1]:
        raise ValueError(
            f"linear: x has shape {tuple(left.shape)} and w {tuple(right.shape)}: accepted are (..., K) and (N, K)"
        )
    words = _arguments.bias_words("linear", bias, right.shape[0])
    plan = _arguments.plan(
        "linear", accumulator, left.format, right.format, left.shape[-1], key=key, bias=bias, out=out
    )
    site = _arguments.site("linear", Pass.FWD, key, index_offset, batch_of(left.raw))
    raw = _products.linear(rows_of(left.raw), left.format, right.raw, right.format, words, plan, site, plan.dtype)
    return FixedTensor._trusted(raw.view(*left.shape[:-1], right.shape[0]), plan.result)


def linear_dgrad(
    g: FixedTensor,
    w: FixedTensor,
    *,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> FixedTensor:
    """The gradient of x: g times w, summed over the out features in ascending order.

    Args:
        g: gradient of the output, (..., N).
        w: (N, K).
        accumulator, out, key, index_offset: as in `matmul`.

    Returns:
        FixedTensor (..., K).

    Raises:
        TypeError, ValueError, OverflowError: as `matmul`.
    """
    name = "linear_dgrad"
    grad, weight = _arguments.fixed(name, "g", g), _arguments.fixed(name, "w", w)
    if grad.ndim < 1 or weight.ndim != 2 or grad.shape[-1] != weight.shape[0]:
        raise ValueError(
            f"{name}: g has shape {tuple(grad.shape)} and w {tuple(weight.shape)}: accepted are (..., N) and (N, K)"
        )
    plan = _arguments.plan(name, accumulator, grad.format, weight.format, grad.shape[-1], key=key, out=out)
    site = _arguments.site(name, Pass.DGRAD, key, index_offset, batch_of(grad.raw))
    raw = _products.linear(
        rows_of(grad.raw), grad.format, weight.raw, weight.format, None, plan, site, plan.dtype, transposed=True
    )
    return FixedTensor._trusted(raw.view(*grad.shape[:-1], weight.shape[1]), plan.result)


def linear_wgrad(
    g: FixedTensor,
    x: FixedTensor,
    *,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> FixedTensor:
    """The gradient of w: g transposed times x, summed over the leading dimensions in C order.

    Args:
        g: gradient of the output, (..., N).
        x: the input, (..., K), with g's leading dimensions.
        accumulator, out, key, index_offset: as in `matmul`.

    Returns:
        FixedTensor (N, K).

    Raises:
        TypeError, ValueError, OverflowError: as `matmul`.
    """
    name = "linear_wgrad"
    grad, data = _arguments.fixed(name, "g", g), _arguments.fixed(name, "x", x)
    if grad.ndim < 1 or grad.shape[:-1] != data.shape[:-1] or data.ndim != grad.ndim:
        raise ValueError(
            f"{name}: g has shape {tuple(grad.shape)} and x {tuple(data.shape)}: accepted are (..., N) and (..., K)"
        )
    count = math.prod(grad.shape[:-1])
    plan = _arguments.plan(name, accumulator, grad.format, data.format, count, key=key, out=out)
    site = _arguments.site(name, Pass.WGRAD, key, index_offset, batch_of(grad.raw))
    raw = _products.linear_wgrad(rows_of(grad.raw), grad.format, rows_of(data.raw), data.format, plan, site, plan.dtype)
    return FixedTensor._trusted(raw, plan.result)


def bias_grad(
    g: FixedTensor,
    *,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
    channels_last: bool = True,
) -> FixedTensor:
    """The gradient of a bias: the sum of g over all but its channels, in C order, without the product register.

    Args:
        g: gradient of the output: (..., N), or of a convolution (N, C, H, W) with `channels_last=False`.
        accumulator, out, key, index_offset: as in `matmul`.
        channels_last: whether the channels are g's last dimension, or dimension 1 of four.

    Returns:
        FixedTensor (channels,).

    Raises:
        TypeError, ValueError, OverflowError: as `matmul`.
    """
    name = "bias_grad"
    grad = _arguments.fixed(name, "g", g)
    if grad.ndim < 1 or (not channels_last and grad.ndim != 4):
        raise ValueError(
            f"{name}: g has shape {tuple(grad.shape)}: accepted are (..., N), and (N, C, H, W) with channels_last=False"
        )
    last = grad.raw if channels_last else grad.raw.permute(0, 2, 3, 1)
    columns = _geometry.matrix(rows_of(last).t(), grad.format)
    plan = _arguments.plan(
        name, accumulator, ONE, grad.format, columns.taps[2], key=key, out=out, product_format=grad.format
    )
    site = _arguments.site(name, Pass.WGRAD, key, index_offset, batch_of(grad.raw))
    return FixedTensor._trusted(_products.bias_grad(columns, grad.raw, plan, site, plan.dtype), plan.result)


def batch_of(data: Tensor) -> int:
    """Samples in a tensor: its first dimension, if it has more than its features."""
    return data.shape[0] if data.dim() > 1 else 1
