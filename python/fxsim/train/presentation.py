"""How images are shown to a network: normalised, or in the range that a fixed-point method is defined on."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor

from fxsim.data import Dataset

Presentation: TypeAlias = Literal["normalised", "zero_to_two", "minus_one_to_one"]
PRESENTATIONS: Final[tuple[Presentation, ...]] = ("normalised", "zero_to_two", "minus_one_to_one")

_CODES: Final = 255
_HALF: Final = 128


def present(x: Tensor, dataset: Dataset, presentation: Presentation) -> Tensor:
    """Images of `dataset.normalise` as the network takes them, float32 of the same shape.

    "zero_to_two": pixel / 128, so that 8 bits hold all 256 values of [0, 2) (of pixels that do not go up to 255, the
    full scale goes there). "minus_one_to_one": the scale becomes [-1, 1]. The pixels are recovered exactly.
    """
    if presentation == "normalised":
        return x
    shape = (1, dataset.in_channels, 1, 1)
    mean = torch.tensor(dataset.mean, dtype=torch.float64).view(shape)
    std = torch.tensor(dataset.std, dtype=torch.float64).view(shape)
    pixels = torch.round((x.to(torch.float64) * std + mean) * dataset.scale)
    if presentation == "zero_to_two":
        return (pixels * (_CODES / dataset.scale) / _HALF).to(torch.float32)
    return (pixels * (2.0 / dataset.scale) - 1.0).to(torch.float32)
