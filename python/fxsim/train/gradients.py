"""A policy's gradient rule, carried out on torch tensors: stochastic rounding and unit length."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.ops import hidden
from fxsim.ops.quantize_in_place import quantize_in_place
from fxsim.ops.range_quantize import range_quantize
from fxsim.policies.base import BlockGradientRule, GradientRule
from fxsim.policies.norm import euclidean_norm
from fxsim.rng import Key
from fxsim.rounding import Quantizer, Stochastic


@hidden
def array_of(x: Tensor) -> npt.NDArray[Any]:
    """The elements of a tensor where they lie; no watcher of torch sees them looked at."""
    return x.detach().numpy()


def norm(gradient: Tensor) -> float:
    """The L2 norm of all elements, summed in float64, the same for every number of threads."""
    return euclidean_norm(array_of(gradient))


def treat(gradient: Tensor, rule: GradientRule | BlockGradientRule, format: Format, key: Key, *, layer: str) -> bool:
    """Carry out a rule in place: the gradient is rounded to `format` and scaled to unit length, in the order of the
    rule; or rounded to the block that fits it.

    gradient: float32 or float64, as autograd left it. layer: named in errors and records.

    Returns:
        whether it vanished: every element was rounded to zero, so it has no direction.

    Raises ValueError, from the rounding, where an element is NaN.
    """
    order = "channels_last" if gradient.dim() > 2 else "c"
    if isinstance(rule, BlockGradientRule):
        gradient.copy_(range_quantize(gradient, rule.block, key=key, index_order=order, layer=layer).values())
        return not bool(gradient.any())
    if rule.order == "normalize_first":
        _to_unit(gradient, norm(gradient))
    quantize_in_place(gradient, _quantizer_text(format, rule.random_bits), key, index_order=order, layer=layer)
    length = norm(gradient)
    _to_unit(gradient, length)
    return length == 0.0


def _to_unit(x: Tensor, length: float) -> None:
    if length > 0.0:
        torch.div(x, length, out=x)


@lru_cache(maxsize=256)
def _quantizer_text(format: Format, random_bits: int) -> str:
    return str(Quantizer(format, Stochastic(random_bits), "saturate"))
