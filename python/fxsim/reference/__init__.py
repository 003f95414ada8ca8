"""The numerics restated in exact Python integers and fractions: slow, obvious, and what every kernel is compared to.

The one float op that is fxsim's own, `batch_norm_relu`, is restated in single IEEE operations of NumPy.
"""

from fxsim.reference.batch_norm import Statistics, batch_norm_relu, batch_norm_relu_backward, batch_statistics
from fxsim.reference.bias import bias_grad
from fxsim.reference.conv import conv2d, conv2d_dgrad, conv2d_wgrad
from fxsim.reference.counts import Counts
from fxsim.reference.elementwise import add, avg_pool2d, avg_pool2d_dgrad, clip
from fxsim.reference.linear import linear, linear_dgrad, linear_wgrad, matmul
from fxsim.reference.overflow import overflow_raw
from fxsim.reference.quantize import Outcome, quantize, quantize_value, requantize
from fxsim.reference.range_norm import Normalization, range_norm, range_norm_backward, range_statistics
from fxsim.reference.ranges import (
    affine_code,
    range_codes,
    ranged_conv2d,
    ranged_conv2d_dgrad,
    ranged_conv2d_wgrad,
    ranged_sum,
)
from fxsim.reference.rounding import round_real

__all__ = [
    "Counts",
    "Normalization",
    "Outcome",
    "Statistics",
    "add",
    "affine_code",
    "avg_pool2d",
    "avg_pool2d_dgrad",
    "batch_norm_relu",
    "batch_norm_relu_backward",
    "batch_statistics",
    "bias_grad",
    "clip",
    "conv2d",
    "conv2d_dgrad",
    "conv2d_wgrad",
    "linear",
    "linear_dgrad",
    "linear_wgrad",
    "matmul",
    "overflow_raw",
    "quantize",
    "quantize_value",
    "range_codes",
    "range_norm",
    "range_norm_backward",
    "range_statistics",
    "ranged_conv2d",
    "ranged_conv2d_dgrad",
    "ranged_conv2d_wgrad",
    "ranged_sum",
    "requantize",
    "round_real",
]
