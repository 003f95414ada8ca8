"""MNIST and Fashion-MNIST from their IDX files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import pad

from fxsim.data.classes import DIGITS, FASHION
from fxsim.data.dataset import SIZE, Dataset, channel_statistics
from fxsim.data.files import locate, read_bytes

_FILES: Final = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_SIDE: Final = 28
_MAGIC: Final = b"\0\0\x08"


def load_mnist(data_dir: str | Path | None) -> Dataset:
    """Handwritten digits, 28x28 pixels, padded by 2 with black to 32x32.

    Raises:
        ValueError: no data_dir, or a file that is not what its name says.
        FileNotFoundError: files are missing; the text names them.

    Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.
    """
    return _load("mnist", data_dir, "MNIST/raw", DIGITS)


def load_fashion_mnist(data_dir: str | Path | None) -> Dataset:
    """Pictures of clothes in MNIST's form.

    Raises:
        ValueError, FileNotFoundError: as `load_mnist`.

    Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST", arXiv:1708.07747, 2017.
    """
    return _load("fashion-mnist", data_dir, "FashionMNIST/raw", FASHION)


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The uint8 array of an IDX file, plain or gzip-compressed.

    Raises:
        ValueError: the magic number is not that of unsigned bytes, or the length contradicts the header.
    """
    content = read_bytes(path)
    dimensions = content[3] if len(content) >= 4 and content.startswith(_MAGIC) else 0
    start = 4 + 4 * dimensions
    if dimensions == 0 or len(content) < start:
        raise ValueError(
            f"data: {path} starts with {content[:4].hex(' ') or 'nothing'}; an IDX file of bytes starts with 00 00 08, "
            "the number of dimensions and each one's size; get the file again"
        )
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    if len(content) - start != math.prod(shape):
        stated = " x ".join(map(str, shape))
        raise ValueError(
            f"data: {path} has {len(content) - start} bytes of data; its header says {stated}; get the file again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _load(name: str, data_dir: str | Path | None, folder: str, classes: tuple[str, ...]) -> Dataset:
    paths = locate(name, data_dir, folder, _FILES, gz=True)
    train_x, train_y = _split(paths[0], paths[1])
    test_x, test_y = _split(paths[2], paths[3])
    mean, std = channel_statistics(train_x, 255)
    margin = (SIZE - _SIDE) // 2
    return Dataset(
        name=name,
        train_x=pad(train_x, (margin,) * 4),
        train_y=train_y,
        test_x=pad(test_x, (margin,) * 4),
        test_y=test_y,
        classes=classes,
        mean=mean,
        std=std,
    )


def _split(images: Path, labels: Path) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = read_idx(images), read_idx(labels)
    if x.ndim != 3 or x.shape[1:] != (_SIDE, _SIDE) or y.shape != x.shape[:1]:
        raise ValueError(
            f"data: {images} holds {x.shape} and {labels.name} {y.shape}; expected are (N, {_SIDE}, {_SIDE}) and (N,)"
        )
    return torch.from_numpy(x.copy()).unsqueeze(1), torch.from_numpy(y.astype(np.int64))
