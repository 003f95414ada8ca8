"""torch.ops.fxsim.linear and linear_backward: a layer's forward and gradients, floats in and out."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.ops import _layer, _products, _words, records
from fxsim.ops._geometry import matrix
from fxsim.ops._layer import Backward, Forward
from fxsim.ops._library import define, refuse_second_derivative
from fxsim.ops._plan import bias_grad_plan, dgrad_plan, forward_plan, layer_plan, wgrad_plan
from fxsim.ops._publish import publish_float_product, publish_float_sum
from fxsim.ops.linear import batch_of, rows_of
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
        y, carriers (..., N) of x's dtype; x's raws; where x left its range (bool; empty unless `mask`).
    """
    plan = layer_plan(layer, "linear", numerics)
    if x.dim() < 1 or x.shape[-1] != weight_raw.shape[1]:
        raise ValueError(
            f"{plan.name}: x has shape {tuple(x.shape)}: accepted is (..., {weight_raw.shape[1]}), the in features"
        )
    here = Forward(plan, layer, "linear", seed, layer_id, int(call), evaluation, index_offset, batch_of(x))
    raw, clipped = here.quantize_input(x, channels_last=False, mask=mask)
    features = weight_raw.shape[0]
    settled = forward_plan(plan, x.shape[-1], bias_raw is not None, x.dtype)
    site = here.site(Role.OUTPUT, _layer.per_sample(x.shape, features))
    y = _products.linear(
        rows_of(raw),
        plan.activation.format,
        weight_raw,
        plan.weight,
        _layer.int64(bias_raw),
        settled,
        site,
        x.dtype,
    )
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
    else:
        words = here.quantize_grad(grad, plan.grad_output, channels_last=False)
        grad_x, grad_weight, grad_bias = _integer_gradients(
            here, words, plan.grad_output.format, x_raw, weight_raw, needs
        )
    return (
        here.straight_through(grad_x, x_clipped),
        here.straight_through(grad_weight, weight_clipped),
        here.straight_through(grad_bias, bias_clipped),
    )


def _integer_gradients(
    here: Backward, words: Tensor, g_format: Format, x_raw: Tensor, weight_raw: Tensor, needs: list[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    layer, dtype = here.plan, here.dtype
    g, x = rows_of(words), rows_of(x_raw)
    x_format, w_format = layer.activation.format, layer.weight
    grad_x = grad_weight = grad_bias = None
    if needs[0]:
        site = here.site(Role.GRAD_INPUT, _layer.per_sample(x_raw.shape, x_raw.shape[-1]))
        plan = dgrad_plan(layer, g_format, g.shape[1], dtype)
        product = _products.linear(g, g_format, weight_raw, w_format, None, plan, site, dtype, transposed=True)
        grad_x = product if x_raw.dim() == 2 else product.view(x_raw.shape)
    if needs[1]:
        plan = wgrad_plan(layer, g_format, g.shape[0], dtype)
        grad_weight = _products.linear_wgrad(g, g_format, x, x_format, plan, here.site(Role.GRAD_WEIGHT), dtype)
    if needs[2]:
        plan = bias_grad_plan(layer, g_format, g.shape[0], dtype)
        grad_bias = _products.bias_grad(matrix(g.t(), g_format), g, plan, here.site(Role.GRAD_BIAS), dtype)
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
        x.new_empty(x.shape if mask else (0,), dtype=torch.bool),
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
