"""CIFAR-10 and CIFAR-100 from their binary batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from fxsim.data.classes import CIFAR10, CIFAR100
from fxsim.data.dataset import SIZE, Dataset, channel_statistics
from fxsim.data.files import locate, read_bytes

_PIXELS: Final = 3 * SIZE * SIZE


def load_cifar10(data_dir: str | Path | None) -> Dataset:
    """Colour images of ten classes: 1 label byte and 3,072 pixel bytes (red, green, blue planes) an image.

    Training batches are cropped and flipped at random.

    Raises:
        ValueError: no data_dir, or a file whose length is no whole number of images.
        FileNotFoundError: files are missing; the text names them.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    files = [f"data_batch_{part}.bin" for part in range(1, 6)] + ["test_batch.bin"]
    paths = locate("cifar10", data_dir, "cifar-10-batches-bin", files)
    return _dataset("cifar10", paths[:-1], paths[-1:], CIFAR10, label_bytes=1)


def load_cifar100(data_dir: str | Path | None) -> Dataset:
    """As CIFAR-10 with a hundred classes: coarse label (left out here), fine label, pixels.

    Raises:
        ValueError, FileNotFoundError: as `load_cifar10`.
    """
    paths = locate("cifar100", data_dir, "cifar-100-binary", ["train.bin", "test.bin"])
    return _dataset("cifar100", paths[:1], paths[1:], CIFAR100, label_bytes=2)


def _dataset(
    name: str, train: Sequence[Path], test: Sequence[Path], classes: tuple[str, ...], *, label_bytes: int
) -> Dataset:
    train_x, train_y = _read(train, label_bytes)
    test_x, test_y = _read(test, label_bytes)
    mean, std = channel_statistics(train_x, 255)
    return Dataset(
        name=name,
        train_x=train_x,
        train_y=train_y,
        test_x=test_x,
        test_y=test_y,
        classes=classes,
        mean=mean,
        std=std,
        augment=True,
    )


def _read(paths: Sequence[Path], label_bytes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images uint8 (N, 3, 32, 32) and labels int64 (N,) of all files in turn; the last label byte counts."""
    row = label_bytes + _PIXELS
    parts: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []
    for path in paths:
        content = np.frombuffer(read_bytes(path), dtype=np.uint8)
        if content.size == 0 or content.size % row:
            raise ValueError(
                f"data: {path} has {content.size} bytes, no whole number of images of {row} bytes; get the file again"
            )
        parts.append(content.reshape(-1, row))
    rows = torch.from_numpy(np.concatenate(parts))
    return rows[:, label_bytes:].reshape(-1, 3, SIZE, SIZE), rows[:, label_bytes - 1].to(torch.int64)
