"""fxsim: bit-accurate fixed-point arithmetic for deep nets."""

from fxsim import autograd, export, isa, nn, optim, policies
from fxsim.accumulator import Accumulator
from fxsim.cost import accelerators
from fxsim.cost.counting import count
from fxsim.formats import Format
from fxsim.nn import (
    convert,
    float_parts,
    fold_batch_norm,
    fuse,
    int_state_dict,
    load_int_state_dict,
    set_numerics,
    shard,
    summary,
)
from fxsim.numerics import Numerics
from fxsim.ops import (
    add,
    avg_pool2d,
    clip,
    conv2d,
    linear,
    matmul,
    quantize,
    range_norm,
    range_quantize,
    relu,
    requantize,
)
from fxsim.ranges import Affine, Block, RangedNumerics
from fxsim.rng import Key
from fxsim.rounding import Quantizer, Stochastic
from fxsim.tensor import FixedTensor
from fxsim.train.attach import attach

__all__ = [
    "Accumulator",
    "Affine",
    "Block",
    "FixedTensor",
    "Format",
    "Key",
    "Numerics",
    "Quantizer",
    "RangedNumerics",
    "Stochastic",
    "accelerators",
    "add",
    "attach",
    "autograd",
    "avg_pool2d",
    "clip",
    "conv2d",
    "convert",
    "count",
    "export",
    "float_parts",
    "fold_batch_norm",
    "fuse",
    "int_state_dict",
    "isa",
    "linear",
    "load_int_state_dict",
    "matmul",
    "nn",
    "optim",
    "policies",
    "quantize",
    "range_norm",
    "range_quantize",
    "relu",
    "requantize",
    "set_numerics",
    "shard",
    "summary",
]
