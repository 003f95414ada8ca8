"""A convolution's three products alone: words in, float32 carriers out, as a layer's op runs them.

What the op does besides, rounding and autograd, is not in it. Settled once, as the op keeps it between calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from fxsim.bench.layers import ConvLayer
from fxsim.numerics import Numerics
from fxsim.ops._conv2d_plan import Window, backward_call, forward_call
from fxsim.ops._execution import execute
from fxsim.ops._plan import layer_plan
from fxsim.ops._publish import Site
from fxsim.ops._settled import Strided
from fxsim.ops.records import Pass
from fxsim.tensor import FixedTensor


def forward(layer: ConvLayer, x: FixedTensor, w: FixedTensor) -> Callable[[], Tensor]:
    """The carriers of x convolved with w."""
    plan = layer_plan("", "conv2d", Numerics(w.format, x.format).to_text())
    call = forward_call(plan, tuple(x.shape), torch.float32, Strided.of(w.raw), False, _window(layer))
    return partial(execute, call.product, x.raw, w.raw, None, Site("", Pass.FWD, "conv2d"))


def backward(layer: ConvLayer, x: FixedTensor, w: FixedTensor, g: FixedTensor) -> dict[str, Callable[[], Tensor]]:
    """The carriers of the gradients of x ("dgrad") and of w ("wgrad"), g being that of the output."""
    plan = layer_plan("", "conv2d", Numerics(w.format, x.format, grad_output=g.format).to_text())
    like = Strided.of(x.raw), Strided.of(w.raw)
    call = backward_call(plan, *like, torch.float32, _window(layer), True, True)
    products = {"dgrad": (call.grad_x, w.raw, Pass.DGRAD), "wgrad": (call.grad_weight, x.raw, Pass.WGRAD)}
    return {
        name: partial(execute, settled, g.raw, other, None, Site("", pass_, "conv2d"))
        for name, (settled, other, pass_) in products.items()
        if settled is not None
    }


def _window(layer: ConvLayer) -> Window:
    return Window((layer.stride, layer.stride), (layer.padding, layer.padding), (1, 1), 1)
