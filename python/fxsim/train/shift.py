"""WAGE's update of weights, in integers.

Source: Wu, Li, Chen and Shi, "Training and Inference with Integers in Deep Neural Networks", ICLR 2018, section 3.3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fxsim.nn.codes import nearest_power
from fxsim.nn.draws import draws_for
from fxsim.policies.base import ShiftUpdate
from fxsim.rng import Key

_RATE_BITS = 24


def shift_update(weight: Tensor, gradient: Tensor, rate: float, rule: ShiftUpdate, key: Key) -> Tensor:
    """The weights, carriers of rule.format, after one step.

    x = rate g / 2**round(log2 max |g|) in steps of the format; a weight moves by the integer part of |x|, and by one
    more where the fraction, cut off after `random_bits` bits, and a random number carry. rate: cut off after 24
    significant bits, so that its product with a float32 fits float64 and no float decides. A gradient that is zero
    everywhere moves nothing.
    """
    largest = float(gradient.abs().max()) if gradient.numel() else 0.0
    if largest == 0.0:
        return weight.clone()
    bits = rule.random_bits
    mantissa, exponent = math.frexp(rate)
    cut = math.ldexp(math.floor(math.ldexp(mantissa, _RATE_BITS)), exponent - _RATE_BITS)
    scale = cut * math.ldexp(1.0, bits - nearest_power(largest))
    # powers of two scale exactly; |x| <= rate sqrt(2), so the floors are far below 2^53
    magnitude = torch.floor(gradient.to(torch.float64).abs() * scale)
    drawn = draws_for(weight, key, bits)
    steps = torch.floor((magnitude + drawn) * math.ldexp(1.0, -bits))
    form = rule.format
    raw = weight.to(torch.float64) * math.ldexp(1.0, form.fl) - torch.sign(gradient).to(torch.float64) * steps
    return (raw.clamp_(-form.raw_max, form.raw_max) * form.step).to(weight.dtype)
