"""torch.ops.fxsim.avg_pool2d and avg_pool2d_backward: a layer that averages windows, floats in and out."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor

from fxsim.ops import _words, records
from fxsim.ops._elementwise import Window, averages, window_spread, window_sums
from fxsim.ops._emit import emit
from fxsim.ops._layer import Backward, Forward, keep, kept
from fxsim.ops._library import define, refuse_second_derivative
from fxsim.ops._plan import LayerPlan, check_carrier, layer_plan
from fxsim.ops._publish import publish_float_sum
from fxsim.rng import Role

_OP = "avg_pool2d"


def avg_pool2d(
    x: Tensor,
    kernel_size: list[int],
    stride: list[int],
    padding: list[int],
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor]:
    """Quantize x (N, C, H, W), sum every window, divide by its size, round. The rest as in `linear`.

    Returns:
        carriers of x's dtype, channels last in memory; where x left its range (bool; empty unless `mask`).
    """
    plan = layer_plan(layer, _OP, numerics)
    window = _window(kernel_size, stride, padding)
    height, width = window.outputs(plan.name, x.shape)
    here = Forward(plan, layer, _OP, seed, layer_id, int(call), evaluation, index_offset, x.shape[0])
    raw, clipped = here.quantize_input(x, channels_last=True, mask=mask)
    form, output = plan.activation.format, plan.numerics.output
    if output is not None:
        check_carrier(plan.name, "output", output.format, x.dtype, plan.numerics.carrier)
    mean = averages(plan.name, "output", window_sums(raw, window), form, window.values, output)
    site = here.site(Role.OUTPUT, x.shape[1] * height * width)
    y = emit(mean.words, mean.fl, mean.plan, site, x.dtype, form, None, x.numel(), channels_last=True)
    return y, clipped


def avg_pool2d_backward(
    grad: Tensor,
    clipped: Tensor,
    size: list[int],
    kernel_size: list[int],
    stride: list[int],
    padding: list[int],
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    layer: str,
) -> Tensor:
    """The gradient of x, of shape `size`, under the layer's Numerics."""
    plan = layer_plan(layer, _OP, numerics)
    window, shape = _window(kernel_size, stride, padding), torch.Size(size)
    here = Backward(plan, layer, _OP, seed, layer_id, int(call), index_offset, shape[0], grad.dtype)
    if plan.grad_output is None:
        through = _float_gradient(here, grad, shape, window)
    else:
        through = _integer_gradient(here, plan, grad, shape, window)
    return here.straight_through(through, clipped)


def _integer_gradient(here: Backward, plan: LayerPlan, grad: Tensor, shape: torch.Size, window: Window) -> Tensor:
    assert plan.grad_output is not None  # noqa: S101 - integer gradients begin with it
    if plan.grad_input is not None:
        check_carrier(plan.name, "grad_input", plan.grad_input.format, here.dtype, plan.numerics.carrier)
    words = here.quantize_grad(grad, plan.grad_output, channels_last=True)
    form, quantizer = plan.grad_output.format, plan.numerics.grad_input
    mean = averages(plan.name, "grad_input", window_spread(words, shape, window), form, window.values, quantizer)
    site = here.site(Role.GRAD_INPUT, math.prod(shape[1:]))
    return emit(mean.words, mean.fl, mean.plan, site, here.dtype, form, None, grad.numel(), channels_last=True)


def _float_gradient(here: Backward, grad: Tensor, shape: torch.Size, window: Window) -> Tensor:
    if records.listening():
        publish_float_sum(here.site(Role.GRAD_INPUT), grad.numel(), shape.numel())
    anything = grad.new_empty(1).expand(shape)  # only its shape is looked at
    through = torch.ops.aten.avg_pool2d_backward.default(grad, anything, *window, False, True, None)
    return here.round(through, Role.GRAD_INPUT, math.prod(shape[1:]), channels_last=True)


def _window(kernel_size: list[int], stride: list[int], padding: list[int]) -> Window:
    return Window(*((each[0], each[1]) for each in (kernel_size, stride, padding)))


def _fake_avg_pool2d(
    x: Tensor,
    kernel_size: list[int],
    stride: list[int],
    padding: list[int],
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    layer: str,
    mask: bool,
) -> tuple[Tensor, Tensor]:
    height, width = _window(kernel_size, stride, padding).outputs(_OP, x.shape)
    y = x.new_empty((x.shape[0], height, width, x.shape[1])).permute(0, 3, 1, 2)
    return y, _words.empty_words(x, torch.bool, True) if mask else x.new_empty(0, dtype=torch.bool)


def _fake_avg_pool2d_backward(
    grad: Tensor,
    clipped: Tensor,
    size: list[int],
    kernel_size: list[int],
    stride: list[int],
    padding: list[int],
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor | int,
    index_offset: int,
    layer: str,
) -> Tensor:
    n, c, height, width = size
    return grad.new_empty((n, height, width, c)).permute(0, 3, 1, 2)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, kernel_size, stride, padding, numerics, seed, layer_id, call, _, index_offset, layer, _ = inputs
    keep(ctx, (output[1],), call)
    ctx.size = list(x.shape)
    ctx.window = (list(kernel_size), list(stride), list(padding))
    ctx.settings, ctx.place = (numerics, seed, layer_id), (index_offset, layer)


def _backward(ctx: Any, grad: Tensor | None, *_: object) -> tuple[Tensor | None, ...]:
    if grad is None:
        return (None,) * 12
    tensors, call = kept(ctx)
    run, number = BACKWARD.at(grad, call)
    through = run(grad, *tensors, ctx.size, *ctx.window, *ctx.settings, number, *ctx.place)
    return (through, *[None] * 11)


FORWARD: Final = define(
    "avg_pool2d(Tensor x, int[] kernel_size, int[] stride, int[] padding, str numerics, int seed, int layer_id, "
    "Tensor call, bool evaluation, int index_offset, str layer, bool mask) -> (Tensor, Tensor)",
    avg_pool2d,
    _fake_avg_pool2d,
    setup_context=_setup,
    backward=_backward,
)
BACKWARD: Final = define(
    "avg_pool2d_backward(Tensor grad, Tensor clipped, SymInt[] size, int[] kernel_size, int[] stride, int[] padding, "
    "str numerics, int seed, int layer_id, Tensor call, int index_offset, str layer) -> Tensor",
    avg_pool2d_backward,
    _fake_avg_pool2d_backward,
    backward=refuse_second_derivative,
)
