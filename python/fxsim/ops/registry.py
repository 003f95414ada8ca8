"""The table of ops: for each, what must exist beside its kernel. Tests walk it; nothing else reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, final

from fxsim.ops import samples


@final
@dataclass(frozen=True, slots=True)
class Op:
    """One op of torch.ops.fxsim.

    name: in torch.ops.fxsim.
    samples: arguments that `torch.library.opcheck` tries.
    kernel: the function of the core that computes it, "" where it computes nothing; each instruction set has it or
        inherits it.
    reference: names in `fxsim.reference` that define its bits.
    integer: names in `fxsim.ops` of the same arithmetic on FixedTensors; a float op has none.
    counts: how its records are counted: "elementwise", "product" (by k, from `count_macs`), "float" (elements of
        float32 only), or "" for no record.
    module: the class of `fxsim.nn` that calls it, "" if none.
    differentiable: whether a gradient passes through it.
    """

    name: str
    samples: Callable[[], Iterator[samples.Arguments]]
    kernel: str = ""
    reference: tuple[str, ...] = ()
    integer: tuple[str, ...] = ()
    counts: str = ""
    module: str = ""
    differentiable: bool = True


OPS: Final = (
    Op("quantize", samples.quantize, "quantize", ("quantize",), ("quantize",), "elementwise"),
    Op("quantize_layer", samples.quantize_layer, "quantize", ("quantize",), ("quantize",), "elementwise", "Quantized"),
    Op(
        "quantize_raw",
        samples.quantize_raw,
        "quantize",
        ("quantize",),
        ("quantize",),
        "elementwise",
        "Linear",
        differentiable=False,
    ),
    Op("carrier", samples.carrier, module="Linear"),
    Op("weight_step", samples.weight_step, module="Linear", differentiable=False),
    Op("linear", samples.linear, "gemm", ("linear",), ("linear",), "product", "Linear"),
    Op(
        "linear_backward",
        samples.linear_backward,
        "gemm",
        ("linear_dgrad", "linear_wgrad", "bias_grad"),
        ("linear_dgrad", "linear_wgrad", "bias_grad"),
        "product",
        "Linear",
        differentiable=False,
    ),
    Op("conv2d", samples.conv2d, "gemm", ("conv2d",), ("conv2d",), "product", "Conv2d"),
    Op(
        "conv2d_backward",
        samples.conv2d_backward,
        "gemm",
        ("conv2d_dgrad", "conv2d_wgrad", "bias_grad"),
        ("conv2d_dgrad", "conv2d_wgrad", "bias_grad"),
        "product",
        "Conv2d",
        differentiable=False,
    ),
    Op(
        "range_norm",
        samples.range_norm,
        "requantize",
        ("range_norm", "range_statistics"),
        ("range_norm",),
        "elementwise",
        "RangeBatchNorm2d",
    ),
    Op(
        "range_norm_backward",
        samples.range_norm_backward,
        "requantize",
        ("range_norm_backward",),
        ("range_norm_dgrad", "range_norm_wgrad", "bias_grad"),
        "elementwise",
        "RangeBatchNorm2d",
        differentiable=False,
    ),
    Op("add", samples.add, "requantize", ("add",), ("add",), "elementwise", "Add"),
    Op("clip", samples.clip, "requantize", ("clip",), ("clip", "relu"), "elementwise", "Clip"),
    Op(
        "relay",
        samples.relay,
        "requantize",
        ("quantize", "requantize"),
        ("quantize", "requantize"),
        "elementwise",
        "Add",
        differentiable=False,
    ),
    Op("fork", samples.fork, module="Fork"),
    Op("merge", samples.merge, "requantize", ("add",), ("add",), "elementwise", "Fork", differentiable=False),
    Op("avg_pool2d", samples.avg_pool2d, "requantize", ("avg_pool2d",), ("avg_pool2d",), "elementwise", "AvgPool2d"),
    Op(
        "avg_pool2d_backward",
        samples.avg_pool2d_backward,
        "requantize",
        ("avg_pool2d_dgrad",),
        ("avg_pool2d_dgrad",),
        "elementwise",
        "AvgPool2d",
        differentiable=False,
    ),
    Op(
        "batch_norm_relu",
        samples.batch_norm_relu,
        "batch_norm_relu",
        ("batch_statistics", "batch_norm_relu"),
        counts="float",
        module="BatchNormReLU2d",
    ),
    Op(
        "batch_norm_relu_backward",
        samples.batch_norm_relu_backward,
        "batch_norm_relu_backward",
        ("batch_norm_relu_backward",),
        counts="float",
        module="BatchNormReLU2d",
        differentiable=False,
    ),
    Op(
        "ranged_conv2d",
        samples.ranged_conv2d,
        "gemm",
        ("range_codes", "ranged_conv2d"),
        ("range_quantize",),
        "product",
        "RangedConv2d",
    ),
    Op(
        "ranged_conv2d_backward",
        samples.ranged_conv2d_backward,
        "gemm",
        ("ranged_conv2d_dgrad", "ranged_conv2d_wgrad"),
        ("range_quantize",),
        "product",
        "RangedConv2d",
        differentiable=False,
    ),
    Op(
        "range_round",
        samples.range_round,
        "quantize",
        ("quantize",),
        ("range_quantize",),
        "elementwise",
        "RangedModule",
    ),
)
