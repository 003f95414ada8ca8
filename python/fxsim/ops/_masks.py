"""What is known of where a quantization clipped: mostly nowhere, so that few blocks of the mask need be read again."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fxsim.ops._attached import Attached
from fxsim.ops._core_products import MASK_BLOCK, Mask

_BLOCKS: Final[Attached[npt.NDArray[np.uint8]]] = Attached()


def new_mask(clipped: Tensor) -> Mask:
    """A mask yet to be filled with its blocks."""
    return Mask(clipped, np.zeros(-(-clipped.numel() // MASK_BLOCK), np.uint8))


def keep_blocks(mask: Mask) -> None:
    """Let whoever has the mask find its blocks, for as long as it lives and torch sees no change."""
    if mask.blocks is not None and not mask.where.is_inference():
        _BLOCKS.attach(mask.where, mask.blocks)


def mask_of(clipped: Tensor) -> Mask:
    """A mask with what is known of its blocks."""
    return Mask(clipped, _BLOCKS.of(clipped))
