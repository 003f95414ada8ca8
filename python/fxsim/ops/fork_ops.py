"""torch.ops.fxsim.fork and merge: a tensor used twice, and the sum of the gradients of both uses."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from fxsim.ops import _elementwise, _words
from fxsim.ops._elementwise import IMAGE
from fxsim.ops._layer import Backward, keep, kept
from fxsim.ops._library import define, refuse_second_derivative
from fxsim.ops._plan import check_float, layer_plan


def fork(
    x: Tensor, numerics: str, seed: int, layer_id: int, call: Tensor | int, index_offset: int, layer: str
) -> tuple[Tensor, Tensor]:
    """x twice; the arguments after it are for the gradient, and as in `linear`."""
    check_float(f"{layer}: fork" if layer else "fork", "x", x.dtype)
    return x.clone(), x.clone()


def merge(
    grad: Tensor,
    other: Tensor,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    layer: str,
) -> Tensor:
    """The sum of two gradients under a layer's Numerics."""
    plan = layer_plan(layer, "fork", numerics)
    batch = grad.shape[0] if grad.dim() else 1
    here = Backward(plan, layer, "fork", seed, layer_id, int(call), index_offset, batch, grad.dtype)
    return _elementwise.relay(here, grad, other)


def _fake_fork(
    x: Tensor, numerics: str, seed: int, layer_id: int, call: Tensor | int, index_offset: int, layer: str
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(x)


def _fake_merge(
    grad: Tensor,
    other: Tensor,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    layer: str,
) -> Tensor:
    plan = layer_plan(layer, "fork", numerics)
    if plan.grad_output or plan.grad_input:
        return _words.empty_words(grad, grad.dtype, grad.dim() == IMAGE)
    return grad + other


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _, numerics, seed, layer_id, call, index_offset, layer = inputs
    keep(ctx, (), call)
    ctx.settings, ctx.place = (numerics, seed, layer_id), (index_offset, layer)


def _backward(ctx: Any, grad: Tensor | None, other: Tensor | None) -> tuple[Tensor | None, ...]:
    _, call = kept(ctx)
    if grad is None or other is None:
        through = grad if other is None else other
    else:
        run, number = MERGE.at(grad, call)
        through = run(grad, other, *ctx.settings, number, *ctx.place)
    return (through, *[None] * 6)


FORK: Final = define(
    "fork(Tensor x, str numerics, int seed, int layer_id, Tensor call, int index_offset, str layer) "
    "-> (Tensor, Tensor)",
    fork,
    _fake_fork,
    setup_context=_setup,
    backward=_backward,
)
MERGE: Final = define(
    "merge(Tensor grad, Tensor other, str numerics, int seed, int layer_id, Tensor call, int index_offset, str layer) "
    "-> Tensor",
    merge,
    _fake_merge,
    backward=refuse_second_derivative,
)
