"""The order of an epoch and its augmentation: pure functions of seed and epoch, the same on every machine, for ever.

The bits are Philox's, drawn for the index of an image in its training set, so that neither the batch size nor a
resumption in mid-epoch can change them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from fxsim.rng import Key, uniform_bits

DATA_ROLE: Final = 64
"""Stands where a stream has a layer's role; beyond every `fxsim.rng.Role`, so data share no bits with any layer."""

_ORDER_HIGH, _ORDER_LOW, _CROP_ROW, _CROP_COLUMN, _FLIP = range(5)
"""What an image's bits are for: the ordinal of the draw."""

PADDING: Final = 4
"""Pixels of black around an image before it is cropped back to its size."""


def epoch_order(count: int, seed: int, epoch: int) -> torch.Tensor:
    """The images of an epoch in a random order: int64 (count,), a permutation of 0 ... count - 1.

    They are sorted by 64 random bits each, ties (one chance in 2**64 a pair) by index.
    """
    high = _draw(count, seed, epoch, _ORDER_HIGH, 32).astype(np.uint64)
    low = _draw(count, seed, epoch, _ORDER_LOW, 32).astype(np.uint64)
    return torch.from_numpy(np.argsort((high << np.uint64(32)) | low, kind="stable"))


def augmentation(count: int, seed: int, epoch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For each image its crop's first row and column, int64 in 0 ... 2 * PADDING, and whether it is flipped, bool.

    A choice among 9 is made from 32 bits by multiplying, so no choice is likelier than another by more than 2**-28.
    """
    rows, columns = (
        ((_draw(count, seed, epoch, what, 32).astype(np.uint64) * np.uint64(2 * PADDING + 1)) >> np.uint64(32)).astype(
            np.int64
        )
        for what in (_CROP_ROW, _CROP_COLUMN)
    )
    flips = _draw(count, seed, epoch, _FLIP, 1).astype(np.bool_)
    return torch.from_numpy(rows), torch.from_numpy(columns), torch.from_numpy(flips)


def crop_and_flip(x: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, flips: torch.Tensor) -> torch.Tensor:
    """Crops (N, C, H, W) of the images with PADDING zeros around, from rows[n], columns[n] on; mirrored if flips[n]."""
    height, width = x.shape[2:]
    padded = torch.nn.functional.pad(x, (PADDING,) * 4)
    crops = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: (N, C, 9, 9, H, W)
    cropped = crops[torch.arange(len(x)), :, rows, columns]
    return torch.where(flips.view(-1, 1, 1, 1), cropped.flip(3), cropped)


def _draw(count: int, seed: int, epoch: int, what: int, bits: int) -> npt.NDArray[np.uint32]:
    return uniform_bits(Key(seed, (DATA_ROLE << 40) + epoch), count, bits, ordinal=what)
