"""Floats brought into a format where they stand: for tensors that are nobody's operand and have no gradient."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fxsim.ops import _bridge, _words, quantize_ops, records
from fxsim.ops._library import signed64
from fxsim.ops._plan import check_float, word_plan_of
from fxsim.ops._publish import Site
from fxsim.ops._straight import straight, unseen
from fxsim.ops.records import Pass
from fxsim.rng import Key


def quantize_in_place(x: Tensor, quantizer: str, key: Key, *, index_order: str = "c", layer: str = "") -> None:
    """Every element becomes what `fx.quantize` makes of it, as a float: the nearest, if x's dtype is too narrow.

    To a mode that watches, and is no onlooker, it is the op `quantize` and a copy.

    Args:
        x: float32 or float64, any shape and strides; a graph that leads to it does not learn of the change.
        quantizer: the Quantizer's text.
        index_order: "c", or "channels_last", as in `fx.quantize`.
        layer: named in errors and records.

    Raises:
        TypeError: x is not float32 or float64.
        ValueError: an element is NaN.
        OverflowError: an element overflows under "error"; an infinity under "error" or "wrap". x is then as it was.
    """
    if straight(x):
        _in_place(x, quantizer, key, index_order, layer)
        return
    carriers, _ = quantize_ops.QUANTIZE.overload(
        x.detach(), quantizer, signed64(key.seed), signed64(key.stream), 0, index_order, "pass", "round", layer
    )
    x.detach().copy_(carriers)


@unseen
def _in_place(x: Tensor, quantizer: str, key: Key, index_order: str, layer: str) -> None:
    plan = word_plan_of(quantizer)
    site = Site(layer, Pass.QUANTIZE, "quantize", key.seed, key.stream, 0, x.shape[0] if x.dim() else 1)
    check_float(site.name, "x", x.dtype)
    channels_last = _words.check_index_order(site.name, index_order, x.dim())
    values = _words.ordered(x.detach(), channels_last)
    carriers = np.empty(values.shape, values.dtype)
    count = records.listening()
    events = _bridge.quantize(
        values,
        carriers,
        None,
        plan.core,
        seed=site.seed,
        stream=site.stream,
        index_offset=0,
        channels_last=channels_last,
        count=count,
        name=site.name,
    )
    np.copyto(values, carriers)
    torch.autograd.graph.increment_version(x)  # NumPy wrote to it, and torch is to know
    if count:
        _words.tell(x, x, plan, site, events, None)
