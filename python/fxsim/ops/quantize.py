"""`fx.quantize`: floats into words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.ops import _arguments, _words
from fxsim.ops._plan import check_float, word_plan
from fxsim.ops.records import Pass
from fxsim.rng import Key
from fxsim.rounding import DEFAULT_OVERFLOW, DEFAULT_ROUNDING, Quantizer, Rounding
from fxsim.tensor import FixedTensor


def quantize(
    x: Tensor | npt.NDArray[np.float32] | npt.NDArray[np.float64],
    format: Format | Quantizer | str,
    rounding: Rounding | None = None,
    overflow: str | None = None,
    *,
    key: Key | None = None,
    index_offset: int = 0,
    index_order: str = "c",
) -> FixedTensor:
    """Round every element to a multiple of the format's step, then bring it into the range.

    -0.0 becomes 0, subnormals are ordinary values, and infinities go to the bounds (to 0 under `saturate_zero`).

    Args:
        x: float32 or float64 tensor or array, any shape and strides.
        format: the Format or its text; or a Quantizer or its text, which brings its own modes.
        rounding, overflow: names; None means "nearest_even", "saturate", or the Quantizer's own.
        key: random bits, for stochastic rounding.
        index_offset: elements before the first, if x is a slab of a larger tensor.
        index_order: "c", or "channels_last" for (N, C, spatial...) whose elements are numbered (n, spatial, c).

    Returns:
        FixedTensor of x's shape, contiguous in index order.

    Raises:
        TypeError: x is not float32 or float64.
        ValueError: an element is NaN; stochastic rounding without a key; an unknown name; modes given twice.
        OverflowError: an element overflows under "error"; an infinity under "error" or "wrap".
    """
    source = torch.from_numpy(x) if isinstance(x, np.ndarray) else x
    if not isinstance(source, Tensor):
        raise TypeError(f"quantize: x is {type(x).__name__}: a tensor or array of float32 or float64 is needed")
    check_float("quantize", "x", source.dtype)
    quantizer = quantizer_of("quantize", format, rounding, overflow, key)
    channels_last = _words.check_index_order("quantize", index_order, source.dim())
    site = _arguments.site("quantize", Pass.QUANTIZE, key, index_offset, source.shape[0] if source.dim() else 1)
    plan = word_plan(quantizer)
    words = _words.quantize(source, plan, plan.dtype, site, channels_last=channels_last, mask=False)
    return FixedTensor._trusted(words.values, quantizer.format)


def quantizer_of(
    name: str, format: Format | Quantizer | str, rounding: Rounding | None, overflow: str | None, key: Key | None
) -> Quantizer:
    """The quantizer that a format and two optional modes mean.

    Raises:
        ValueError: modes are given twice, or the rounding is stochastic and there is no key.
    """
    given = Quantizer.of(format)
    if rounding is None and overflow is None:
        quantizer = given
    elif (given.rounding, given.overflow) != (DEFAULT_ROUNDING, DEFAULT_OVERFLOW):
        raise ValueError(
            f"{name}: {given} has modes of its own; leave out rounding and overflow, or give a bare format"
        )
    else:
        quantizer = Quantizer(given.format, rounding or DEFAULT_ROUNDING, overflow or DEFAULT_OVERFLOW)
    if quantizer.is_stochastic and key is None:
        raise ValueError(f"{name}: rounding is stochastic and key is None; give key=fx.Key(seed, stream)")
    return quantizer
