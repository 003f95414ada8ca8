"""torch.ops.fxsim.ranged_conv2d and its backward: a layer whose grids follow its tensors, floats in and out."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, final

import torch
from torch import Tensor

from fxsim.ops import _layer, _words
from fxsim.ops._codes import Codes, Extremes, codes, extremes
from fxsim.ops._geometry import Conv, conv_shape, output_size
from fxsim.ops._library import define, refuse_second_derivative
from fxsim.ops._plan import check_float
from fxsim.ops._publish import Site
from fxsim.ops._ranged import contract
from fxsim.ops.records import Pass
from fxsim.ranges import Affine, Block, Plain, RangedNumerics, RangeQuantizer
from fxsim.rng import Role, stream


@final
@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a layer: whose it is, and where its random bits come from."""

    numerics: RangedNumerics
    layer: str
    op: str
    seed: int
    layer_id: int
    call: int
    evaluation: bool
    first_sample: int
    batch: int

    @property
    def name(self) -> str:
        return f"{self.layer}: {self.op}" if self.layer else self.op

    def site(self, role: Role, pass_: Pass, op: str, per_sample: int = 0, step: int | None = None) -> Site:
        forward = step is None and role in (Role.INPUT, Role.OUTPUT)
        number = stream(
            self.layer_id, role, self.call if step is None else step, evaluation=self.evaluation and forward
        )
        offset = self.first_sample * per_sample
        what = role.name.lower()
        return Site(self.layer, pass_, op, self.seed, number, offset, self.batch, what)

    def quantize(
        self,
        x: Tensor,
        quantizer: RangeQuantizer,
        role: Role,
        *,
        found: Extremes | None = None,
        channels_last: bool = True,
        step: int | None = None,
    ) -> Codes:
        """x as codes; `found` is the range to use, None for x's own."""
        if isinstance(quantizer, Plain):
            raise ValueError(f"{self.name}: a layer in float32 has no codes; call torch's own function")
        per_sample = 0 if step is not None else x.numel() // max(self.batch, 1)
        site = self.site(role, Pass.QUANTIZE, "quantize", per_sample, step)
        found = extremes(x, quantizer, self.batch, site.name) if found is None else found
        return codes(x, quantizer, found, site, channels_last=channels_last)

    def carrier(self, x: Tensor, quantizer: Block | None, role: Role, dtype: torch.dtype) -> Tensor:
        """A float64 result as the layer gives it: on the grid of a block, or as it is; rounded once to dtype."""
        if quantizer is not None:
            x = self.quantize(x, quantizer, role).values()
        return x.to(dtype)


def ranged_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    running: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    samples: int,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor,
    step: Tensor,
    evaluation: bool,
    index_offset: int,
    layer: str,
    op: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Quantize x (N, C, H, W), weight and bias, each on a grid of its own; convolve the codes; add the bias.

    running: the range to use for an affine activation in evaluation, float64 (2,); NaN for x's own.
    samples: that x's dimension 0 holds (a linear layer's has a row for each position of a sample).
    step: of the optimizer, for the random bits of weight and bias.

    Returns:
        y in x's dtype; x's codes; weight's codes on one grid; both grids as (scale, zero), float64 (2,); x's range.
    """
    parsed = RangedNumerics.from_text(numerics)
    here = _Call(parsed, layer, op, seed, layer_id, int(call), evaluation, index_offset, samples)
    check_float(here.name, "x", x.dtype)
    conv = _shape(here.name, x, weight, stride, padding, dilation, groups)
    kept = bool(torch.isnan(running).any()) or not evaluation or isinstance(parsed.activation, Block)
    own = extremes(x, _ranged(parsed.activation), samples, f"{here.name} input")
    found = own if kept else Extremes(running[:1].double(), running[1:].double())
    qx = here.quantize(x, parsed.activation, Role.INPUT, found=found)
    number = int(step)
    qw = here.quantize(weight, parsed.weight, Role.WEIGHT, step=number)
    y = contract("forward", conv, qx, qw, here.site(Role.OUTPUT, Pass.FWD, op)._replace(what=""))
    if bias is not None:
        y += here.quantize(bias, parsed.bias_quantizer, Role.BIAS, channels_last=False, step=number).values()[
            :, None, None
        ]
    if isinstance(parsed.weight, Affine) and parsed.weight.over == "channel":
        qw = here.quantize(weight, replace(parsed.weight, over="tensor"), Role.WEIGHT, step=number)
    return (
        here.carrier(y, parsed.output, Role.OUTPUT, x.dtype),
        qx.raw,
        qw.raw,
        torch.cat((qx.scale, qx.zero)),
        torch.cat((qw.scale, qw.zero)),
        torch.stack((own.low.min(), own.high.max())),
    )


def ranged_conv2d_backward(
    grad: Tensor,
    x_raw: Tensor,
    weight_raw: Tensor,
    x_grid: Tensor,
    weight_grid: Tensor,
    needs: list[bool],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    samples: int,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor,
    index_offset: int,
    layer: str,
    op: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias from codes of grad; those not in `needs` come back empty."""
    parsed = RangedNumerics.from_text(numerics)
    here = _Call(parsed, layer, op, seed, layer_id, int(call), False, index_offset, samples)
    conv = _shape(here.name, x_raw, weight_raw, stride, padding, dilation, groups)
    nothing = torch.empty(0, dtype=grad.dtype)
    grad_x = grad_weight = grad_bias = nothing
    first = here.quantize(grad, parsed.grad_output, Role.GRAD_OUTPUT)
    if needs[0]:
        site = here.site(Role.GRAD_INPUT, Pass.DGRAD, op)
        value = contract("dgrad", conv, first, _back(weight_raw, weight_grid, parsed.weight), site)
        grad_x = here.carrier(value, parsed.grad_input or parsed.output, Role.GRAD_INPUT, grad.dtype)
    if needs[1] or needs[2]:
        copy = first
        if parsed.grad_copy is not None:
            copy = here.quantize(grad, parsed.grad_copy, Role.GRAD_WEIGHT)
        if needs[1]:
            site = here.site(Role.GRAD_WEIGHT, Pass.WGRAD, op)
            grad_weight = contract("wgrad", conv, copy, _back(x_raw, x_grid, parsed.activation), site).to(grad.dtype)
        if needs[2]:
            sums = copy.raw.sum((0, 2, 3), dtype=torch.int64).double()
            grad_bias = (sums * copy.scale + conv.pixels * copy.zero).to(grad.dtype)
    return grad_x, grad_weight, grad_bias


def _ranged(quantizer: RangeQuantizer) -> Affine | Block:
    if isinstance(quantizer, Plain):
        raise ValueError("ranged_conv2d: a layer in float32 has no codes; call torch's own function")
    return quantizer


def _back(raw: Tensor, grid: Tensor, quantizer: RangeQuantizer) -> Codes:
    """Codes as the forward kept them; a block's step tells its fractional length."""
    form, affine = quantizer.format, isinstance(quantizer, Affine)
    if not affine:
        form = replace(form, fl=1 - math.frexp(float(grid[0]))[1])
    return Codes(raw, form, grid[:1], grid[1:], affine)


def _shape(
    name: str, x: Tensor, weight: Tensor, stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> Conv:
    pairs = ((each[0], each[1]) for each in (stride, padding, dilation))
    return conv_shape(name, tuple(x.shape), tuple(weight.shape), *pairs, groups)


@lru_cache(maxsize=1024)
def _storage(numerics: str) -> tuple[torch.dtype, torch.dtype]:
    parsed = RangedNumerics.from_text(numerics)
    return parsed.activation.format.dtype, parsed.weight.format.dtype


def _fake_forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    running: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    samples: int,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor,
    step: Tensor,
    evaluation: bool,
    index_offset: int,
    layer: str,
    op: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    activation, words = _storage(numerics)
    oh, ow = map(output_size, x.shape[2:], weight.shape[2:], stride, padding, dilation)
    pair = [x.new_empty((2,), dtype=torch.float64) for _ in range(3)]
    return (
        x.new_empty((x.shape[0], oh, ow, weight.shape[0])).permute(0, 3, 1, 2),
        _words.empty_words(x, activation, True),
        _words.empty_words(weight, words, True),
        pair[0],
        pair[1],
        pair[2],
    )


def _fake_backward(
    grad: Tensor,
    x_raw: Tensor,
    weight_raw: Tensor,
    x_grid: Tensor,
    weight_grid: Tensor,
    needs: list[bool],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    samples: int,
    numerics: str,
    seed: int,
    layer_id: int,
    call: Tensor,
    index_offset: int,
    layer: str,
    op: str,
) -> tuple[Tensor, Tensor, Tensor]:
    return (
        _words.empty_words(x_raw, grad.dtype, True) if needs[0] else grad.new_empty((0,)),
        _words.empty_words(weight_raw, grad.dtype, True) if needs[1] else grad.new_empty((0,)),
        grad.new_empty((weight_raw.shape[0],) if needs[2] else (0,)),
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _x, _weight, _bias, _running, *settings, call, _step, _evaluation, index_offset, layer, op = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*output[1:5], call)
    ctx.mark_non_differentiable(*output[1:])
    ctx.settings = tuple(settings)
    ctx.place = (index_offset, layer, op)


def _backward(ctx: Any, grad: Tensor | None, *_: object) -> tuple[Tensor | None, ...]:
    needs = _layer.needed(ctx)
    if grad is None or not any(needs):
        return (None,) * 18
    *tensors, call = ctx.saved_tensors
    gradients = torch.ops.fxsim.ranged_conv2d_backward.default(grad, *tensors, needs, *ctx.settings, call, *ctx.place)
    return (*_layer.chosen(gradients, needs), *[None] * 15)


define(
    "ranged_conv2d(Tensor x, Tensor weight, Tensor? bias, Tensor running, int[] stride, int[] padding, "
    "int[] dilation, int groups, int samples, str numerics, int seed, int layer_id, Tensor call, Tensor step, "
    "bool evaluation, int index_offset, str layer, str op) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    ranged_conv2d,
    _fake_forward,
    setup_context=_setup,
    backward=_backward,
)
define(
    "ranged_conv2d_backward(Tensor grad, Tensor x_raw, Tensor weight_raw, Tensor x_grid, Tensor weight_grid, "
    "bool[] needs, int[] stride, int[] padding, int[] dilation, int groups, int samples, str numerics, int seed, "
    "int layer_id, Tensor call, int index_offset, str layer, str op) -> (Tensor, Tensor, Tensor)",
    ranged_conv2d_backward,
    _fake_backward,
    backward=refuse_second_derivative,
)
