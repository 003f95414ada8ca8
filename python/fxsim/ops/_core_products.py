"""Products as the core takes them from layers: settled beforehand, given whole tensors, alone or with their words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fxsim import _core
from fxsim.ops import _bridge

Product = _core.Product
MASK_BLOCK: Final = _core.MASK_BLOCK


class Place(Protocol):
    """Where a call stands: its random stream, the index of its first element, the name errors begin with."""

    @property
    def seed(self) -> int: ...
    @property
    def stream(self) -> int: ...
    @property
    def index_offset(self) -> int: ...
    @property
    def name(self) -> str: ...


class Mask(NamedTuple):
    """A bool tensor, and of each MASK_BLOCK elements in memory, if known, whether any may be true."""

    where: Tensor
    blocks: npt.NDArray[np.uint8] | None


class Link(NamedTuple):
    """A product of words to come: its other operand, its result, its bias, its place, where the result becomes 0."""

    product: Product
    b: _bridge.Operand
    out: Tensor
    bias: Tensor | None
    place: Place
    clear: Mask | None


def multiply(
    product: Product,
    a: _bridge.Operand,
    b: _bridge.Operand,
    out: Tensor,
    bias: Tensor | None,
    place: Place,
    clear: Mask | None,
    *,
    count: bool,
) -> _bridge.Events:
    """Fill `out`, which fills memory row by row, with products of a and b.

    `bias` is int64, one for each column. `clear` stands as `out`, floats of a single product, which become 0 there.

    Raises:
        OverflowError: as `gemm`.
    """
    _bridge.share_threads()
    return _core.multiply(
        product,
        a,
        b,
        out.numpy(),
        None if bias is None else bias.numpy(),
        place.seed & _bridge.WORD,
        place.stream & _bridge.WORD,
        place.index_offset,
        count,
        _given(clear),
        place.name,
    )


def quantize_gemms(
    x: Tensor,
    words: Tensor,
    clipped: Mask | None,
    quantizer: _bridge.CoreQuantizer,
    place: Place,
    products: Sequence[Link],
    *,
    channels_last: bool,
    count: bool,
    counts: _bridge.WordCounts | None,
) -> list[_bridge.Events]:
    """Fill `words` and `clipped` as `quantize` does, and the outputs of products that take these words, as `multiply`.

    Blocks of `clipped` are given as zeros. Events are those of the quantization, then one of each product.

    Raises:
        ValueError, OverflowError: as `quantize` and `gemm`.
    """
    _bridge.share_threads()
    return _core.quantize_gemms(
        x.numpy(),
        words.numpy(),
        _given(clipped),
        quantizer,
        place.seed & _bridge.WORD,
        place.stream & _bridge.WORD,
        place.index_offset,
        channels_last,
        count,
        counts,
        place.name,
        [
            (
                own,
                b,
                out.numpy(),
                None if bias is None else bias.numpy(),
                at.stream & _bridge.WORD,
                at.index_offset,
                _given(clear),
                at.name,
            )
            for own, b, out, bias, at, clear in products
        ],
    )


def _given(mask: Mask | None) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8] | None] | None:
    return None if mask is None else (mask.where.numpy(), mask.blocks)
