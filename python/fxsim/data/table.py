"""The single table of data sets by the name that command lines and run folders use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from fxsim.data.cifar import load_cifar10, load_cifar100
from fxsim.data.dataset import Dataset
from fxsim.data.digits import load_digits
from fxsim.data.mnist import load_fashion_mnist, load_mnist

DATASETS: Final[Mapping[str, Callable[[str | Path | None], Dataset]]] = MappingProxyType(
    {
        "digits": lambda _data_dir: load_digits(),
        "mnist": load_mnist,
        "fashion-mnist": load_fashion_mnist,
        "cifar10": load_cifar10,
        "cifar100": load_cifar100,
    }
)
"""Name to loader; digits need no folder."""


def load(name: str, data_dir: str | Path | None = None) -> Dataset:
    """A data set by name, whole, in memory.

    Args:
        name: a key of `DATASETS`.
        data_dir: the folder that torchvision would be given as root, or the set's own folder; not needed for digits.

    Raises:
        ValueError: no set has this name; a set that is read from files was given no folder; a file is damaged.
        FileNotFoundError: files are missing; the text names them.
        ImportError: digits without scikit-learn.
    """
    if name not in DATASETS:
        raise ValueError(f"data.load: {name!r} is not a data set; accepted: {', '.join(DATASETS)}")
    return DATASETS[name](data_dir)
