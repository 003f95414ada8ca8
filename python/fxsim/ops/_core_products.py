"""Products as the core takes them from layers: settled beforehand, given whole tensors, alone or with their words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from fxsim import _core
from fxsim.ops import _bridge

Product = _core.Product


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


class Link(NamedTuple):
    """A product of words to come: its other operand, its result, its bias, its place, a mask where it becomes 0.

    counts: what is known of b's zeros.
    """

    product: Product
    b: _bridge.Operand
    counts: _bridge.WordCounts | None
    out: Tensor
    bias: Tensor | None
    place: Place
    clear: Tensor | None


def multiply(
    product: Product,
    a: _bridge.Operand,
    b: _bridge.Operand,
    out: Tensor,
    bias: Tensor | None,
    place: Place,
    clear: Tensor | None,
    *,
    count: bool,
) -> _bridge.Events:
    """Fill `out`, which fills memory row by row, with products of a and b.

    `bias` is int64, one for each column. `clear` is a mask of `out`, floats of a single product, which become 0 there.

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
        None if clear is None else clear.numpy(),
        place.name,
    )


def quantize_gemms(
    x: Tensor,
    words: Tensor,
    clipped: Tensor | None,
    quantizer: _bridge.CoreQuantizer,
    place: Place,
    products: Sequence[Link],
    *,
    channels_last: bool,
    count: bool,
    counts: _bridge.WordCounts | None,
) -> tuple[_bridge.Events, list[tuple[_bridge.Events, _bridge.MacCounts]]]:
    """Fill `words` as `quantize` does, and the outputs of products that take these words, as `multiply`.

    `words` of another shape than x only tell their dtype: they are not kept. `count` needs them.
    `clipped` is a mask of zeros, filled as well. What happened in the quantization comes back, and in each product;
    macs are counted only with `count`.

    Raises:
        ValueError, OverflowError: as `quantize` and `gemm`.
    """
    _bridge.share_threads()
    array = words.numpy()
    return _core.quantize_gemms(
        x.numpy(),
        array if array.shape == x.shape else array.dtype,
        None if clipped is None else clipped.numpy(),
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
                counted,
                out.numpy(),
                None if bias is None else bias.numpy(),
                at.stream & _bridge.WORD,
                at.index_offset,
                None if clear is None else clear.numpy(),
                at.name,
            )
            for own, b, counted, out, bias, at, clear in products
        ],
    )


def clear_where(values: Tensor, mask: Tensor) -> None:
    """Floats that fill memory become 0 where the mask says."""
    _bridge.share_threads()
    _core.clear_where(values.numpy(), mask.numpy())
