"""Batches of a split, ready for a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import torch

from fxsim.data.dataset import Dataset
from fxsim.data.order import augmentation, crop_and_flip, epoch_order

Split: TypeAlias = Literal["train", "test"]


def batch_count(dataset: Dataset, split: Split, batch_size: int, *, drop_last: bool | None = None) -> int:
    """How many batches `batches` gives from the first on.

    Raises:
        ValueError: as `batches`.
    """
    size = len(_labels(dataset, split))
    if batch_size < 1:
        raise ValueError(f"data.batches: batch_size is {batch_size}; give 1 or more")
    whole, rest = divmod(size, batch_size)
    if _default(drop_last, split == "train"):
        if whole == 0:
            raise ValueError(
                f"data.batches: batch_size is {batch_size}, but {dataset.name} has {size} {split} images and the last "
                "incomplete batch is dropped; give a smaller batch_size, or drop_last=False"
            )
        return whole
    return whole + (rest > 0)


def batches(
    dataset: Dataset,
    split: Split,
    batch_size: int,
    *,
    seed: int = 0,
    epoch: int = 0,
    drop_last: bool | None = None,
    augment: bool | None = None,
    start: int = 0,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Pairs (x, y) of one epoch: x float32 (B, C, 32, 32), normalised; y int64 (B,).

    The training split comes in a random order that is a pure function of `seed` and `epoch`, the test split as it is.
    Crops and flips depend on seed, epoch and the image alone, so a run that resumes at batch `start` sees the same.
    Pixels are padded and cropped raw, then normalised.

    Args:
        dataset: as `load` gives it.
        split: "train" or "test".
        batch_size: images a batch.
        seed: 64 bits.
        epoch: from 0.
        drop_last: leaves out the last incomplete batch; by default for training only.
        augment: crops at random from 4 pixels of padding, and flips; by default for training where the set says so.
        start: the number of batches to leave out at the beginning.

    Raises:
        ValueError: no such split; batch_size below 1; or no batch at all, as batch_size exceeds the split.
    """
    count = batch_count(dataset, split, batch_size, drop_last=drop_last)
    augmented = _default(augment, split == "train" and dataset.augment)
    return _generate(dataset, split, batch_size, count, seed, epoch, augmented, start)


def _generate(
    dataset: Dataset, split: Split, batch_size: int, count: int, seed: int, epoch: int, augment: bool, start: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    labels = _labels(dataset, split)
    images = dataset.train_x if split == "train" else dataset.test_x
    order = epoch_order(len(labels), seed, epoch) if split == "train" else torch.arange(len(labels))
    rows, columns, flips = augmentation(len(labels) if augment else 0, seed, epoch)
    for batch in range(start, count):
        chosen = order[batch * batch_size : (batch + 1) * batch_size]
        x = images[chosen]
        if augment:
            x = crop_and_flip(x, rows[chosen], columns[chosen], flips[chosen])
        yield dataset.normalise(x), labels[chosen]


def _labels(dataset: Dataset, split: Split) -> torch.Tensor:
    match split:
        case "train":
            return dataset.train_y
        case "test":
            return dataset.test_y
        case _:
            raise ValueError(f"data.batches: {split!r} is not a split; accepted: train, test")


def _default(given: bool | None, otherwise: bool) -> bool:
    return otherwise if given is None else given
