"""ResNet20 for 32x32 images, with projection shortcuts."""

from __future__ import annotations

from typing import ClassVar, Final, final

import torch
from torch import nn

from fxsim.nn.batch_norm import BatchNormReLU2d
from fxsim.nn.elementwise import Split, Sum

_WIDTHS: Final = (16, 32, 64)
_BLOCKS_PER_STAGE: Final = 3


@final
class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each with BatchNorm, added to the shortcut before the last ReLU.

    The shortcut is the identity where the shape stays, else a strided 1x1 convolution with BatchNorm. Modules stand in
    the order of execution, so that whoever walks `named_modules()` meets every BatchNorm right after its convolution.
    """

    fusible: ClassVar = (("bn1", "relu1"), ("bn2", "relu2"))

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.split = Split()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut.append(nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(out_channels))
        self.sum = Sum()
        self.relu2 = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, H, W) to (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        x, z = self.split(x)
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.conv2(y)
        out: torch.Tensor
        if isinstance(self.bn2, BatchNormReLU2d):
            out = self.bn2(y, self.shortcut(z))
        else:
            out = self.relu2(self.sum(self.bn2(y), self.shortcut(z)))
        return out


@final
class ResNet20(nn.Module):
    """A 3x3 convolution, three stages of three basic blocks with 16, 32 and 64 channels, average pool, linear layer.

    Input (N, in_channels, 32, 32), output logits (N, num_classes). With three channels: 272,474 parameters and
    40,813,184 multiplications an image for 10 classes; 278,324 and 40,818,944 for 100. Convolutions have no bias.

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2, with
    shortcuts of kind B.
    """

    fusible: ClassVar = (("bn", "relu"),)

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, _WIDTHS[0], 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(_WIDTHS[0])
        self.relu = nn.ReLU()
        blocks = nn.Sequential()
        channels = _WIDTHS[0]
        for stage, width in enumerate(_WIDTHS):
            for block in range(_BLOCKS_PER_STAGE):
                blocks.append(BasicBlock(channels, width, stride=2 if stage > 0 and block == 0 else 1))
                channels = width
        self.blocks = blocks
        self.pool = nn.AvgPool2d(8)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) of images (N, in_channels, 32, 32)."""
        x = self.relu(self.bn(self.conv(x)))
        logits: torch.Tensor = self.fc(self.pool(self.blocks(x)).flatten(1))
        return logits
