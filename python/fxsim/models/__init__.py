"""The networks that experiments name: plain `torch.nn` modules, for float32 training or for `fxsim.convert`."""

from __future__ import annotations

from fxsim.models.alexnet import AlexNet
from fxsim.models.lenet5 import LeNet5
from fxsim.models.resnet20 import ResNet20
from fxsim.models.table import MODELS, build

__all__ = ["MODELS", "AlexNet", "LeNet5", "ResNet20", "build"]
