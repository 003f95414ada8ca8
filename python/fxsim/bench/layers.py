"""Convolutions that benchmarks time: ResNet20's of 3x3, and AlexNet's, with data for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, final

import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.nn import Conv2d
from fxsim.numerics import Numerics
from fxsim.tensor import FixedTensor


@final
@dataclass(frozen=True, slots=True)
class ConvLayer:
    """A square convolution of square images. times: how often the network has it."""

    times: int
    batch: int
    channels_in: int
    channels_out: int
    size: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1

    @property
    def name(self) -> str:
        """As in "16→32, 32×32, stride 2"."""
        kernel = f", {self.kernel}×{self.kernel} taps" if self.kernel != 3 else ""
        stride = f", stride {self.stride}" if self.stride != 1 else ""
        return f"{self.channels_in}→{self.channels_out}, {self.size}×{self.size}{kernel}{stride}"

    @property
    def out_size(self) -> int:
        """Height and width of the result."""
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        """Of the input."""
        return self.batch, self.channels_in, self.size, self.size

    @property
    def w_shape(self) -> tuple[int, int, int, int]:
        """Of the weight."""
        return self.channels_out, self.channels_in, self.kernel, self.kernel

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        """Of the result."""
        return self.batch, self.channels_out, self.out_size, self.out_size

    def toy(self) -> ConvLayer:
        """The same with two small images."""
        return replace(self, batch=2, size=max(self.kernel, self.size // 8))


RESNET20: Final = (
    ConvLayer(1, 128, 3, 16, 32),
    ConvLayer(6, 128, 16, 16, 32),
    ConvLayer(1, 128, 16, 32, 32, stride=2),
    ConvLayer(5, 128, 32, 32, 16),
    ConvLayer(1, 128, 32, 64, 16, stride=2),
    ConvLayer(5, 128, 64, 64, 8),
)

ALEXNET: Final = (
    ConvLayer(1, 8, 3, 64, 224, kernel=11, stride=4, padding=2),
    ConvLayer(1, 8, 64, 192, 27, kernel=5, padding=2),
    ConvLayer(1, 8, 192, 384, 13),
    ConvLayer(1, 8, 384, 256, 13),
    ConvLayer(1, 8, 256, 256, 13),
)


LAYOUTS: Final = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
"""The memory formats that torch's convolutions take."""


def in_layout(x: Tensor, layout: str) -> Tensor:
    """The same images in one of LAYOUTS."""
    return x.contiguous(memory_format=LAYOUTS[layout])


def words(shape: tuple[int, ...], format_: Format, seed: int) -> FixedTensor:
    """Words of which every value is as likely, channels last in memory."""
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randint(format_.raw_min, format_.raw_max + 1, shape, generator=generator)
    return FixedTensor(in_layout(raw, "channels_last"), format_)


def between_words(x: FixedTensor) -> Tensor:
    """Floats in the layout of the words, each less than a step above its word."""
    return torch.rand_like(x.to_float(), generator=torch.Generator().manual_seed(3)) * x.format.step + x.to_float()


def fixed_module(layer: ConvLayer, w: FixedTensor, numerics: Numerics) -> Conv2d:
    """The layer in fixed point, with these words as its weight."""
    channels, place = (layer.channels_in, layer.channels_out), (layer.kernel, layer.stride, layer.padding)
    module = Conv2d(*channels, *place, bias=False, numerics=numerics)
    module.weight = torch.nn.Parameter(w.to_float())
    return module


def torch_module(layer: ConvLayer, weight: Tensor) -> torch.nn.Conv2d:
    """The layer in torch, with this weight, in its memory format."""
    channels, place = (layer.channels_in, layer.channels_out), (layer.kernel, layer.stride, layer.padding)
    module = torch.nn.Conv2d(*channels, *place, bias=False)
    module.weight = torch.nn.Parameter(weight)
    return module
