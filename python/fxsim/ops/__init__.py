"""Ops: integer kernels behind torch; the only importers of the compiled core."""

from fxsim.ops import conv2d_ops, linear_ops, quantize_ops, range_norm_ops, records, weight_step
from fxsim.ops._library import signed64
from fxsim.ops._publish import publish_update
from fxsim.ops.conv2d import conv2d, conv2d_dgrad, conv2d_wgrad
from fxsim.ops.linear import bias_grad, linear, linear_dgrad, linear_wgrad
from fxsim.ops.matmul import matmul
from fxsim.ops.quantize import quantize
from fxsim.ops.range_norm import RangeStatistics, range_norm, range_norm_dgrad, range_norm_wgrad, statistics_format
from fxsim.ops.requantize import requantize

__all__ = [
    "RangeStatistics",
    "bias_grad",
    "conv2d",
    "conv2d_dgrad",
    "conv2d_ops",
    "conv2d_wgrad",
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
    "records",
    "requantize",
    "signed64",
    "statistics_format",
    "weight_step",
]
