"""How much do two threads gain over one, and are their bits the same?

An 8-bit product of 1024x1024x1024, an 8-bit convolution, its weight gradient, and the stochastic rounding of a tensor.
By wall time, each against itself on one thread.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import torch

from fxsim import ops
from fxsim.bench.gemm import operands
from fxsim.bench.layers import RESNET20, words
from fxsim.bench.measure import Note, Outcome, Settings, interleaved, require_equal, row
from fxsim.formats import Format
from fxsim.rng import Key
from fxsim.rounding import Stochastic
from fxsim.tensor import FixedTensor

FORMAT: Final = Format(8, 4)

Call = Callable[[], FixedTensor]


def run(settings: Settings) -> Outcome:
    """Check and time, where there are two processors."""
    before = torch.get_num_threads()
    if len(os.sched_getaffinity(0)) < 2:
        yield Note("this process may use one processor only, so that two threads cannot gain")
        return
    calls = _calls(settings)
    try:
        for name, call in calls.items():
            one, two = (_on(threads, call) for threads in (1, 2))
            require_equal(f"threads, {name}", two.raw, one.raw)
        timed = {(name, threads): partial(_on, threads, call) for name, call in calls.items() for threads in (1, 2)}
        tracks = interleaved(timed, settings, clock=time.perf_counter)
    finally:
        torch.set_num_threads(before)
    for name in calls:
        yield row(f"{name}, two threads", "one thread", tracks[name, 2], tracks[name, 1])


def _on(threads: int, call: Call) -> FixedTensor:
    torch.set_num_threads(threads)
    return call()


def _calls(settings: Settings) -> dict[str, Call]:
    a, b = operands(8, 8 if settings.toy else 1024)
    layer = RESNET20[1].toy() if settings.toy else RESNET20[1]
    x, w, g = (words(shape, FORMAT, 1) for shape in (layer.x_shape, layer.w_shape, layer.y_shape))
    floats = torch.randn(1000 if settings.toy else 4 << 20, generator=torch.Generator().manual_seed(1))
    return {
        "s8 GEMM, 1024³": partial(ops.matmul, a, b),
        f"convolution, {RESNET20[1].name}": partial(ops.conv2d, x, w, padding=layer.padding),
        f"weight gradient, {RESNET20[1].name}": partial(ops.conv2d_wgrad, g, x, layer.kernel, padding=layer.padding),
        "quantize 16 MB, stochastic": partial(ops.quantize, floats, FORMAT, Stochastic(16), key=Key(1)),
    }
