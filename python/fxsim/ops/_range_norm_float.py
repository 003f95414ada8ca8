"""Gradients of Range BN in floats, of the quantized operands: for layers whose Numerics has no grad_output."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fxsim.normalization import CONSTANT_BITS, chunk_count, range_constant
from fxsim.ops import _range_norm, records
from fxsim.ops._layer import Backward
from fxsim.ops._publish import publish_float_sum
from fxsim.ops._range_norm import Statistics
from fxsim.ops._range_norm_plan import Plan, rows_of
from fxsim.ops._words import carrier
from fxsim.rng import Role


def float_gradients(
    here: Backward,
    plan: Plan,
    grad: Tensor,
    x_raw: Tensor,
    weight_raw: Tensor,
    known: Statistics,
    running: bool,
    needs: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, weight and bias; those not in `needs` are empty."""
    rules, dtype, channels = plan.rules, grad.dtype, weight_raw.shape[0]
    g = grad.permute(0, 2, 3, 1).reshape(-1, channels)
    step = math.ldexp(1.0, -rules.fl)
    mean = torch.from_numpy(known.mean).to(dtype) * step
    scale = torch.from_numpy(rules.scale(known.sigma)).to(dtype) * step
    x = carrier(x_raw, rules.x, dtype).permute(0, 2, 3, 1).reshape(-1, channels)
    total, slope = g.sum(0), (g * (x - mean)).sum(0) / scale
    _publish(here, Role.GRAD_BIAS, g, channels)
    grad_x, grad_weight, grad_bias = here.nothing(), here.nothing(), here.nothing()
    if needs[0]:
        through = g.clone() if running else g - total / max(len(g), 1)
        if not running:
            found = _range_norm.extremes(rows_of(x_raw))
            chunks = chunk_count(len(g))
            factor = range_constant(len(g) // chunks, rules.constant) / (chunks << CONSTANT_BITS)
            pull = torch.from_numpy(found.signs) * (factor * slope)
            through[torch.from_numpy(found.rows), torch.arange(channels)] -= pull.to(dtype)
        product = through * (carrier(weight_raw, rules.weight, dtype) / scale)
        n, _, height, width = x_raw.shape
        image = product.view(n, height, width, channels).permute(0, 3, 1, 2)
        _publish(here, Role.GRAD_INPUT, g, g.numel())
        grad_x = here.round(image, Role.GRAD_INPUT, math.prod(x_raw.shape[1:]), channels_last=True)
    if needs[1]:
        _publish(here, Role.GRAD_WEIGHT, g, channels)
        grad_weight = here.round(slope, Role.GRAD_WEIGHT)
    if needs[2]:
        grad_bias = here.round(total, Role.GRAD_BIAS)
    return grad_x, grad_weight, grad_bias


def _publish(here: Backward, role: Role, g: Tensor, written: int) -> None:
    if records.listening():
        publish_float_sum(here.site(role), g.numel(), written)
