"""Torch's modules and the integer forms that `convert` can put in their place."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

from torch import nn

from fxsim.nn._layer import Layer
from fxsim.nn.avg_pool2d import AdaptiveAvgPool2d, AvgPool2d
from fxsim.nn.elementwise import Add, Clip, Fork, ReLU, Split, Sum
from fxsim.nn.range_batch_norm import RangeBatchNorm2d
from fxsim.numerics import Numerics


def _range_batch_norm(module: nn.BatchNorm2d, numerics: Numerics) -> Layer:
    if not module.affine or module.running_mean is None or module.running_var is None or module.momentum is None:
        raise ValueError(
            "it has affine=False, track_running_stats=False or momentum=None: a RangeBatchNorm2d has weight, bias, "
            "running statistics and a momentum; make it a plain BatchNorm2d, or leave it out of also"
        )
    layer = RangeBatchNorm2d(module.num_features, module.eps, module.momentum, numerics=numerics)
    layer.weight, layer.bias = module.weight, module.bias
    layer.set_statistics(module.running_mean, module.running_var.double().sqrt())
    if module.num_batches_tracked is not None:
        layer.num_batches_tracked.copy_(module.num_batches_tracked)
    return layer


def _avg_pool2d(module: nn.AvgPool2d, numerics: Numerics) -> Layer:
    padded = module.padding not in (0, (0, 0))
    if module.ceil_mode or module.divisor_override is not None or (padded and not module.count_include_pad):
        raise ValueError(
            "it has ceil_mode=True, a divisor_override, or count_include_pad=False: an integer pool divides every "
            "window by its size; change that, or leave it out of also"
        )
    return AvgPool2d(module.kernel_size, module.stride, module.padding, numerics=numerics)


def _adaptive_avg_pool2d(module: nn.AdaptiveAvgPool2d, numerics: Numerics) -> Layer:
    size = module.output_size
    sizes = (size, size) if isinstance(size, int) else tuple(size or ())
    if len(sizes) != 2 or None in sizes:
        raise ValueError(
            f"its output_size is {size}: an integer pool needs both sizes; name them, or leave it out of also"
        )
    return AdaptiveAvgPool2d((int(sizes[0] or 0), int(sizes[1] or 0)), numerics=numerics)


def _hardtanh(module: nn.Hardtanh, numerics: Numerics) -> Layer:
    return Clip(module.min_val, module.max_val, False, numerics=numerics)


def _relu(_: nn.Module, numerics: Numerics) -> Layer:
    return ReLU(numerics=numerics)


def _add(_: nn.Module, numerics: Numerics) -> Layer:
    return Add(numerics=numerics)


def _fork(_: nn.Module, numerics: Numerics) -> Layer:
    return Fork(numerics=numerics)


FORMS: Final[MappingProxyType[type[nn.Module], Callable[[Any, Numerics], Layer]]] = MappingProxyType(
    {
        nn.BatchNorm2d: _range_batch_norm,
        nn.ReLU: _relu,
        nn.ReLU6: _hardtanh,
        nn.Hardtanh: _hardtanh,
        nn.AvgPool2d: _avg_pool2d,
        nn.AdaptiveAvgPool2d: _adaptive_avg_pool2d,
        Sum: _add,
        Split: _fork,
    }
)
"""By type, what makes the integer form of a module; its ValueError says of the module why there is none."""

INTEGER_FORMS: Final = tuple(FORMS)
"""All types that `convert(..., also=...)` takes."""


def check_types(also: tuple[type[nn.Module], ...], wrap: tuple[type[nn.Module], ...]) -> None:
    """Refuse types that have no integer form, or are to be wrapped as well.

    Raises:
        ValueError: naming the type.
    """
    for kind in also:
        if kind not in FORMS:
            names = ", ".join(each.__name__ for each in FORMS)
            raise ValueError(f"convert: also names {kind.__name__}, which has no integer form: accepted are {names}")
        if kind in wrap:
            raise ValueError(f"convert: {kind.__name__} is in also and in wrap; choose one")
