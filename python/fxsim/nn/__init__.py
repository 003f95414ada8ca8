"""Modules: torch's layers computed in integers, and what converts a model to them."""

from fxsim.nn._layer import Layer
from fxsim.nn._slab import shard
from fxsim.nn._weighted import Weighted
from fxsim.nn.avg_pool2d import AdaptiveAvgPool2d, AvgPool2d
from fxsim.nn.batch_norm import BatchNormReLU2d
from fxsim.nn.conv2d import Conv2d
from fxsim.nn.convert import Arithmetic, convert, layers, set_numerics
from fxsim.nn.elementwise import Add, Clip, Fork, ReLU, Split, Sum
from fxsim.nn.fold import fold_batch_norm
from fxsim.nn.fuse import Fusible, fuse
from fxsim.nn.gated import GatedBlock, Gates, gate_blocks
from fxsim.nn.linear import Linear
from fxsim.nn.quantized import Quantized
from fxsim.nn.range_batch_norm import RangeBatchNorm2d
from fxsim.nn.ranged import Ranged, RangedConv2d, RangedLinear
from fxsim.nn.ranged_module import RangedModule
from fxsim.nn.replacements import INTEGER_FORMS
from fxsim.nn.state import int_state_dict, load_int_state_dict
from fxsim.nn.strict import FloatPart, float_parts
from fxsim.nn.summary import Summary, summary

__all__ = [
    "INTEGER_FORMS",
    "AdaptiveAvgPool2d",
    "Add",
    "Arithmetic",
    "AvgPool2d",
    "BatchNormReLU2d",
    "Clip",
    "Conv2d",
    "FloatPart",
    "Fork",
    "Fusible",
    "GatedBlock",
    "Gates",
    "Layer",
    "Linear",
    "Quantized",
    "RangeBatchNorm2d",
    "Ranged",
    "RangedConv2d",
    "RangedLinear",
    "RangedModule",
    "ReLU",
    "Split",
    "Sum",
    "Summary",
    "Weighted",
    "convert",
    "float_parts",
    "fold_batch_norm",
    "fuse",
    "gate_blocks",
    "int_state_dict",
    "layers",
    "load_int_state_dict",
    "set_numerics",
    "shard",
    "summary",
]
