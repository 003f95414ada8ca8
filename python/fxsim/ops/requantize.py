"""`fx.requantize`: words of one format into another."""

from __future__ import annotations

from fxsim.formats import Format
from fxsim.ops import _arguments, _words
from fxsim.ops._plan import word_plan
from fxsim.ops.quantize import quantizer_of
from fxsim.ops.records import Pass
from fxsim.rng import Key
from fxsim.rounding import Quantizer, Rounding
from fxsim.tensor import FixedTensor


def requantize(
    t: FixedTensor,
    format: Format | Quantizer | str,
    rounding: Rounding | None = None,
    overflow: str | None = None,
    *,
    key: Key | None = None,
    index_offset: int = 0,
    index_order: str = "c",
) -> FixedTensor:
    """Move the binary point: the exact value of every element, rounded and overflowed into another format.

    Args:
        t: any FixedTensor.
        format, rounding, overflow, key, index_offset, index_order: as in `quantize`.

    Returns:
        FixedTensor of t's shape, contiguous in index order.

    Raises:
        TypeError: t is no FixedTensor.
        ValueError: stochastic rounding without a key; an unknown name; modes given twice.
        OverflowError: an element overflows under "error".
    """
    source = _arguments.fixed("requantize", "t", t)
    quantizer = quantizer_of("requantize", format, rounding, overflow, key)
    channels_last = _words.check_index_order("requantize", index_order, source.ndim)
    site = _arguments.site("requantize", Pass.QUANTIZE, key, index_offset, len(source) if source.ndim else 1)
    raw = _words.requantize(source.raw, source.format, word_plan(quantizer), site, channels_last=channels_last)
    return FixedTensor._trusted(raw, quantizer.format)
