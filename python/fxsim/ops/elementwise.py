"""`fx.add`, `fx.clip` and `fx.relu`, on words."""

from __future__ import annotations

import torch

from fxsim.formats import Format
from fxsim.ops import _arguments, _elementwise, _words, records
from fxsim.ops._emit import emit
from fxsim.ops._plan import word_plan
from fxsim.ops._publish import EventSums, publish_elementwise
from fxsim.ops.quantize import quantizer_of
from fxsim.ops.records import Pass
from fxsim.rng import Key
from fxsim.rounding import Quantizer
from fxsim.tensor import FixedTensor


def add(
    a: FixedTensor,
    b: FixedTensor,
    out: Quantizer | Format | str | None = None,
    *,
    key: Key | None = None,
    index_offset: int = 0,
    index_order: str = "c",
) -> FixedTensor:
    """a + b: both are aligned to the finer of their steps, added exactly, and rounded once.

    Args:
        a, b: of one shape, any formats whose exact sum has up to 64 bits.
        out: how the sum is rounded; None: it is exact, one bit wider than the wider of the aligned operands.
        key, index_offset, index_order: as in `requantize`.

    Returns:
        FixedTensor of a's shape, contiguous in index order.

    Raises:
        TypeError: an operand is no FixedTensor.
        ValueError: shapes differ; the exact sum is too wide; stochastic rounding without a key.
        OverflowError: an element overflows under "error".
    """
    left, right = _arguments.fixed("add", "a", a), _arguments.fixed("add", "b", b)
    if left.shape != right.shape:
        raise ValueError(
            f"add: a has shape {tuple(left.shape)} and b {tuple(right.shape)}: both must be the same; expand one"
        )
    exact = _elementwise.sum_format("add", left.format, right.format)
    plan = word_plan(Quantizer(exact) if out is None else quantizer_of("add", out, None, None, key))
    channels_last = _words.check_index_order("add", index_order, left.ndim)
    total = _words.in_order(_elementwise.sums(left.raw, left.format, right.raw, right.format, exact), channels_last)
    site = _arguments.site("add", Pass.FWD, key, index_offset, len(left) if left.ndim else 1)
    read = 2 * left.numel()
    formats = (left.format, right.format)
    raw = emit(total, exact.fl, plan, site, plan.dtype, *formats, read, channels_last=channels_last)
    return FixedTensor._trusted(raw, plan.format)


def clip(x: FixedTensor, low: float | None = None, high: float | None = None) -> FixedTensor:
    """x brought between two bounds, exactly: bounds off x's grid are moved inwards to it, and None is no bound.

    Returns:
        FixedTensor of x's shape and format.

    Raises:
        TypeError: x is no FixedTensor.
        ValueError: a bound is not finite, or no word lies between them.
    """
    return _bounded("clip", x, low, high)


def relu(x: FixedTensor) -> FixedTensor:
    """The greater of x and 0, in x's format.

    Raises:
        TypeError: x is no FixedTensor.
    """
    return _bounded("relu", x, 0.0, None)


def _bounded(name: str, x: FixedTensor, low: float | None, high: float | None) -> FixedTensor:
    form = _arguments.fixed(name, "x", x).format
    raw = torch.clamp(x.raw, *_elementwise.raw_bounds(name, form, low, high))
    if records.listening():
        site = _arguments.site(name, Pass.FWD, None, 0, len(x) if x.ndim else 1)
        publish_elementwise(site, str(form), str(form), x.numel(), EventSums())
    return FixedTensor._trusted(raw, form)
