"""What a loaded data set is: raw bytes, and how they become network inputs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, final

import torch

SIZE: Final = 32
"""Height and width in pixels of every image, after padding or repetition."""


@final
@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Dataset:
    """Images as bytes, so that even CIFAR stays small in memory; `normalise` makes floats of a batch.

    name: as in `DATASETS`.
    train_x, test_x: uint8 (N, C, 32, 32); raw pixels, padded where the set's own images are smaller.
    train_y, test_y: int64 (N,), labels 0 ... num_classes - 1.
    classes: the names of the labels, in order.
    mean, std: of the training set's own pixels, padding left out, per channel, in units of `scale`.
    scale: the raw value that counts as 1.0: 255, or 16 for digits.
    augment: whether training batches are cropped and flipped at random unless told otherwise.
    """

    name: str
    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: int = 255
    augment: bool = False

    def __post_init__(self) -> None:
        for split, x, y in (("train", self.train_x, self.train_y), ("test", self.test_x, self.test_y)):
            if x.dtype != torch.uint8 or x.ndim != 4 or x.shape[1:] != (self.in_channels, SIZE, SIZE):
                raise ValueError(
                    f"Dataset {self.name}: {split} images are {x.dtype} {tuple(x.shape)}; "
                    f"give uint8 (N, {self.in_channels}, {SIZE}, {SIZE})"
                )
            if y.dtype != torch.int64 or y.shape != x.shape[:1]:
                raise ValueError(
                    f"Dataset {self.name}: {split} labels are {y.dtype} {tuple(y.shape)}; give int64 ({len(x)},)"
                )
            if len(y) and not 0 <= int(y.min()) <= int(y.max()) < self.num_classes:
                raise ValueError(
                    f"Dataset {self.name}: {split} labels run from {int(y.min())} to {int(y.max())}; "
                    f"with {self.num_classes} classes they are 0 to {self.num_classes - 1}"
                )

    @property
    def num_classes(self) -> int:
        """How many labels there are."""
        return len(self.classes)

    @property
    def in_channels(self) -> int:
        """1 for grey, 3 for colour images."""
        return len(self.mean)

    def normalise(self, x: torch.Tensor) -> torch.Tensor:
        """float32 (N, C, 32, 32) of raw uint8 images: (x / scale - mean) / std, channel by channel.

        Mean and deviation are brought to units of one raw step in double precision first, so that an element takes
        one subtraction and one division, each rounded once.
        """
        shape = (1, self.in_channels, 1, 1)
        mean = torch.tensor([self.scale * m for m in self.mean], dtype=torch.float64).to(torch.float32).view(shape)
        std = torch.tensor([self.scale * s for s in self.std], dtype=torch.float64).to(torch.float32).view(shape)
        return x.to(torch.float32).sub_(mean).div_(std)

    def first(self, train: int = 0, test: int = 0) -> Dataset:
        """The same set with only the first so many images of each split (0: all); mean and deviation stay the set's."""
        return dataclasses.replace(
            self,
            train_x=self.train_x[: train or None],
            train_y=self.train_y[: train or None],
            test_x=self.test_x[: test or None],
            test_y=self.test_y[: test or None],
        )


def channel_statistics(x: torch.Tensor, scale: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population deviation of uint8 images (N, C, H, W) per channel, in units of `scale`.

    Computed from exact integer sums over the histogram, so the result depends on no order of summation.

    Raises:
        ValueError: there is no image, or a channel is constant, so that nothing can be divided by its deviation.
    """
    mean: list[float] = []
    std: list[float] = []
    for channel in range(x.shape[1]):
        counts = torch.bincount(x[:, channel].reshape(-1).to(torch.int32), minlength=256).tolist()
        n = sum(counts)
        total = sum(value * count for value, count in enumerate(counts))
        squares = sum(value * value * count for value, count in enumerate(counts))
        variance = n * squares - total * total  # times n^2: an exact integer
        if variance == 0:
            raise ValueError(
                f"channel_statistics: channel {channel} of {n} training pixels has no spread; "
                "give images that are not all of one value"
            )
        mean.append(total / (n * scale))
        std.append(variance**0.5 / (n * scale))
    return tuple(mean), tuple(std)
