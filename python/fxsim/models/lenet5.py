"""LeNet-5 with average pooling and a plain output layer."""

from __future__ import annotations

from typing import final

import torch
from torch import nn


@final
class LeNet5(nn.Module):
    """Three 5x5 convolutions and two fully connected layers, tanh between them; biases everywhere.

    Input (N, in_channels, 32, 32), output logits (N, num_classes). With the defaults: 61,706 parameters and 416,520
    multiplications an image.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE
    1998; its trainable subsampling and partial connection table are left out, as is usual today.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.tanh1 = nn.Tanh()
        self.pool1 = nn.AvgPool2d(2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.tanh2 = nn.Tanh()
        self.pool2 = nn.AvgPool2d(2)
        self.conv3 = nn.Conv2d(16, 120, 5)
        self.tanh3 = nn.Tanh()
        self.fc1 = nn.Linear(120, 84)
        self.tanh4 = nn.Tanh()
        self.fc2 = nn.Linear(84, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) of images (N, in_channels, 32, 32)."""
        x = self.pool1(self.tanh1(self.conv1(x)))
        x = self.pool2(self.tanh2(self.conv2(x)))
        x = self.tanh3(self.conv3(x)).flatten(1)
        logits: torch.Tensor = self.fc2(self.tanh4(self.fc1(x)))
        return logits
