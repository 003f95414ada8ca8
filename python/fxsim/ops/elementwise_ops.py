"""torch.ops.fxsim.add, clip and relay: layers that add and bound, floats in and out."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor

from fxsim.ops import _elementwise, _words
from fxsim.ops._elementwise import IMAGE
from fxsim.ops._layer import Backward, Forward, keep, kept
from fxsim.ops._library import define, refuse_second_derivative
from fxsim.ops._plan import layer_plan
from fxsim.rng import Role


def add(
    a: Tensor,
    b: Tensor,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Quantize two tensors of one shape, add them, round. The rest as in `linear`.

    Returns:
        carriers of a's dtype; where a and where b left the range (bool; empty unless `mask`).
    """
    plan = layer_plan(layer, "add", numerics)
    if a.shape != b.shape or a.dtype != b.dtype:
        raise ValueError(
            f"{plan.name}: a has shape {tuple(a.shape)} and {a.dtype}, b {tuple(b.shape)} and {b.dtype}: both must be "
            f"the same; expand or convert one of them"
        )
    here = _forward(layer, "add", numerics, seed, layer_id, call, evaluation, index_offset, a)
    channels_last = a.dim() == IMAGE
    left, a_clipped = here.quantize_input(a, channels_last=channels_last, mask=mask)
    right, b_clipped = here.quantize_input(b, channels_last=channels_last, mask=mask, role=Role.SECOND_INPUT)
    form = plan.activation.format
    exact = _elementwise.sum_format(plan.name, form, form)
    total = _elementwise.sums(left, form, right, form, exact)
    site = here.site(Role.OUTPUT, math.prod(a.shape[1:]))
    return _elementwise.leave(here, total, exact, site, a.dtype, 2 * a.numel(), form), a_clipped, b_clipped


def clip(
    x: Tensor,
    low: float | None,
    high: float | None,
    edges: bool,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor]:
    """Quantize x, bring it between two bounds, round. The rest as in `linear`.

    low, high: reals; None is no bound. edges: whether a gradient passes where x is at a bound.

    Returns:
        carriers of x's dtype; where no gradient passes (bool; empty unless `mask`).
    """
    plan = layer_plan(layer, "clip", numerics)
    here = _forward(layer, "clip", numerics, seed, layer_id, call, evaluation, index_offset, x)
    form = plan.activation.format
    least, greatest = _elementwise.raw_bounds(plan.name, form, low, high)
    raw, clipped = here.quantize_input(x, channels_last=x.dim() == IMAGE, mask=mask and plan.clips)
    if mask:
        inner = not edges
        below = raw < least + (inner and low is not None)
        above = raw > greatest - (inner and high is not None)
        outside = below.logical_or_(above)
        blocked = outside.logical_or_(clipped) if plan.clips else outside
    else:
        blocked = clipped
    site = here.site(Role.OUTPUT, math.prod(x.shape[1:]))
    return _elementwise.leave(here, raw.clamp(least, greatest), form, site, x.dtype, x.numel()), blocked


def relay(
    grad: Tensor,
    blocked: Tensor,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    op: str,
    layer: str,
) -> Tensor:
    """A gradient brought into the formats of a layer's Numerics; 0 where `blocked` (empty: nowhere)."""
    plan = layer_plan(layer, op, numerics)
    batch = grad.shape[0] if grad.dim() else 1
    here = Backward(plan, layer, op, seed, layer_id, int(call), index_offset, batch, grad.dtype)
    passed = _elementwise.relay(here, grad)
    if not blocked.numel():
        return passed.clone() if passed is grad else passed
    return torch.where(blocked, torch.zeros((), dtype=passed.dtype), passed)


def _forward(
    layer: str,
    op: str,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    x: Tensor,
) -> Forward:
    batch = x.shape[0] if x.dim() else 1
    plan = layer_plan(layer, op, numerics)
    return Forward(plan, layer, op, seed, layer_id, int(call), evaluation, index_offset, batch)


def _fake_add(
    a: Tensor,
    b: Tensor,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    none = a.new_empty(0, dtype=torch.bool)
    masks = (_like(a, torch.bool), _like(b, torch.bool)) if mask else (none, none.clone())
    return (_like(a, a.dtype), *masks)


def _fake_clip(
    x: Tensor,
    low: float | None,
    high: float | None,
    edges: bool,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor]:
    return _like(x, x.dtype), _like(x, torch.bool) if mask else x.new_empty(0, dtype=torch.bool)


def _fake_relay(
    grad: Tensor,
    blocked: Tensor,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    op: str,
    layer: str,
) -> Tensor:
    plan = layer_plan(layer, op, numerics)
    rounded = plan.grad_output or plan.grad_input
    return _like(grad, grad.dtype) if rounded else torch.empty_like(grad)


def _like(x: Tensor, dtype: torch.dtype) -> Tensor:
    return _words.empty_words(x, dtype, x.dim() == IMAGE)


def _setup_add(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    _, _, numerics, seed, layer_id, call, _, index_offset, layer, _ = inputs
    keep(ctx, output[1:], call)
    ctx.settings, ctx.place = (numerics, seed, layer_id), (index_offset, "add", layer)


def _setup_clip(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _, _, _, _, numerics, seed, layer_id, call, _, index_offset, layer, _ = inputs
    keep(ctx, output[1:], call)
    ctx.settings, ctx.place = (numerics, seed, layer_id), (index_offset, "clip", layer)


def _backward_add(ctx: Any, grad: Tensor | None, *_: object) -> tuple[Tensor | None, ...]:
    """Both inputs share one gradient, rounded once."""
    needs = ctx.needs_input_grad[1:3]  # the first is the dispatcher's
    if grad is None or not any(needs):
        return (None,) * 10
    masks, call = kept(ctx)
    nowhere = grad.new_empty(0, dtype=torch.bool)
    run, number = RELAY.at(grad, call)
    passed = run(grad, nowhere, *ctx.settings, number, *ctx.place)
    clips = [_words.straight_through(passed, mask) if mask.numel() else passed for mask in masks]
    return (*(each if need else None for each, need in zip(clips, needs, strict=True)), *[None] * 8)


def _backward_clip(ctx: Any, grad: Tensor | None, *_: object) -> tuple[Tensor | None, ...]:
    if grad is None:
        return (None,) * 12
    tensors, call = kept(ctx)
    run, number = RELAY.at(grad, call)
    return (run(grad, *tensors, *ctx.settings, number, *ctx.place), *[None] * 11)


ADD: Final = define(
    "add(Tensor a, Tensor b, str numerics, int seed, int layer_id, Tensor call, bool evaluation, int index_offset, "
    "str layer, bool mask) -> (Tensor, Tensor, Tensor)",
    add,
    _fake_add,
    setup_context=_setup_add,
    backward=_backward_add,
)
CLIP: Final = define(
    "clip(Tensor x, float? low, float? high, bool edges, str numerics, int seed, int layer_id, Tensor call, "
    "bool evaluation, int index_offset, str layer, bool mask) -> (Tensor, Tensor)",
    clip,
    _fake_clip,
    setup_context=_setup_clip,
    backward=_backward_clip,
)
RELAY: Final = define(
    "relay(Tensor grad, Tensor blocked, str numerics, int seed, int layer_id, Tensor call, int index_offset, str op, "
    "str layer) -> Tensor",
    relay,
    _fake_relay,
    backward=refuse_second_derivative,
)
