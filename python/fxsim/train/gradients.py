"""A policy's gradient rule, carried out on torch tensors: stochastic rounding and unit length."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import final

from torch import Tensor

from fxsim.formats import Format
from fxsim.ops import quantize_ops, range_quantize, signed64, straight, unseen
from fxsim.policies.base import BlockGradientRule, GradientRule
from fxsim.policies.norm import euclidean_norm
from fxsim.rng import Key
from fxsim.rounding import Quantizer, Stochastic


@final
@dataclass(frozen=True, slots=True, eq=False)
class TreatedGradient:
    """gradient: after the rule. vanished: every element was rounded to zero, so it has no direction."""

    gradient: Tensor
    vanished: bool


@unseen
def norm(x: Tensor) -> float:
    """The L2 norm of all elements, summed in float64, the same for every number of threads."""
    return euclidean_norm(x.detach().numpy())


def treat(
    gradient: Tensor, rule: GradientRule | BlockGradientRule, format: Format, key: Key, *, layer: str
) -> TreatedGradient:
    """What a rule makes of a gradient: rounded to `format` and scaled to unit length, in the order of the rule; or
    rounded to the block that fits it.

    gradient: float32 or float64, as autograd left it; it is not changed. layer: named in errors and records.

    Raises ValueError, from the rounding, where an element is NaN.
    """
    if isinstance(rule, BlockGradientRule):
        order = "channels_last" if gradient.dim() > 2 else "c"
        rounded = (
            range_quantize(gradient, rule.block, key=key, index_order=order, layer=layer).values().to(gradient.dtype)
        )
        return TreatedGradient(rounded, vanished=not bool(rounded.any()))
    if rule.order == "normalize_first":
        gradient = _unit(gradient, norm(gradient))
    rounded = _round(gradient, _quantizer_text(format, rule.random_bits), key, layer)
    length = norm(rounded)
    return TreatedGradient(_unit(rounded, length), length == 0.0)


def _unit(x: Tensor, length: float) -> Tensor:
    return x / length if length > 0.0 else x


@lru_cache(maxsize=256)
def _quantizer_text(format: Format, random_bits: int) -> str:
    return str(Quantizer(format, Stochastic(random_bits), "saturate"))


def _round(x: Tensor, quantizer: str, key: Key, layer: str) -> Tensor:
    order = "channels_last" if x.ndim > 2 else "c"
    rounded, _ = quantize_ops.QUANTIZE.way(straight(x))(
        x, quantizer, signed64(key.seed), signed64(key.stream), 0, order, "pass", "round", layer
    )
    result: Tensor = rounded
    return result
