"""The layers' arithmetic as `torch.autograd.Function` classes, for loops written by hand.

The same kernels and the same bits as `fx.nn`, without modules: the caller names seed, layer and call. Under
torch.compile and torch.export use `fx.nn` or `torch.ops.fxsim`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fxsim.numerics import Numerics
from fxsim.ops import conv2d_ops, linear_ops, quantize_ops, signed64
from fxsim.rng import Role

_Pair = tuple[int, int]


class Place(NamedTuple):
    """Where random bits come from: a run's seed, a layer's number, the count of its forwards, the optimizer's step.

    first_sample: samples of the batch before the first of this call. layer: a name for errors and records.
    """

    seed: int = 0
    layer_id: int = 0
    call: int = 0
    step: int = 0
    evaluation: bool = False
    first_sample: int = 0
    layer: str = ""


_NOWHERE = Place()


class LinearFunction(torch.autograd.Function):
    """`LinearFunction.apply(x, weight, bias, numerics, place)`: what `fx.nn.Linear` computes, gradients too.

    x (..., K), weight (N, K) and bias (N,) or None are floats; the result is a carrier (..., N).
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, numerics: Numerics, place: Place = _NOWHERE
    ) -> Tensor:
        """Quantize all, multiply, round."""
        text, call, seed = numerics.to_text(), torch.tensor(place.call), signed64(place.seed)
        words = _words(weight, bias, numerics, place, "c")
        rest = (place.evaluation, place.first_sample, place.layer, numerics.ste == "clipped")
        y, raw, clipped = linear_ops.linear(x, weight, bias, *words, text, seed, place.layer_id, call, *rest)
        _save(ctx, raw, clipped, words)
        ctx.arguments = (text, seed, place.layer_id, call, place.first_sample, place.layer)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight and bias under the Numerics."""
        needs = list(ctx.needs_input_grad[:3])
        arguments: tuple[Any, ...] = (*ctx.saved_tensors, needs, *ctx.arguments)
        gradients = linear_ops.linear_backward(grad, *arguments)
        return (*_chosen(gradients, needs), None, None)


class Conv2dFunction(torch.autograd.Function):
    """`Conv2dFunction.apply(x, weight, bias, stride, padding, dilation, groups, numerics, place)`, as `fx.nn.Conv2d`.

    x (N, C, H, W), weight (C_out, C / groups, KH, KW) and bias (C_out,) or None are floats; stride, padding and
    dilation are (height, width). The result is a carrier (N, C_out, OH, OW).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: _Pair,
        padding: _Pair,
        dilation: _Pair,
        groups: int,
        numerics: Numerics,
        place: Place = _NOWHERE,
    ) -> Tensor:
        """Quantize all, convolve, round."""
        text, call, seed = numerics.to_text(), torch.tensor(place.call), signed64(place.seed)
        words = _words(weight, bias, numerics, place, "channels_last")
        settings = (list(stride), list(padding), list(dilation), groups)
        rest = (place.evaluation, place.first_sample, place.layer, numerics.ste == "clipped")
        y, raw, clipped = conv2d_ops.conv2d(x, weight, bias, *words, *settings, text, seed, place.layer_id, call, *rest)
        _save(ctx, raw, clipped, words)
        ctx.arguments = (*settings, text, seed, place.layer_id, call, place.first_sample, place.layer)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight and bias under the Numerics."""
        needs = list(ctx.needs_input_grad[:3])
        arguments: tuple[Any, ...] = (*ctx.saved_tensors, needs, *ctx.arguments)
        gradients = conv2d_ops.conv2d_backward(grad, *arguments)
        return (*_chosen(gradients, needs), *[None] * 6)


def _words(
    weight: Tensor, bias: Tensor | None, numerics: Numerics, place: Place, order: str
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    step, seed, mask = torch.tensor(place.step), signed64(place.seed), numerics.ste == "clipped"
    here = (seed, place.layer_id)
    words = quantize_ops.quantize_raw(
        weight, str(numerics.weight), *here, int(Role.WEIGHT), step, order, mask, place.layer
    )
    if bias is None:
        return (*words, None, None)
    quantizer = str(numerics.bias_quantizer)
    return (*words, *quantize_ops.quantize_raw(bias, quantizer, *here, int(Role.BIAS), step, "c", mask, place.layer))


def _save(ctx: Any, raw: Tensor, clipped: Tensor, words: Sequence[Tensor | None]) -> None:
    weight_raw, weight_clipped, _, bias_clipped = words
    ctx.save_for_backward(raw, clipped, weight_raw, weight_clipped, bias_clipped)


def _chosen(gradients: Sequence[Tensor], needs: Sequence[bool]) -> list[Tensor | None]:
    return [gradient if need else None for gradient, need in zip(gradients, needs, strict=True)]
