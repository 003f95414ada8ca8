"""`fx.matmul`: the product of two matrices of words."""

from __future__ import annotations

import math

import numpy as np
import torch

from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.ops import _arguments, _products
from fxsim.ops.records import Pass
from fxsim.rng import Key
from fxsim.rounding import Quantizer
from fxsim.tensor import FixedTensor

_EXACT = Accumulator()


def matmul(
    a: FixedTensor,
    b: FixedTensor,
    *,
    bias: FixedTensor | None = None,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> FixedTensor:
    """a @ b, summed over k in ascending order in the given accumulator.

    Args:
        a: (..., M, K), up to 32 bits.
        b: (..., K, N), up to 32 bits; leading dimensions broadcast.
        bias: (N,), any format.
        accumulator: how products are summed; exact by default.
        out: how the result is rounded; None: the accumulator's integer and format.
        key: random bits, if anything rounds stochastically.
        index_offset: elements of the result before the first, if this is a slab of a larger product.

    Returns:
        FixedTensor (..., M, N).

    Raises:
        TypeError: an argument is no FixedTensor.
        ValueError: shapes do not fit; an operand is too wide; something is stochastic and there is no key.
        OverflowError: an overflow under "error"; an exact result beyond 64 bits without `out`.
    """
    left, right = _arguments.fixed("matmul", "a", a), _arguments.fixed("matmul", "b", b)
    if left.ndim < 2 or right.ndim < 2 or left.shape[-1] != right.shape[-2]:
        raise ValueError(
            f"matmul: a has shape {tuple(left.shape)} and b {tuple(right.shape)}: accepted are (..., M, K) and "
            f"(..., K, N); reshape them"
        )
    words = _arguments.bias_words("matmul", bias, right.shape[-1])
    plan = _arguments.plan(
        "matmul", accumulator, left.format, right.format, left.shape[-1], key=key, bias=bias, out=out
    )
    site = _arguments.site("matmul", Pass.FWD, key, index_offset)
    leading, x, y = _batched(left, right)
    raw = _products.matmul(x, left.format, y, right.format, words, plan, site, plan.dtype, (left.raw, right.raw))
    return FixedTensor._trusted(raw.view(*leading, left.shape[-2], right.shape[-1]), plan.result)


def _batched(a: FixedTensor, b: FixedTensor) -> tuple[tuple[int, ...], torch.Tensor, torch.Tensor]:
    """The broadcast leading dimensions, and both operands with those made one; a lone b is one tall product."""
    if b.ndim == 2:
        return tuple(a.shape[:-2]), a.raw.reshape(1, math.prod(a.shape[:-1]), a.shape[-1]), b.raw[None]
    try:
        leading = tuple(np.broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2])))
    except ValueError:
        raise ValueError(
            f"matmul: leading dimensions {tuple(a.shape[:-2])} and {tuple(b.shape[:-2])} do not broadcast"
        ) from None
    count = math.prod(leading)
    x = a.raw.expand(*leading, *a.shape[-2:]).reshape(count, *a.shape[-2:])
    y = b.raw.expand(*leading, *b.shape[-2:]).reshape(count, *b.shape[-2:])
    return tuple(leading), x, y
