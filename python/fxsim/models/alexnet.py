"""AlexNet cut down to 32x32 images, as the AdaPT authors train it on CIFAR."""

from __future__ import annotations

from typing import final

import torch
from torch import nn


@final
class AlexNet(nn.Module):
    """Five convolutions with ReLU, three max pools, one fully connected layer; biases, no normalisation.

    Input (N, in_channels, 32, 32), output logits (N, num_classes). With three channels: 2,472,266 parameters and
    14,957,056 multiplications an image for 10 classes; 2,495,396 and 14,980,096 for 100.

    Source: Krizhevsky, Sutskever and Hinton, NeurIPS 2012; layer sizes of the CIFAR variant in Kummer et al., "Adaptive
    Precision Training (AdaPT)", 2021.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 64, 11, stride=4, padding=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Linear(256, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, num_classes) of images (N, in_channels, 32, 32)."""
        logits: torch.Tensor = self.classifier(self.features(x).flatten(1))
        return logits
