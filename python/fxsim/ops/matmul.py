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
    x, y = left.raw, right.raw
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2]:
        raise ValueError(
            f"matmul: a has shape {tuple(x.shape)} and b {tuple(y.shape)}: accepted are (..., M, K) and "
            f"(..., K, N); reshape them"
        )
    depth, columns = y.shape[-2:]
    words = _arguments.bias_words("matmul", bias, columns)
    plan = _arguments.plan("matmul", accumulator, left.format, right.format, depth, key=key, bias=bias, out=out)
    site = _arguments.site("matmul", Pass.FWD, key, index_offset)
    formats = left.format, right.format
    if y.ndim == 2:  # one product, however many dimensions lead
        rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), depth)
        raw = _products.linear(rows, formats[0], y, formats[1], words, plan, site, plan.dtype, transposed=True)
        return FixedTensor._trusted(raw if x.ndim == 2 else raw.view(*x.shape[:-1], columns), plan.result)
    leading, many, others = _batched(x, y)
    raw = _products.matmul(many, formats[0], others, formats[1], words, plan, site, plan.dtype, (x, y))
    return FixedTensor._trusted(raw.view(*leading, x.shape[-2], columns), plan.result)


def _batched(a: torch.Tensor, b: torch.Tensor) -> tuple[tuple[int, ...], torch.Tensor, torch.Tensor]:
    """The broadcast leading dimensions, and both operands with those made one."""
    try:
        leading = tuple(np.broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2])))
    except ValueError:
        raise ValueError(
            f"matmul: leading dimensions {tuple(a.shape[:-2])} and {tuple(b.shape[:-2])} do not broadcast"
        ) from None
    count = math.prod(leading)
    x = a.expand(*leading, *a.shape[-2:]).reshape(count, *a.shape[-2:])
    y = b.expand(*leading, *b.shape[-2:]).reshape(count, *b.shape[-2:])
    return tuple(leading), x, y
