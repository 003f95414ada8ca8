"""Modules: torch's layers computed in integers, and what converts a model to them."""

from fxsim.nn._layer import Layer
from fxsim.nn._slab import shard
from fxsim.nn._weighted import Weighted
from fxsim.nn.avg_pool2d import AdaptiveAvgPool2d, AvgPool2d
from fxsim.nn.batch_norm import BatchNormReLU2d
from fxsim.nn.conv2d import Conv2d
from fxsim.nn.convert import convert, layers, set_numerics
from fxsim.nn.elementwise import Add, Clip, ReLU, Sum
from fxsim.nn.fuse import Fusible, fuse
from fxsim.nn.linear import Linear
from fxsim.nn.quantized import Quantized
from fxsim.nn.range_batch_norm import RangeBatchNorm2d
from fxsim.nn.state import int_state_dict, load_int_state_dict
from fxsim.nn.summary import Summary, summary

__all__ = [
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool2d",
    "BatchNormReLU2d",
    "Clip",
    "Conv2d",
    "Fusible",
    "Layer",
    "Linear",
    "Quantized",
    "RangeBatchNorm2d",
    "ReLU",
    "Sum",
    "Summary",
    "Weighted",
    "convert",
    "fuse",
    "int_state_dict",
    "layers",
    "load_int_state_dict",
    "set_numerics",
    "shard",
    "summary",
]
