"""torch.ops.fxsim.range_round: floats onto a block's grid on the way forward, their gradient on the way back."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fxsim.ops import _words
from fxsim.ops._codes import codes, extremes
from fxsim.ops._library import define
from fxsim.ops._plan import check_float
from fxsim.ops._publish import Site
from fxsim.ops.records import Pass
from fxsim.ranges import Block, Plain, parse_range
from fxsim.rng import Role, stream


def range_round(
    x: Tensor,
    quantizer: str,
    grad_quantizer: str,
    seed: int,
    layer_id: int,
    role: int,
    call: Tensor,
    evaluation: bool,
    index_offset: int,
    layer: str,
) -> Tensor:
    """x rounded to the block that fits it, in x's dtype; "float32" leaves it as it is.

    grad_quantizer: of the gradient, under the role GRAD_INPUT and the same call. index_offset: samples before the
    first. Images, of four dimensions, are numbered channels last.
    """
    parsed = parse_range(quantizer)
    if isinstance(parsed, Plain):
        return x.clone()
    channels_last = x.dim() == 4
    number = stream(layer_id, Role(role), int(call), evaluation=evaluation and Role(role) is Role.OUTPUT)
    batch = len(x) if x.dim() else 1
    offset = index_offset * (x.numel() // max(batch, 1))
    site = Site(layer, Pass.QUANTIZE, "quantize", seed, number, offset, batch, Role(role).name.lower())
    check_float(site.name, "x", x.dtype)
    if not isinstance(parsed, Block):
        raise ValueError(f"{site.name}: {quantizer} is no block: codes with a zero of their own need a ranged layer")
    made = codes(x, parsed, extremes(x, parsed, batch, site.name), site, channels_last=channels_last)
    return made.values().to(x.dtype)


def _fake(
    x: Tensor,
    quantizer: str,
    grad_quantizer: str,
    seed: int,
    layer_id: int,
    role: int,
    call: Tensor,
    evaluation: bool,
    index_offset: int,
    layer: str,
) -> Tensor:
    return torch.empty_like(x) if quantizer == str(Plain()) else _words.empty_words(x, x.dtype, x.dim() == 4)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _x, _quantizer, grad_quantizer, seed, layer_id, _role, call, _evaluation, index_offset, layer = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(call)
    ctx.settings = (grad_quantizer, str(Plain()), seed, layer_id, int(Role.GRAD_INPUT))
    ctx.place = (False, index_offset, layer)


def _backward(ctx: Any, grad: Tensor | None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return (None,) * 10
    (call,) = ctx.saved_tensors
    return torch.ops.fxsim.range_round.default(grad, *ctx.settings, call, *ctx.place), *[None] * 9


define(
    "range_round(Tensor x, str quantizer, str grad_quantizer, int seed, int layer_id, int role, Tensor call, "
    "bool evaluation, int index_offset, str layer) -> Tensor",
    range_round,
    _fake,
    setup_context=_setup,
    backward=_backward,
)
