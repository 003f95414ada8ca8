"""Small files in the sets' own layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


def write_idx(path: Path, array: np.ndarray) -> None:
    """The array as an IDX file of bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(int(size).to_bytes(4, "big") for size in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes())


@pytest.fixture
def pixels() -> np.ndarray:
    """12 images of 28x28 bytes with no symmetry."""
    return np.random.default_rng(1).integers(0, 256, size=(12, 28, 28), dtype=np.uint8)


@pytest.fixture
def mnist_dir(tmp_path: Path, pixels: np.ndarray) -> Path:
    """A root with MNIST/raw: images 0-7 for training, 8-11 for the test, labels = number mod 10."""
    raw = tmp_path / "MNIST" / "raw"
    labels = np.arange(12) % 10
    write_idx(raw / "train-images-idx3-ubyte", pixels[:8])
    write_idx(raw / "train-labels-idx1-ubyte", labels[:8])
    write_idx(raw / "t10k-images-idx3-ubyte", pixels[8:])
    write_idx(raw / "t10k-labels-idx1-ubyte", labels[8:])
    return tmp_path


@pytest.fixture
def colours() -> np.ndarray:
    """18 images of 3x32x32 bytes."""
    return np.random.default_rng(2).integers(0, 256, size=(18, 3, 32, 32), dtype=np.uint8)


@pytest.fixture
def cifar10_dir(tmp_path: Path, colours: np.ndarray) -> Path:
    """A root with cifar-10-batches-bin: three images a file, labels = number mod 10."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    rows = np.concatenate([(np.arange(18) % 10).astype(np.uint8)[:, None], colours.reshape(18, -1)], axis=1)
    for part in range(6):
        name = f"data_batch_{part + 1}.bin" if part < 5 else "test_batch.bin"
        (folder / name).write_bytes(rows[3 * part : 3 * part + 3].tobytes())
    return tmp_path


@pytest.fixture
def cifar100_dir(tmp_path: Path, colours: np.ndarray) -> Path:
    """A root with cifar-100-binary: 12 training and 6 test images, coarse label = number, fine label = 5 * number."""
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    numbers = np.arange(18).astype(np.uint8)
    rows = np.concatenate([numbers[:, None], 5 * numbers[:, None], colours.reshape(18, -1)], axis=1)
    (folder / "train.bin").write_bytes(rows[:12].tobytes())
    (folder / "test.bin").write_bytes(rows[12:].tobytes())
    return tmp_path
