"""torch.ops.fxsim.range_norm and range_norm_backward: a Range BN layer, floats in and out."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor

from fxsim.ops import _range_norm
from fxsim.ops._layer import Backward, Forward, chosen, keep, kept
from fxsim.ops._library import define, refuse_second_derivative
from fxsim.ops._plan import WordPlan, check_carrier
from fxsim.ops._range_norm import Statistics
from fxsim.ops._range_norm_float import float_gradients
from fxsim.ops._range_norm_plan import Plan, emit_quotients, int64, range_plan, rows_of
from fxsim.rng import Role

_OP = "range_norm"


def range_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_raw: Tensor,
    bias_clipped: Tensor,
    mean: Tensor,
    sigma: Tensor,
    running: bool,
    constant: str,
    eps: float,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Quantize x (N, C, H, W), centre every channel, divide it by a multiple of its range, scale, shift, round.

    mean, sigma: int64 (C,), what to normalize with if `running`, else not looked at. The rest as in `linear`.

    Returns:
        y, carriers of x's dtype, channels last in memory; x's raws; where x left its range (bool; empty unless
        `mask`); mean and sigma used, int64 (C,).
    """
    plan = range_plan(layer, numerics, constant, eps)
    channels = weight_raw.shape[0]
    if x.dim() != 4 or x.shape[1] != channels:
        raise ValueError(f"{plan.layer.name}: x has shape {tuple(x.shape)}: accepted is (N, {channels}, H, W)")
    if not running and math.prod(x.shape) // channels < 2:
        raise ValueError(
            f"{plan.layer.name}: x has shape {tuple(x.shape)}: in training every channel needs 2 values or more; "
            f"enlarge the batch, or call eval()"
        )
    check_carrier(plan.layer.name, "output", plan.output.format, x.dtype, plan.layer.numerics.carrier)
    here = Forward(plan.layer, layer, _OP, seed, layer_id, int(call), evaluation, index_offset, x.shape[0])
    raw, clipped = here.quantize_input(x, channels_last=True, mask=mask)
    rows = rows_of(raw)
    known = Statistics(mean.numpy(), sigma.numpy()) if running else _range_norm.statistics(rows, plan.rules.x, constant)
    words = _range_norm.forward(rows, int64(weight_raw), int64(bias_raw), known, plan.rules, plan.output.quantizer)
    site = here.site(Role.OUTPUT, math.prod(x.shape[1:]))
    read = raw.numel() + 2 * channels
    y = emit_quotients(
        words, raw.shape, plan.output, site, x.dtype, plan.layer.activation.format, plan.layer.weight, read
    )
    return y, raw, clipped, torch.tensor(known.mean), torch.tensor(known.sigma)


def range_norm_backward(
    grad: Tensor,
    x_raw: Tensor,
    x_clipped: Tensor,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_clipped: Tensor,
    mean: Tensor,
    sigma: Tensor,
    running: bool,
    constant: str,
    eps: float,
    needs: list[bool],
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    layer: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias under the layer's Numerics; those not in `needs` come back empty."""
    plan = range_plan(layer, numerics, constant, eps)
    here = Backward(plan.layer, layer, _OP, seed, layer_id, int(call), index_offset, x_raw.shape[0], grad.dtype)
    known = Statistics(mean.numpy(), sigma.numpy())
    if plan.grad_input is None or plan.grad_weight is None:
        gradients = float_gradients(here, plan, grad, x_raw, weight_raw, known, running, needs)
    else:
        rounded = plan.grad_input, plan.grad_weight
        gradients = _integer_gradients(here, plan, rounded, grad, x_raw, weight_raw, known, running, needs)
    masks = x_clipped, weight_clipped, bias_clipped
    grad_x, grad_weight, grad_bias = map(here.straight_through, gradients, masks)
    return grad_x, grad_weight, grad_bias


def _integer_gradients(
    here: Backward,
    plan: Plan,
    rounded: tuple[WordPlan, WordPlan],
    grad: Tensor,
    x_raw: Tensor,
    weight_raw: Tensor,
    known: Statistics,
    running: bool,
    needs: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    layer, rules = plan.layer, plan.rules
    to_input, to_weight = rounded
    gradient = layer.grad_output
    assert gradient is not None  # noqa: S101 - integer gradients begin with it
    for what, each in (("grad_input", to_input), ("grad_weight", to_weight)):
        check_carrier(layer.name, what, each.format, here.dtype, layer.numerics.carrier)
    words = here.quantize_grad(grad, gradient, channels_last=True)
    g, x, weight = rows_of(words), rows_of(x_raw), int64(weight_raw)
    totals = _range_norm.sums(g, gradient.format, x, known, rules)
    grad_x, grad_weight, grad_bias = here.nothing(), here.nothing(), here.nothing()
    if needs[0]:
        through = None if running else totals
        quotients = _range_norm.grad_input(g, gradient.format, x, weight, known, through, rules, to_input.quantizer)
        site = here.site(Role.GRAD_INPUT, math.prod(x_raw.shape[1:]))
        read = 2 * x_raw.numel() + weight_raw.numel()
        grad_x = emit_quotients(quotients, x_raw.shape, to_input, site, here.dtype, gradient.format, layer.weight, read)
    if needs[1]:
        quotients = _range_norm.grad_weight(totals, gradient.format, rules.scale(known.sigma), to_weight.quantizer)
        site = here.site(Role.GRAD_WEIGHT)
        read = 2 * x_raw.numel()
        grad_weight = emit_quotients(
            quotients, weight_raw.shape, to_weight, site, here.dtype, gradient.format, layer.activation.format, read
        )
    if needs[2]:
        quotients = _range_norm.grad_bias(totals, gradient.format, to_weight.quantizer)
        site = here.site(Role.GRAD_BIAS)
        grad_bias = emit_quotients(
            quotients, weight_raw.shape, to_weight, site, here.dtype, gradient.format, None, x_raw.numel()
        )
    return grad_x, grad_weight, grad_bias


def _fake_range_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_raw: Tensor,
    bias_clipped: Tensor,
    mean: Tensor,
    sigma: Tensor,
    running: bool,
    constant: str,
    eps: float,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    storage = range_plan(layer, numerics, constant, eps).layer.activation.dtype
    return (
        _channels_last(x, x.dtype),
        _channels_last(x, storage),
        _channels_last(x, torch.bool) if mask else x.new_empty(0, dtype=torch.bool),
        torch.empty_like(mean),
        torch.empty_like(sigma),
    )


def _channels_last(x: Tensor, dtype: torch.dtype) -> Tensor:
    n, c, h, w = x.shape
    return x.new_empty((n, h, w, c), dtype=dtype).permute(0, 3, 1, 2)


def _fake_range_norm_backward(
    grad: Tensor,
    x_raw: Tensor,
    x_clipped: Tensor,
    weight_raw: Tensor,
    weight_clipped: Tensor,
    bias_clipped: Tensor,
    mean: Tensor,
    sigma: Tensor,
    running: bool,
    constant: str,
    eps: float,
    needs: list[bool],
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    layer: str,
) -> tuple[Tensor, Tensor, Tensor]:
    vector = weight_raw.shape
    return (
        _channels_last(x_raw, grad.dtype) if needs[0] else grad.new_empty(0),
        grad.new_empty(vector if needs[1] else (0,)),
        grad.new_empty(vector if needs[2] else (0,)),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _, _, _, weight_raw, weight_clipped, _, bias_clipped, _, _, running, constant, eps, *rest = inputs
    numerics, seed, layer_id, call, _evaluation, index_offset, layer, _mask = rest
    _, x_raw, x_clipped, mean, sigma = output
    ctx.mark_non_differentiable(x_raw, x_clipped, mean, sigma)
    keep(ctx, (x_raw, x_clipped, weight_raw, weight_clipped, bias_clipped, mean, sigma), call)
    ctx.arguments = (running, constant, eps)
    ctx.place = (numerics, seed, layer_id, index_offset, layer)


def _backward(ctx: Any, grad: Tensor | None, *_: object) -> tuple[Tensor | None, ...]:
    needs = list(ctx.needs_input_grad[1:4])  # the first is the dispatcher's
    if grad is None or not any(needs):
        return (None,) * 20
    tensors, call = kept(ctx)
    numerics, seed, layer_id, index_offset, layer = ctx.place
    run, number = BACKWARD.at(grad, call)
    gradients = run(grad, *tensors, *ctx.arguments, needs, numerics, seed, layer_id, number, index_offset, layer)
    return (*chosen(gradients, needs), *[None] * 17)


FORWARD: Final = define(
    "range_norm(Tensor x, Tensor weight, Tensor bias, Tensor weight_raw, Tensor weight_clipped, Tensor bias_raw, "
    "Tensor bias_clipped, Tensor mean, Tensor sigma, bool running, str constant, float eps, str numerics, int seed, "
    "int layer_id, Tensor call, bool evaluation, int index_offset, str layer, bool mask) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    range_norm,
    _fake_range_norm,
    setup_context=_setup,
    backward=_backward,
)
BACKWARD: Final = define(
    "range_norm_backward(Tensor grad, Tensor x_raw, Tensor x_clipped, Tensor weight_raw, Tensor weight_clipped, "
    "Tensor bias_clipped, Tensor mean, Tensor sigma, bool running, str constant, float eps, bool[] needs, "
    "str numerics, int seed, int layer_id, Tensor call, int index_offset, str layer) -> (Tensor, Tensor, Tensor)",
    range_norm_backward,
    _fake_range_norm_backward,
    backward=refuse_second_derivative,
)
