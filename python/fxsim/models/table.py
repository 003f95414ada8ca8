"""The single table of models by the name that command lines and run folders use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from torch import nn

from fxsim.models.alexnet import AlexNet
from fxsim.models.lenet5 import LeNet5
from fxsim.models.resnet20 import ResNet20

MODELS: Final[Mapping[str, Callable[[int, int], nn.Module]]] = MappingProxyType(
    {"lenet5": LeNet5, "alexnet": AlexNet, "resnet20": ResNet20}
)
"""Name to constructor of (num_classes, in_channels); every model takes images of 32x32 pixels."""


def build(name: str, num_classes: int, in_channels: int) -> nn.Module:
    """A new model, with torch's own initialisation drawn from torch's global generator.

    Raises:
        ValueError: no model has this name, or a count is below 1.
    """
    if name not in MODELS:
        raise ValueError(f"models.build: {name!r} is not a model; accepted: {', '.join(MODELS)}")
    for what, count in (("num_classes", num_classes), ("in_channels", in_channels)):
        if count < 1:
            raise ValueError(f"models.build: {what} is {count}; give 1 or more")
    return MODELS[name](num_classes, in_channels)
