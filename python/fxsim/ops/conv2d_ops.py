"""torch.ops.fxsim.conv2d and conv2d_backward: a layer's forward and gradients, floats in and out."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from fxsim.ops import _layer, _products, _words, records
from fxsim.ops._conv2d_plan import BackwardCall, Window, backward_call, forward_call
from fxsim.ops._geometry import Conv, matrix, output_size, rows_of
from fxsim.ops._layer import Backward, Forward
from fxsim.ops._library import define, refuse_second_derivative
from fxsim.ops._masks import empty_mask
from fxsim.ops._plan import WordPlan, bias_grad_plan, layer_plan
from fxsim.ops._publish import publish_float_product, publish_float_sum
from fxsim.ops._settled import Strided
from fxsim.ops._straight import unseen
from fxsim.ops._word_products import WordProduct
from fxsim.rng import Role


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_raw: Tensor | None,
    bias_clipped: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Quantize x (N, C, H, W), convolve with the quantized weight, add the quantized bias, round.

    weight and bias are the float parameters, which only receive gradients; the raws are what counts.
    call: the module's number of this forward, int64. index_offset: samples before the first. mask: whether to
    keep where x left its range, for the gradient.

    Returns:
        y, carriers (N, C_out, OH, OW) of x's dtype; x's raws; where x left its range (uint8, a bit an element, channels
        last; empty unless `mask`). The first two are channels last in memory.
    """
    plan = layer_plan(layer, "conv2d", numerics)
    window = Window.of(stride, padding, dilation, groups)
    settled = forward_call(plan, x.shape, x.dtype, Strided.of(weight_raw), bias_raw is not None, window)
    here = Forward(plan, layer, "conv2d", seed, layer_id, int(call), evaluation, index_offset, settled.conv.n)
    site = here.site(Role.OUTPUT, settled.outputs)
    product = WordProduct(settled.product, weight_raw, _layer.int64(bias_raw), site)
    (raw, clipped), y = here.multiply_input(x, product, channels_last=True, mask=mask)
    return y, raw, clipped


def conv2d_backward(
    grad: Tensor,
    x_raw: Tensor,
    x_clipped: Tensor,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_clipped: Tensor | None,
    needs: list[bool],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    layer: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias under the layer's Numerics; those not in `needs` come back empty."""
    plan = layer_plan(layer, "conv2d", numerics)
    window = Window.of(stride, padding, dilation, groups)
    like = Strided.of(x_raw), Strided.of(weight_raw)
    settled = backward_call(plan, *like, grad.dtype, window, needs[0], needs[1])
    conv = settled.conv
    here = Backward(plan, layer, "conv2d", seed, layer_id, int(call), index_offset, conv.n, grad.dtype)
    if plan.grad_output is None:
        grad_x, grad_weight, grad_bias = _float_gradients(here, conv, grad, x_raw, weight_raw, needs)
        grad_x = here.straight_through_x(grad_x, x_clipped, channels_last=True)
    else:
        clear = x_clipped if plan.clips else None
        grad_x, grad_weight, grad_bias = _integer_gradients(
            here, plan.grad_output, settled, grad, x_raw, weight_raw, clear, needs[2]
        )
    return (
        here.nothing() if grad_x is None else grad_x,
        here.straight_through(grad_weight, weight_clipped),
        here.straight_through(grad_bias, bias_clipped),
    )


def _integer_gradients(
    here: Backward,
    output: WordPlan,
    settled: BackwardCall,
    grad: Tensor,
    x_raw: Tensor,
    weight_raw: Tensor,
    clear: Tensor | None,
    needs_bias: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    products = []
    if settled.grad_x is not None:
        site = here.site(Role.GRAD_INPUT, settled.inputs)
        products.append(WordProduct(settled.grad_x, weight_raw, None, site, clear))
    if settled.grad_weight is not None:
        products.append(WordProduct(settled.grad_weight, x_raw, None, here.site(Role.GRAD_WEIGHT)))
    g, results = here.multiply_grad(grad, output, products, channels_last=True, kept=needs_bias)
    grad_weight = None if settled.grad_weight is None else results.pop()
    grad_x = None if settled.grad_x is None else results.pop()
    grad_bias = None
    if needs_bias:
        columns = matrix(rows_of(g.permute(0, 2, 3, 1)).t(), output.format)
        plan = bias_grad_plan(here.plan, output.format, settled.conv.pixels, here.dtype)
        grad_bias = _products.bias_grad(columns, g, plan, here.site(Role.GRAD_BIAS), here.dtype)
    return grad_x, grad_weight, grad_bias


def _float_gradients(
    here: Backward, conv: Conv, grad: Tensor, x_raw: Tensor, weight_raw: Tensor, needs: list[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    layer, dtype = here.plan, here.dtype
    x = _words.carrier(x_raw, layer.activation.format, dtype)
    weight = _words.carrier(weight_raw, layer.weight, dtype)
    gradients = torch.ops.aten.convolution_backward(
        grad,
        x,
        weight,
        [conv.co] if needs[2] else None,
        conv.stride,
        conv.padding,
        conv.dilation,
        False,
        (0, 0),
        conv.groups,
        needs,
    )
    if records.listening():
        _publish(here, conv, needs)
    size = conv.c * conv.size[0] * conv.size[1]
    return (
        here.round(gradients[0], Role.GRAD_INPUT, size, channels_last=True) if needs[0] else None,
        here.round(gradients[1], Role.GRAD_WEIGHT, channels_last=True) if needs[1] else None,
        here.round(gradients[2], Role.GRAD_BIAS) if needs[2] else None,
    )


def _publish(here: Backward, conv: Conv, needs: list[bool]) -> None:
    co, c = conv.co // conv.groups, conv.c // conv.groups
    taps, pixels = conv.kernel[0] * conv.kernel[1], conv.n * conv.size[0] * conv.size[1]
    grads, weights, inputs = conv.pixels * conv.co, conv.co * conv.depth, pixels * conv.c
    pairs = co * c * conv.groups
    if needs[0]:
        pads = pairs * (pixels * taps - conv.pairs())
        shape = (pixels, c, co * taps)
        publish_float_product(
            here.site(Role.GRAD_INPUT),
            shape,
            (grads, weights, inputs),
            groups=conv.groups,
            pad_macs=pads,
            kernel=conv.kernel,
        )
    if needs[1]:
        pads = pairs * (conv.pixels * taps - conv.pairs())
        shape = (co, conv.depth, conv.pixels)
        publish_float_product(
            here.site(Role.GRAD_WEIGHT), shape, (grads, inputs, weights), groups=conv.groups, pad_macs=pads
        )
    if needs[2]:
        publish_float_sum(here.site(Role.GRAD_BIAS), grads, conv.co)


def _fake_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_raw: Tensor | None,
    bias_clipped: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    storage = layer_plan(layer, "conv2d", numerics).activation.dtype
    oh, ow = map(output_size, x.shape[2:], weight_raw.shape[2:], stride, padding, dilation)
    y = x.new_empty((x.shape[0], oh, ow, weight_raw.shape[0])).permute(0, 3, 1, 2)
    return y, _words.empty_words(x, storage, True), empty_mask(x, wanted=mask)


def _fake_conv2d_backward(
    grad: Tensor,
    x_raw: Tensor,
    x_clipped: Tensor,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_clipped: Tensor | None,
    needs: list[bool],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    layer: str,
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        _words.empty_words(x_raw, grad.dtype, True) if needs[0] else grad.new_empty((0,)),
        _words.empty_words(weight_raw, grad.dtype, True) if needs[1] else grad.new_empty((0,)),
        grad.new_empty((weight_raw.shape[0],) if needs[2] else (0,)),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *_, stride, padding, dilation, groups, numerics, seed, layer_id, call, _evaluation, index_offset, layer, _mask = (
        inputs
    )
    _layer.save(ctx, inputs, output, call)
    ctx.settings = (stride, padding, dilation, groups, numerics, seed, layer_id)
    ctx.place = (index_offset, layer)
    ctx.weight_is_contiguous = inputs[1].is_contiguous()


@unseen
def _contiguous(gradient: Tensor) -> Tensor:
    return gradient.contiguous()


def _backward(ctx: Any, grad: Tensor | None, *_: object) -> tuple[Tensor | None, ...]:
    needs = _layer.needed(ctx)
    if grad is None or not any(needs):
        return (None,) * 19
    tensors, call = _layer.kept(ctx)
    run, number = BACKWARD.at(grad, call)
    grad_x, grad_weight, grad_bias = run(grad, *tensors, needs, *ctx.settings, number, *ctx.place)
    if needs[1] and run is BACKWARD.direct and ctx.weight_is_contiguous:
        grad_weight = _contiguous(grad_weight)  # as autograd would, where watchers would see two operations
    return (*_layer.chosen((grad_x, grad_weight, grad_bias), needs), *[None] * 16)


FORWARD: Final = define(
    "conv2d(Tensor x, Tensor weight, Tensor? bias, Tensor weight_raw, Tensor weight_clipped, Tensor? bias_raw, "
    "Tensor? bias_clipped, int[] stride, int[] padding, int[] dilation, int groups, str numerics, int seed, "
    "int layer_id, Tensor call, bool evaluation, int index_offset, str layer, bool mask) -> (Tensor, Tensor, Tensor)",
    conv2d,
    _fake_conv2d,
    setup_context=_setup,
    backward=_backward,
)
BACKWARD: Final = define(
    "conv2d_backward(Tensor grad, Tensor x_raw, Tensor x_clipped, Tensor weight_raw, Tensor weight_clipped, "
    "Tensor? bias_clipped, bool[] needs, int[] stride, int[] padding, int[] dilation, int groups, str numerics, "
    "int seed, int layer_id, Tensor call, int index_offset, str layer) -> (Tensor, Tensor, Tensor)",
    conv2d_backward,
    _fake_conv2d_backward,
    backward=refuse_second_derivative,
)
