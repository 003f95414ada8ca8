"""Layers of published methods whose weights are no rounded reals: signs, DoReFa's levels, WAGE's ternary words.

What Numerics calls `code` decides three things besides the products, which stay the ops' own integer arithmetic: the
raws of the weight and the float tensor their gradient goes to, what is done to the input before it is quantized, and
what is done to the output, forward and backward.

Source: Hubara et al., NIPS 2016 ("sign"); Zhou et al., "DoReFa-Net", arXiv:1606.06160 ("dorefa"); Wu, Li, Chen and Shi,
"Training and Inference with Integers in Deep Neural Networks", ICLR 2018 ("wage").
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor

from fxsim.nn.activations import signs_of, straight_through_sign
from fxsim.nn.draws import draws_for
from fxsim.numerics import Numerics
from fxsim.rng import Key, Role, stream

GRADIENT_BITS: Final = 6
"""Bits of DoReFa's gradients."""

RANDOM_BITS: Final = 16

WAGE_LEAST_LIMIT: Final = 0.75
"""1.5 steps of a 2-bit word: the least half width of initial weights."""


def levels(bits: int) -> int:
    """Steps between the lowest and the highest of 2**bits levels."""
    return (1 << bits) - 1


def weight_bits(numerics: Numerics) -> int:
    """DoReFa's bits of a weight: its raws, odd integers up to +-(2**bits - 1), take one more for the sign."""
    return numerics.weight.format.wl - 1


def raws(weight: Tensor, numerics: Numerics) -> Tensor | None:
    """The raws of a weight as floats; None where the quantizer makes them."""
    match numerics.code:
        case "sign":
            return signs_of(weight)
        case "dorefa":
            return _dorefa(weight, weight_bits(numerics))
    return None


def operand(weight: Tensor, numerics: Numerics) -> Tensor:
    """The tensor that the gradient of the raws belongs to, connected to the weight."""
    match numerics.code:
        case "sign":
            return straight_through_sign(weight)
        case "dorefa" if weight_bits(numerics) == 1:
            mean = weight.detach().abs().mean()  # a sign is worth the mean, and the gradient of that product passes
            return weight / torch.where(mean > 0, mean, 1.0)
        case "dorefa":
            t = torch.tanh(weight)
            top = t.abs().max()
            return levels(weight_bits(numerics)) * t / torch.where(top > 0, top, 1.0)
    return weight


def before(x: Tensor, numerics: Numerics) -> Tensor:
    """The input as the activation quantizer takes it: DoReFa stretches [0, 1] to its levels, exactly, in float64."""
    if numerics.code == "dorefa":
        return x.to(torch.float64) * levels(numerics.activation.format.wl)
    return x


def after(y: Tensor, x: Tensor, weight: Tensor, numerics: Numerics, key: Key) -> Tensor:
    """The output, scaled; and its gradient, coded on its way back."""
    match numerics.code:
        case "dorefa":
            scaled = y * _dorefa_scale(weight.detach(), numerics)
            coded: Tensor = _DoReFaGradient.apply(scaled.to(x.dtype), key)  # type: ignore[no-untyped-call]
            return coded
        case "wage":
            shifted: Tensor = _WageError.apply(y, wage_shift(weight[0].numel()))  # type: ignore[no-untyped-call]
            return shifted
    return y


def gradient_key(seed: int, layer_id: int, call: int) -> Key:
    """The random bits of an output's gradient."""
    return Key(seed, stream(layer_id, Role.GRAD_OUTPUT, call))


def _dorefa(weight: Tensor, bits: int) -> Tensor:
    """2 q - (2**k - 1), q = round((2**k - 1) (t / (2 max |t|) + 1/2)), t = tanh(w), ties to even; for k = 1 the sign.

    tanh and the quotient are float64 by definition of the code.
    """
    if bits == 1:
        return signs_of(weight)
    t = torch.tanh(weight.to(torch.float64))
    top = t.abs().max()
    half = t / (2 * torch.where(top > 0, top, 1.0)) + 0.5
    return 2 * torch.round(half * levels(bits)) - levels(bits)


def _dorefa_scale(weight: Tensor, numerics: Numerics) -> float:
    """What an integer of the product is worth: step of the activation times step of the weight."""
    bits = weight_bits(numerics)
    step = float(weight.to(torch.float64).abs().mean()) if bits == 1 else 1.0 / levels(bits)
    return step / levels(numerics.activation.format.wl)


def dorefa_codes(gradient: Tensor, top: Tensor, draws: Tensor, bits: int = GRADIENT_BITS) -> Tensor:
    """The level, 0 ... 2**bits - 1, of every element of a gradient between -top and top, rounded stochastically.

    level = floor((2**bits - 1) (g / (2 top) + 1/2) + U), U a random fraction. gradient, top (above 0, broadcast),
    draws (integers below 2**RANDOM_BITS): float64. Exact: the remainder of a division is exact in IEEE arithmetic,
    numerators have at most 24 + 16 + 6 bits and quotients at most 23, so no float decides.
    """
    count = levels(bits)
    numerator = gradient * (count << RANDOM_BITS)
    remainder = torch.fmod(numerator, 2 * top)
    toward_zero = (numerator - remainder) / (2 * top)
    centred = toward_zero - (remainder < 0).to(torch.float64) + (count << (RANDOM_BITS - 1))
    return torch.floor((centred + draws) * math.ldexp(1.0, -RANDOM_BITS)).clamp_(0, count)


class _DoReFaGradient(torch.autograd.Function):
    """The identity; backward every sample's gradient becomes one of 2**6 levels between -max and max of the sample."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, key: Key) -> Tensor:
        ctx.key = key
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        g = gradients[0].to(torch.float64)
        top = g.abs().amax(dim=tuple(range(1, g.ndim)), keepdim=True)
        draws = draws_for(g, ctx.key, RANDOM_BITS)
        codes = dorefa_codes(g, torch.where(top > 0, top, 1.0), draws)
        coded = top * (2 * codes - levels(GRADIENT_BITS)) / levels(GRADIENT_BITS)
        return coded.to(gradients[0].dtype), None


class _WageError(torch.autograd.Function):
    """y / 2**shift; backward the error over 2**round(log2 max |e|): its scale is dropped, that of the shift too."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, shift: int) -> Tensor:  # noqa: ARG004
        return y * math.ldexp(1.0, -shift)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        e = gradients[0]
        top = float(e.abs().max()) if e.numel() else 0.0
        return (e * math.ldexp(1.0, -nearest_power(top)) if top > 0.0 else e), None


def nearest_power(x: float) -> int:
    """round(log2 x) for a float32 x > 0, exact: the square of its mantissa is compared, which float64 holds."""
    mantissa, exponent = math.frexp(x)
    return exponent - (mantissa * mantissa < 0.5)


def wage_limit(fan_in: int) -> float:
    """Half the width of the uniform distribution that keeps the variance of activations."""
    return math.sqrt(3.0 / fan_in)


def wage_width(fan_in: int) -> float:
    """L = max(sqrt(3 / fan_in), 0.75): half the width of initial weights; narrower ones would all round to 0."""
    return max(wage_limit(fan_in), WAGE_LEAST_LIMIT)


def wage_shift(fan_in: int) -> int:
    """log2 of alpha = max(2**round(log2(0.75 / limit)), 1): what a layer's output is divided by."""
    return max(round(math.log2(WAGE_LEAST_LIMIT / wage_limit(fan_in))), 0)
