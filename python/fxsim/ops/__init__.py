"""Ops: integer kernels behind torch; the only importers of the compiled core."""

from fxsim.ops import (
    avg_pool2d_ops,
    batch_norm_ops,
    conv2d_ops,
    elementwise_ops,
    fork_ops,
    linear_ops,
    quantize_ops,
    range_norm_ops,
    range_round,
    ranged_ops,
    records,
    weight_step,
)
from fxsim.ops._library import as_tensor, signed64
from fxsim.ops._operands import keep
from fxsim.ops._publish import publish_update
from fxsim.ops._straight import Onlooker, executed, hidden, straight, unseen
from fxsim.ops.avg_pool2d import avg_pool2d, avg_pool2d_dgrad
from fxsim.ops.conv2d import conv2d, conv2d_dgrad, conv2d_wgrad
from fxsim.ops.elementwise import add, clip, relu
from fxsim.ops.linear import bias_grad, linear, linear_dgrad, linear_wgrad
from fxsim.ops.matmul import matmul
from fxsim.ops.quantize import quantize
from fxsim.ops.range_norm import RangeStatistics, range_norm, range_norm_dgrad, range_norm_wgrad, statistics_format
from fxsim.ops.range_quantize import RangeWords, range_quantize
from fxsim.ops.requantize import requantize

__all__ = [
    "Onlooker",
    "RangeStatistics",
    "RangeWords",
    "add",
    "as_tensor",
    "avg_pool2d",
    "avg_pool2d_dgrad",
    "avg_pool2d_ops",
    "batch_norm_ops",
    "bias_grad",
    "clip",
    "conv2d",
    "conv2d_dgrad",
    "conv2d_ops",
    "conv2d_wgrad",
    "elementwise_ops",
    "executed",
    "fork_ops",
    "hidden",
    "keep",
    "linear",
    "linear_dgrad",
    "linear_ops",
    "linear_wgrad",
    "matmul",
    "publish_update",
    "quantize",
    "quantize_ops",
    "range_norm",
    "range_norm_dgrad",
    "range_norm_ops",
    "range_norm_wgrad",
    "range_quantize",
    "range_round",
    "ranged_ops",
    "records",
    "relu",
    "requantize",
    "signed64",
    "statistics_format",
    "straight",
    "unseen",
    "weight_step",
]
