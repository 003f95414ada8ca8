"""torch.ops.fxsim.batch_norm_relu and its gradient: float32 on images in channels-last memory, one bit pattern."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

from typing import Any, Final, NoReturn

import torch
from torch import Tensor

from fxsim.ops import _bridge, records
from fxsim.ops._library import define
from fxsim.ops._plan import short
from fxsim.ops._straight import straight
from fxsim.ops.records import FLOAT32, OpRecord, Pass

_IMAGE_DIMENSIONS = 4
_LEAST_PIXELS = 2


def batch_norm_relu(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    batch_statistics: bool,
    momentum: float,
    eps: float,
    relu: bool,
    layer: str,
) -> tuple[Tensor, Tensor]:
    """Normalise the channels of x (N, C, H, W), add the residual (N, C, H, W), cut off at 0; all float32.

    batch_statistics: normalise with mean and variance of x itself, else with the running ones (C,).
    momentum: how far the running ones, if given, then move towards those of x, in place.

    Returns:
        y in channels-last memory; and the mean and variance it was normalised with, (2, C).
    """
    name = f"{layer}: batch_norm_relu" if layer else "batch_norm_relu"
    _check_images(name, x, residual)
    _check_channels(name, x.shape[1], weight=weight, bias=bias, running_mean=running_mean, running_var=running_var)
    _check_statistics(name, x, running_mean, running_var, batch_statistics)
    if batch_statistics:
        statistics = torch.empty(2, x.shape[1])
        moving = [each for each in (running_mean, running_var) if each is not None]
    else:
        statistics = torch.stack((running_mean, running_var))  # type: ignore[arg-type]  # checked above
        moving = []
    y = _empty_images(x)
    _bridge.batch_norm_relu(
        _channels_last(x),
        _contiguous(weight),
        _contiguous(bias),
        None if residual is None else _channels_last(residual),
        statistics,
        running_mean=moving[0] if moving else None,
        running_variance=moving[1] if moving else None,
        measure=batch_statistics,
        momentum=momentum,
        eps=eps,
        relu=relu,
        out=y,
    )
    torch.autograd.graph.increment_version(moving)
    if records.listening():
        read = [each.numel() for each in (x, weight, bias, residual) if each is not None]
        _publish(layer, Pass.FWD, "batch_norm_relu", x, sum(read), y.numel())
    return y, statistics


def batch_norm_relu_backward(
    grad: Tensor,
    x: Tensor,
    y: Tensor | None,
    statistics: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    batch_statistics: bool,
    eps: float,
    relu: bool,
    layer: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of x, residual, weight and bias.

    y: the result, where a residual was added before a ReLU; else None, and the residual's gradient, which would be
    `grad`, is empty.
    """
    channels = x.shape[1]
    grad_x = _empty_images(x)
    grad_residual = None if y is None else _empty_images(x)
    grad_weight, grad_bias = torch.empty(channels), torch.empty(channels)
    _bridge.batch_norm_relu_backward(
        _channels_last(grad),
        _channels_last(x),
        None if y is None else _channels_last(y),
        statistics,
        _contiguous(weight),
        _contiguous(bias),
        eps=eps,
        relu=relu,
        measured=batch_statistics,
        grad_x=grad_x,
        grad_residual=grad_residual,
        grad_weight=grad_weight,
        grad_bias=grad_bias,
    )
    if records.listening():
        read = [each.numel() for each in (grad, x, y, statistics, weight, bias) if each is not None]
        written = grad_x.numel() + (0 if grad_residual is None else grad_residual.numel()) + 2 * channels
        _publish(layer, Pass.DGRAD, "batch_norm_relu_backward", x, sum(read), written)
    return grad_x, torch.empty(0) if grad_residual is None else grad_residual, grad_weight, grad_bias


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _contiguous(parameter: Tensor | None) -> Tensor | None:
    return None if parameter is None else parameter.contiguous()


def _empty_images(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.channels_last)


def _publish(layer: str, pass_: Pass, op: str, x: Tensor, read: int, written: int) -> None:
    records.publish(
        OpRecord(
            layer=layer,
            pass_=pass_,
            op=op,
            m=x.numel(),
            n=1,
            k=0,
            batch=x.shape[0],
            a=FLOAT32,
            output=FLOAT32,
            elements_read=read,
            elements_written=written,
        )
    )


def _check_float32(name: str, what: str, given: Tensor) -> None:
    if given.dtype != torch.float32:
        raise TypeError(f"{name}: {what} is {short(given.dtype)}: accepted is float32; convert it")


def _check_images(name: str, x: Tensor, residual: Tensor | None) -> None:
    _check_float32(name, "x", x)
    if x.dim() != _IMAGE_DIMENSIONS:
        raise ValueError(f"{name}: x has shape {tuple(x.shape)}: accepted are images, (N, C, H, W)")
    if residual is None:
        return
    _check_float32(name, "residual", residual)
    if residual.shape != x.shape:
        raise ValueError(f"{name}: residual has shape {tuple(residual.shape)}: accepted is that of x, {tuple(x.shape)}")


def _check_channels(name: str, channels: int, **rows: Tensor | None) -> None:
    for what, row in rows.items():
        if row is None:
            continue
        _check_float32(name, what, row)
        if row.shape != (channels,):
            raise ValueError(
                f"{name}: {what} has shape {tuple(row.shape)}: accepted is ({channels},), one for each channel of x"
            )


def _check_statistics(
    name: str, x: Tensor, running_mean: Tensor | None, running_var: Tensor | None, batch_statistics: bool
) -> None:
    if (running_mean is None) != (running_var is None):
        raise ValueError(f"{name}: only one of running_mean and running_var is given; give both or neither")
    for what, row in (("running_mean", running_mean), ("running_var", running_var)):
        if row is not None and not row.is_contiguous():
            raise ValueError(
                f"{name}: {what} has strides {row.stride()}: it is changed in place and must be contiguous"
            )
    if not batch_statistics and running_mean is None:
        raise ValueError(
            f"{name}: batch_statistics is off and there are no running statistics; give them or turn it on"
        )
    pixels = x.shape[0] * x.shape[2] * x.shape[3]
    if batch_statistics and pixels < _LEAST_PIXELS:
        raise ValueError(
            f"{name}: x has shape {tuple(x.shape)}, {pixels} values for each channel: batch statistics need "
            f"{_LEAST_PIXELS} or more; give a larger batch, or normalise with running statistics, as in evaluation"
        )


def _fake(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    batch_statistics: bool,
    momentum: float,
    eps: float,
    relu: bool,
    layer: str,
) -> tuple[Tensor, Tensor]:
    return _empty_images(x), x.new_empty((2, x.shape[1]))


def _fake_backward(
    grad: Tensor,
    x: Tensor,
    y: Tensor | None,
    statistics: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    batch_statistics: bool,
    eps: float,
    relu: bool,
    layer: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    row = (x.shape[1],)
    grad_residual = x.new_empty(0) if y is None else _empty_images(x)
    return _empty_images(x), grad_residual, x.new_empty(row), x.new_empty(row)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weight, bias, residual, _, _, batch_statistics, _, eps, relu, layer = inputs
    y, statistics = output
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(statistics)
    ctx.save_for_backward(x, y if relu and residual is not None else None, statistics, weight, bias)
    ctx.arguments = (batch_statistics, eps, relu, layer)


def _backward(ctx: Any, grad: Tensor | None, *_: object) -> tuple[Tensor | None, ...]:
    needs = ctx.needs_input_grad[1:5]  # the first is the dispatcher's
    if grad is None or not any(needs):
        return (None,) * 11
    tensors = ctx.saved_tensors
    backward = BACKWARD.way(straight(grad))
    grad_x, grad_residual, grad_weight, grad_bias = backward(grad, *tensors, *ctx.arguments)
    residual = grad if tensors[1] is None else grad_residual
    gradients = (grad_x, grad_weight, grad_bias, residual)
    return (*(each if need else None for each, need in zip(gradients, needs, strict=True)), *[None] * 7)


def _refuse_second_derivative(ctx: Any, *grads: object) -> NoReturn:
    raise NotImplementedError(
        "fxsim: the gradient of batch_norm_relu's gradient is not defined; call backward without create_graph"
    )


FORWARD: Final = define(
    "batch_norm_relu(Tensor x, Tensor? weight, Tensor? bias, Tensor? residual, "
    "Tensor(a!)? running_mean, Tensor(b!)? running_var, bool batch_statistics, float momentum, float eps, bool relu, "
    "str layer) -> (Tensor, Tensor)",
    batch_norm_relu,
    _fake,
    setup_context=_setup,
    backward=_backward,
)
BACKWARD: Final = define(
    "batch_norm_relu_backward(Tensor grad, Tensor x, Tensor? y, Tensor statistics, Tensor? weight, "
    "Tensor? bias, bool batch_statistics, float eps, bool relu, str layer) -> (Tensor, Tensor, Tensor, Tensor)",
    batch_norm_relu_backward,
    _fake_backward,
    backward=_refuse_second_derivative,
)
