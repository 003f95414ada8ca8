"""torch.ops.fxsim.linear and linear_backward: a layer's forward and gradients, floats in and out."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor

from fxsim.ops import _layer, _products, _words, records
from fxsim.ops._geometry import matrix, rows_of
from fxsim.ops._layer import Backward, Forward
from fxsim.ops._library import define, refuse_second_derivative
from fxsim.ops._masks import empty_mask
from fxsim.ops._plan import (
    WordPlan,
    bias_grad_plan,
    check_float,
    dgrad_plan,
    forward_plan,
    layer_plan,
    wgrad_plan,
)
from fxsim.ops._publish import publish_float_product, publish_float_sum
from fxsim.ops._settled import Strided
from fxsim.ops._word_products import WordProduct
from fxsim.ops.linear import batch_of
from fxsim.rng import Role


def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_raw: Tensor | None,
    bias_clipped: Tensor | None,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Quantize x (..., K), multiply by the quantized weight (N, K), add the quantized bias, round.

    weight and bias are the float parameters, which only receive gradients; the raws are what counts.
    call: the module's number of this forward, int64. index_offset: samples before the first. mask: whether to
    keep where x left its range, for the gradient.

    Returns:
        y, carriers (..., N) of x's dtype; x's raws; where x left its range (uint8, a bit an
        element; empty unless `mask`).
    """
    plan = layer_plan(layer, "linear", numerics)
    if x.dim() < 1 or x.shape[-1] != weight_raw.shape[1]:
        raise ValueError(
            f"{plan.name}: x has shape {tuple(x.shape)}: accepted is (..., {weight_raw.shape[1]}), the in features"
        )
    here = Forward(plan, layer, "linear", seed, layer_id, int(call), evaluation, index_offset, batch_of(x))
    check_float(plan.name, "x", x.dtype)
    features = weight_raw.shape[0]
    rows = math.prod(x.shape[:-1]), x.shape[-1]
    settled = _products.settle_linear(
        Strided(rows, (rows[1], 1)),
        Strided.of(weight_raw),
        plan.activation.format,
        plan.weight,
        bias_raw is not None,
        forward_plan(plan, x.shape[-1], bias_raw is not None, x.dtype),
        x.dtype,
        False,
    )
    site = here.site(Role.OUTPUT, _layer.per_sample(x.shape, features))
    product = WordProduct(settled, weight_raw, _layer.int64(bias_raw), site)
    (raw, clipped), y = here.multiply_input(x, product, channels_last=False, mask=mask)
    return y if x.dim() == 2 else y.view(*x.shape[:-1], features), raw, clipped


def linear_backward(
    grad: Tensor,
    x_raw: Tensor,
    x_clipped: Tensor,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_clipped: Tensor | None,
    needs: list[bool],
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    layer: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias under the layer's Numerics; those not in `needs` come back empty."""
    plan = layer_plan(layer, "linear", numerics)
    here = Backward(plan, layer, "linear", seed, layer_id, int(call), index_offset, batch_of(x_raw), grad.dtype)
    if plan.grad_output is None:
        grad_x, grad_weight, grad_bias = _float_gradients(here, grad, x_raw, weight_raw, needs)
        grad_x = here.straight_through_x(grad_x, x_clipped, channels_last=False)
    else:
        clear = x_clipped if plan.clips else None
        grad_x, grad_weight, grad_bias = _integer_gradients(
            here, plan.grad_output, grad, x_raw, weight_raw, clear, needs
        )
    return (
        here.nothing() if grad_x is None else grad_x,
        here.straight_through(grad_weight, weight_clipped),
        here.straight_through(grad_bias, bias_clipped),
    )


def _integer_gradients(
    here: Backward,
    output: WordPlan,
    grad: Tensor,
    x_raw: Tensor,
    weight_raw: Tensor,
    clear: Tensor | None,
    needs: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    layer, dtype, form, x = here.plan, here.dtype, output.format, rows_of(x_raw)
    rows, features = x.shape[0], weight_raw.shape[0]
    like = Strided((rows, features), (features, 1))
    products = []
    if needs[0]:
        plan = dgrad_plan(layer, form, features, dtype)
        weight = Strided.of(weight_raw)
        settled = _products.settle_linear(like, weight, form, layer.weight, False, plan, dtype, True)
        site = here.site(Role.GRAD_INPUT, _layer.per_sample(x_raw.shape, x_raw.shape[-1]))
        products.append(WordProduct(settled, weight_raw, None, site, clear))
    if needs[1]:
        plan = wgrad_plan(layer, form, rows, dtype)
        settled = _products.settle_linear_wgrad(like, Strided.of(x), form, layer.activation.format, plan, dtype)
        products.append(WordProduct(settled, x, None, here.site(Role.GRAD_WEIGHT)))
    words, results = here.multiply_grad(grad, output, products, channels_last=False, kept=needs[2])
    grad_weight = results.pop() if needs[1] else None
    grad_x = results.pop().view(x_raw.shape) if needs[0] else None
    grad_bias = None
    if needs[2]:
        g = rows_of(words)
        plan = bias_grad_plan(layer, form, rows, dtype)
        grad_bias = _products.bias_grad(matrix(g.t(), form), g, plan, here.site(Role.GRAD_BIAS), dtype)
    return grad_x, grad_weight, grad_bias


def _float_gradients(
    here: Backward, grad: Tensor, x_raw: Tensor, weight_raw: Tensor, needs: list[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    layer, dtype = here.plan, here.dtype
    g = rows_of(grad)
    rows, features = g.shape
    depth = x_raw.shape[-1]
    grad_x = grad_weight = grad_bias = None
    if needs[0]:
        weight = _words.carrier(weight_raw, layer.weight, dtype)
        product = torch.mm(g, weight)
        _publish(here, Role.GRAD_INPUT, (rows, depth, features), (g.numel(), weight.numel(), product.numel()))
        offset = _layer.per_sample(x_raw.shape, depth)
        grad_x = here.round(product, Role.GRAD_INPUT, offset).view(x_raw.shape)
    if needs[1]:
        x = _words.carrier(rows_of(x_raw), layer.activation.format, dtype)
        product = torch.mm(g.t(), x)
        _publish(here, Role.GRAD_WEIGHT, (features, depth, rows), (g.numel(), x.numel(), product.numel()))
        grad_weight = here.round(product, Role.GRAD_WEIGHT)
    if needs[2]:
        if records.listening():
            publish_float_sum(here.site(Role.GRAD_BIAS), g.numel(), features)
        grad_bias = here.round(g.sum(0), Role.GRAD_BIAS)
    return grad_x, grad_weight, grad_bias


def _publish(here: Backward, role: Role, shape: tuple[int, int, int], elements: tuple[int, int, int]) -> None:
    if records.listening():
        publish_float_product(here.site(role), shape, elements)


def _fake_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_raw: Tensor | None,
    bias_clipped: Tensor | None,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    storage = layer_plan(layer, "linear", numerics).activation.dtype
    return (
        x.new_empty((*x.shape[:-1], weight_raw.shape[0])),
        x.new_empty(x.shape, dtype=storage),
        empty_mask(x, wanted=mask),
    )


def _fake_linear_backward(
    grad: Tensor,
    x_raw: Tensor,
    x_clipped: Tensor,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_clipped: Tensor | None,
    needs: list[bool],
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    layer: str,
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        grad.new_empty(x_raw.shape if needs[0] else (0,)),
        grad.new_empty(weight_raw.shape if needs[1] else (0,)),
        grad.new_empty((weight_raw.shape[0],) if needs[2] else (0,)),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *_, numerics, seed, layer_id, call, _evaluation, index_offset, layer, _mask = inputs
    _layer.save(ctx, inputs, output, call)
    ctx.settings = (numerics, seed, layer_id)
    ctx.place = (index_offset, layer)


def _backward(ctx: Any, grad: Tensor | None, *_: object) -> tuple[Tensor | None, ...]:
    needs = _layer.needed(ctx)
    if grad is None or not any(needs):
        return (None,) * 15
    tensors, call = _layer.kept(ctx)
    run, number = BACKWARD.at(grad, call)
    gradients = run(grad, *tensors, needs, *ctx.settings, number, *ctx.place)
    return (*_layer.chosen(gradients, needs), *[None] * 12)


FORWARD: Final = define(
    "linear(Tensor x, Tensor weight, Tensor? bias, Tensor weight_raw, Tensor weight_clipped, Tensor? bias_raw, "
    "Tensor? bias_clipped, str numerics, int seed, int layer_id, Tensor call, bool evaluation, int index_offset, "
    "str layer, bool mask) -> (Tensor, Tensor, Tensor)",
    linear,
    _fake_linear,
    setup_context=_setup,
    backward=_backward,
)
BACKWARD: Final = define(
    "linear_backward(Tensor grad, Tensor x_raw, Tensor x_clipped, Tensor weight_raw, Tensor weight_clipped, "
    "Tensor? bias_clipped, bool[] needs, str numerics, int seed, int layer_id, Tensor call, int index_offset, "
    "str layer) -> (Tensor, Tensor, Tensor)",
    linear_backward,
    _fake_linear_backward,
    backward=refuse_second_derivative,
)
