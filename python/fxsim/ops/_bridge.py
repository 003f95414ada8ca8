"""The way into the compiled core: torch tensors in, their memory handed over as NumPy views, nothing copied.

With `_operands` and `_core_products`, the only importer of `fxsim._core`. Everything the core needs as an object is
made once per distinct value.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fxsim import _core
from fxsim.accumulator import Resolved
from fxsim.ops._operands import Repeat
from fxsim.rounding import Quantizer, Stochastic

Events = _core.Events
MacCounts = _core.MacCounts
Operand = _core.Operand
WordCounts = _core.WordCounts
CoreQuantizer = _core.Quantizer
CoreAccumulator = _core.Accumulator

WORD: Final = (1 << 64) - 1


@lru_cache(maxsize=1)
def share_threads() -> None:
    """Let the core run on torch's own thread pool, so that `torch.set_num_threads` holds for both."""
    suffix = {"darwin": "dylib", "win32": "dll"}.get(sys.platform, "so")
    library = Path(torch.__file__).parent / "lib" / f"libtorch_cpu.{suffix}"
    if not _core.use_torch_pool(str(library)):
        _core.set_num_threads(torch.get_num_threads())


@lru_cache(maxsize=4096)
def quantizer(quantizer: Quantizer) -> CoreQuantizer:
    """A quantizer as the core takes it."""
    form = quantizer.format
    return _core.Quantizer(
        form.wl,
        form.fl,
        form.signed,
        quantizer.rounding_name,
        quantizer.overflow,
        quantizer.random_bits or Stochastic().random_bits,
        quantizer.tail,
    )


def _optional(given: Quantizer | None) -> CoreQuantizer | None:
    return None if given is None else quantizer(given)


@lru_cache(maxsize=4096)
def accumulator(resolved: Resolved) -> CoreAccumulator:
    """An accumulator as the core takes it."""
    return _core.Accumulator(
        product=_optional(resolved.product),
        inner=_optional(resolved.inner),
        at_end=resolved.at == "end",
        lanes=resolved.lanes,
        chunk=resolved.chunk or 0,
        outer=_optional(resolved.outer),
        outer_at_end=resolved.outer_at == "end",
        outer_lanes=resolved.outer_lanes,
        preload=resolved.preload,
    )


def gemm(
    a: Operand,
    b: Operand,
    out: npt.NDArray[np.generic],
    accumulator: CoreAccumulator,
    bias: Tensor | None,
    *,
    bias_fl: int,
    output: CoreQuantizer,
    output_rounds: bool,
    seed: int,
    stream: int,
    index_base: int,
    index_row_stride: int,
    count: bool,
    name: str,
) -> Events:
    """Fill `out` (rows of a, rows of b) with the product of two operands.

    `bias` is int64 of shape (rows of b,). `out` may have any strides and holds raws or, if float, carriers.

    Raises:
        OverflowError: an overflow under mode "error"; an exact result beyond 64 bits. `out` is then meaningless.
    """
    share_threads()
    return _core.gemm(
        a,
        b,
        out,
        accumulator,
        bias=None if bias is None else bias.numpy(),
        bias_fl=bias_fl,
        output=output,
        output_rounds=output_rounds,
        seed=seed & WORD,
        stream=stream & WORD,
        index_base=index_base,
        index_row_stride=index_row_stride,
        count=count,
        name=name,
    )


def quantize(
    x: npt.NDArray[np.floating],
    out: npt.NDArray[np.generic],
    clipped: npt.NDArray[np.bool_] | None,
    quantizer: CoreQuantizer,
    *,
    seed: int,
    stream: int,
    index_offset: int,
    channels_last: bool,
    count: bool,
    words: WordCounts | None = None,
    name: str,
) -> Events:
    """Fill C-contiguous `out` with the float array `x`, quantized; `clipped` with where the range was left.

    Events are counted only with `count`; `words`, if given, counts the integers of `out`.

    Raises:
        ValueError: an element is NaN.
        OverflowError: an overflow under mode "error"; an infinity under "error" or "wrap".
    """
    share_threads()
    return _core.quantize(
        x,
        out,
        clipped,
        quantizer,
        seed=seed & WORD,
        stream=stream & WORD,
        index_offset=index_offset,
        channels_last=channels_last,
        count=count,
        words=words,
        name=name,
    )


def clear(values: npt.NDArray[np.floating], mask: npt.NDArray[np.bool_]) -> None:
    """values, float32 or float64, become 0 where `mask`; both contiguous."""
    share_threads()
    _core.clear(values, mask)


def requantize(
    raw: Tensor,
    fl: int,
    out: Tensor,
    quantizer: CoreQuantizer,
    *,
    seed: int,
    stream: int,
    index_offset: int,
    channels_last: bool,
    count: bool,
    name: str,
) -> Events:
    """Fill C-contiguous `out` with the integers `raw` (at fractional length `fl`) in another format.

    Events are counted only with `count`.

    Raises:
        OverflowError: an overflow under mode "error".
    """
    share_threads()
    return _core.requantize(
        raw.numpy(),
        fl,
        out.numpy(),
        None,
        quantizer,
        seed=seed & WORD,
        stream=stream & WORD,
        index_offset=index_offset,
        channels_last=channels_last,
        count=count,
        name=name,
    )


def _array(tensor: Tensor | None) -> npt.NDArray[np.float32] | None:
    return None if tensor is None else tensor.numpy(force=True)


def batch_norm_relu(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    residual: Tensor | None,
    statistics: Tensor,
    *,
    running_mean: Tensor | None,
    running_variance: Tensor | None,
    measure: bool,
    momentum: float,
    eps: float,
    relu: bool,
    out: Tensor,
) -> None:
    """Fill `out` with x normalised, the residual added, and under `relu` cut off at 0.

    All float32; images (N, C, H, W) in channels-last memory. With `measure`, `statistics` (2, C) become mean and
    variance of x, and the running ones, if given, move towards them; else they are what to normalise with.
    """
    share_threads()
    _core.batch_norm_relu(
        x.numpy(force=True),
        _array(weight),
        _array(bias),
        _array(residual),
        statistics.numpy(),
        running_mean=_array(running_mean),
        running_variance=_array(running_variance),
        measure=measure,
        momentum=momentum,
        eps=eps,
        relu=relu,
        out=out.numpy(),
    )


def batch_norm_relu_backward(
    grad: Tensor,
    x: Tensor,
    y: Tensor | None,
    statistics: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    *,
    eps: float,
    relu: bool,
    measured: bool,
    grad_x: Tensor,
    grad_residual: Tensor | None,
    grad_weight: Tensor,
    grad_bias: Tensor,
) -> None:
    """Fill the gradients. y and grad_residual are given together, where a residual was added before a ReLU."""
    share_threads()
    _core.batch_norm_relu_backward(
        grad.numpy(force=True),
        x.numpy(force=True),
        _array(y),
        statistics.numpy(force=True),
        _array(weight),
        _array(bias),
        eps=eps,
        relu=relu,
        measured=measured,
        grad_x=grad_x.numpy(),
        grad_residual=_array(grad_residual),
        grad_weight=grad_weight.numpy(),
        grad_bias=grad_bias.numpy(),
    )


def count_macs(
    a: Operand, b: Operand, repeat: Repeat, of_a: WordCounts | None = None, of_b: WordCounts | None = None
) -> MacCounts:
    """Macs of the products of two operands by what they meet, zeros or not.

    of_a, of_b: counts of all the words that an operand shows; those of other words in its place are not used.
    """
    share_threads()
    return _core.count_macs(a, b, repeat, of_a, of_b)


def isa_available() -> list[str]:
    """Instruction sets this machine can run, slowest first."""
    return list(_core.isa_available())


def isa_active() -> str:
    """The instruction set in use."""
    return _core.isa_active()


def isa_used() -> list[str]:
    """The instruction sets that have run a kernel in this process, slowest first."""
    return list(_core.isa_used())


def isa_force(name: str | None) -> None:
    """Use one instruction set; None gives the choice back."""
    _core.isa_force(name)
