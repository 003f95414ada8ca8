"""`fx.range_quantize`: floats into words on a grid that follows them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from fxsim.ops import _arguments, _words
from fxsim.ops._codes import codes, extremes
from fxsim.ops._plan import check_float
from fxsim.ops.records import Pass
from fxsim.ranges import Affine, Block
from fxsim.rng import Key
from fxsim.tensor import FixedTensor


class RangeWords(NamedTuple):
    """Words, and the float64 scale and zero, (1,) or (C,), that make them values: word * scale + zero.

    For a block the words' format has the scale as its step, and zero is 0.
    """

    words: FixedTensor
    scale: Tensor
    zero: Tensor

    def values(self) -> Tensor:
        """What the words stand for, float64."""
        shape = (-1, *[1] * (self.words.raw.dim() - 1))
        return self.words.raw.double() * self.scale.view(shape) + self.zero.view(shape)


def range_quantize(
    x: Tensor,
    quantizer: Affine | Block,
    *,
    key: Key | None = None,
    index_offset: int = 0,
    index_order: str = "c",
    layer: str = "",
) -> RangeWords:
    """Read the range off a tensor and bring every element onto the grid laid over it.

    Affine codes are decided by the exact quotient (x - low) * (2**bits - 1) / (high - low), not by a rounded scale.

    Args:
        x: float32 or float64, any shape and strides, not empty. Dimension 0 are samples, or output channels.
        quantizer: how.
        key: random bits, for stochastic rounding.
        index_offset, index_order: as in `fx.quantize`.
        layer: named in errors and records.

    Raises:
        TypeError: x is not float32 or float64.
        ValueError: x is empty or not finite; stochastic rounding without a key.
    """
    check_float("range_quantize", "x", x.dtype)
    if quantizer.random_bits and key is None:
        raise ValueError("range_quantize: rounding is stochastic and key is None; give key=fx.Key(seed, stream)")
    channels_last = _words.check_index_order("range_quantize", index_order, x.dim())
    samples = len(x) if x.dim() else 1
    site = _arguments.site("range_quantize", Pass.QUANTIZE, key, index_offset, samples)._replace(layer=layer)
    made = codes(x, quantizer, extremes(x, quantizer, samples, site.name), site, channels_last=channels_last)
    return RangeWords(FixedTensor._trusted(made.raw, made.format), made.scale, made.zero)
