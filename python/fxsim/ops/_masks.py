"""Masks of what a layer's input was clipped at, a bit an element: an eighth of the memory that bools take.

Bit i % 8 of byte i / 8, the least significant first, tells of element i in the order of indices; there are whole words
of 64 bits, 0 beyond the last element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from fxsim.ops import _core_products, _words

_WORD: Final = 64


def mask_bytes(elements: int) -> int:
    """Bytes of a mask of so many elements."""
    return -(-elements // _WORD) * (_WORD // 8)


def new_mask(elements: int) -> Tensor:
    """A mask of elements none of which was clipped (uint8)."""
    return torch.zeros(mask_bytes(elements), dtype=torch.uint8)


def empty_mask(x: Tensor, *, wanted: bool) -> Tensor:
    """An unwritten mask of x; of nothing if it is not wanted."""
    return x.new_empty((mask_bytes(x.numel()) if wanted else 0,), dtype=torch.uint8)


def packed(clipped: Tensor, *, channels_last: bool) -> Tensor:
    """Bools as a mask."""
    mask = new_mask(clipped.numel())
    bools = _words.in_order(clipped, channels_last) if clipped.numel() else clipped
    bits = np.packbits(bools.numpy().reshape(-1), bitorder="little")
    mask.numpy()[: len(bits)] = bits
    return mask


def unpacked(mask: Tensor, shape: Sequence[int], *, channels_last: bool) -> Tensor:
    """A mask as bools of this shape."""
    order = _words.in_order(torch.empty(tuple(shape), device="meta"), channels_last).shape
    bools = np.unpackbits(mask.numpy(), count=order.numel(), bitorder="little").view(np.bool_)
    return _words.restored(torch.from_numpy(bools).view(order), channels_last)


def clear(values: Tensor, mask: Tensor, *, channels_last: bool) -> Tensor:
    """values, float32 or float64, which become 0 where the mask says."""
    if _words.in_order(values, channels_last).is_contiguous():
        _core_products.clear_where(values, mask)
    else:
        values.masked_fill_(unpacked(mask, values.shape, channels_last=channels_last), 0.0)
    return values
