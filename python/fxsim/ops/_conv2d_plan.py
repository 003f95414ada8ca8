"""The calls of a convolution layer, settled once for tensors that are alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, final

import torch

from fxsim.ops._geometry import Conv, Pair, conv_shape, strides_of
from fxsim.ops._plan import LayerPlan, check_float, dgrad_plan, forward_plan, wgrad_plan
from fxsim.ops._products import settle_conv2d, settle_conv2d_dgrad, settle_conv2d_wgrad
from fxsim.ops._settled import Settled, Strided


class Window(NamedTuple):
    """How kernels move over images."""

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @classmethod
    def of(cls, stride: list[int], padding: list[int], dilation: list[int], groups: int) -> Window:
        """From the arguments of an op."""
        return cls((stride[0], stride[1]), (padding[0], padding[1]), (dilation[0], dilation[1]), groups)


@final
@dataclass(frozen=True, slots=True, eq=False)
class ForwardCall:
    """y; `outputs` of it belong to each sample."""

    conv: Conv
    product: Settled
    outputs: int


@lru_cache(maxsize=4096)
def forward_call(
    layer: LayerPlan, x: tuple[int, ...], dtype: torch.dtype, weight: Strided, with_bias: bool, window: Window
) -> ForwardCall:
    """The forward of images of shape x and a float dtype, whose words stand in memory as quantizing leaves them.

    Raises:
        ValueError: the shapes do not make a convolution; as `forward_plan`.
        TypeError: the dtype is no carrier, or too narrow.
    """
    conv = conv_shape(layer.name, tuple(x), tuple(weight.shape), *window)
    check_float(layer.name, "x", dtype)
    plan = forward_plan(layer, conv.depth, with_bias, dtype)
    product = settle_conv2d(
        conv,
        strides_of(conv.x_shape, True),
        weight.strides,
        layer.activation.format,
        layer.weight,
        with_bias,
        layer.numerics.accumulator.k_order == "cin_kh_kw",
        plan,
        dtype,
    )
    return ForwardCall(conv, product, conv.co * conv.out[0] * conv.out[1])


@final
@dataclass(frozen=True, slots=True, eq=False)
class BackwardCall:
    """The gradients of x, `inputs` of it for each sample, and of the weight; None where nobody needs them."""

    conv: Conv
    inputs: int
    grad_x: Settled | None
    grad_weight: Settled | None


@lru_cache(maxsize=4096)
def backward_call(
    layer: LayerPlan,
    x: Strided,
    weight: Strided,
    dtype: torch.dtype,
    window: Window,
    needs_x: bool,
    needs_weight: bool,
) -> BackwardCall:
    """The integer gradients of a layer that has a format for the output's, in a float dtype.

    Raises:
        ValueError, TypeError: as `conv_shape`, `dgrad_plan` and `wgrad_plan`.
    """
    conv = conv_shape(layer.name, tuple(x.shape), tuple(weight.shape), *window)
    grad_x = grad_weight = None
    if layer.grad_output is not None:
        form, grad = layer.grad_output.format, strides_of(conv.y_shape, True)
        if needs_x:
            plan = dgrad_plan(layer, form, conv.co // conv.groups * conv.kernel[0] * conv.kernel[1], dtype)
            grad_x = settle_conv2d_dgrad(conv, grad, weight.strides, form, layer.weight, plan, dtype)
        if needs_weight:
            plan = wgrad_plan(layer, form, conv.pixels, dtype)
            grad_weight = settle_conv2d_wgrad(conv, grad, x.strides, form, layer.activation.format, plan, dtype)
    return BackwardCall(conv, conv.c * conv.size[0] * conv.size[1], grad_x, grad_weight)
