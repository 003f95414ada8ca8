"""Counts of a model that nobody ran: its shapes, the formats it is to have, and densities that are assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from fxsim.accumulator import Accumulator, resolve
from fxsim.cost.counts import Counts
from fxsim.cost.zeros import Geometry
from fxsim.formats import Format
from fxsim.ops.records import FLOAT32, OpRecord, Pass


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What the numbers of a model would be like.

    weight, activation: formats of the operands of the forward products; None: float32.
    gradient: of the gradients of layers' outputs; None: the backward pass is float32, on operands of 32 bits.
    accumulator: of all integer products.
    weight_density, activation_density, gradient_density: shares of non-zero elements, 0 to 1, spread evenly.

    Raises:
        ValueError: a density is not from 0 to 1; one of weight and activation is float32, the other is not.
    """

    weight: Format | None = None
    activation: Format | None = None
    gradient: Format | None = None
    accumulator: Accumulator = Accumulator()  # noqa: RUF009 - frozen
    weight_density: float = 1.0
    activation_density: float = 1.0
    gradient_density: float = 1.0

    def __post_init__(self) -> None:
        for name in ("weight_density", "activation_density", "gradient_density"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"Assumed: {name} is {getattr(self, name)}: accepted are shares from 0 to 1")
        if (self.weight is None) != (self.activation is None):
            raise ValueError("Assumed: give formats for weight and activation both, or for neither")
        if self.gradient is not None and self.weight is None:
            raise ValueError("Assumed: gradient has a format, weight and activation have none; give them formats too")


@final
@dataclass(frozen=True, slots=True)
class _Operand:
    format: Format | None
    density: float
    elements: int


@final
@dataclass(frozen=True, slots=True)
class _Layer:
    """A convolution or linear layer with the shapes of one forward; outputs, inputs, taps: per group."""

    name: str
    op: str
    batch: int
    groups: int
    outputs: int
    inputs: int
    kernel: tuple[int, int]
    in_pixels: int
    out_pixels: int
    valid: int  # (output pixel, tap) pairs of the whole batch off the padding
    x: _Operand
    weight: _Operand
    grad: _Operand

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]


@torch.no_grad()
def assumed_counts(model: nn.Module, x_shape: tuple[int, ...], assumed: Assumed, *, training: bool = True) -> Counts:
    """What a training step (or, without `training`, a forward pass) on such a batch would count.

    The model runs once on tensors without data; convolutions and linear layers are counted, forward and both gradients,
    the input gradient of the first one left out. Zeros are as many as the densities give, rounded.

    Raises:
        ValueError: the model has none of these layers, or runs one twice.
    """
    layers = _layers(model, x_shape, assumed)
    counts = Counts()
    for layer in layers:
        counts.add(_forward(layer, assumed))
    for layer in reversed(layers if training else []):
        if layer is not layers[0]:
            counts.add(_dgrad(layer, assumed))
        counts.add(_wgrad(layer, assumed))
    return counts


_LAYERS: Final = (nn.Conv2d, nn.Linear)


def _layers(model: nn.Module, x_shape: tuple[int, ...], assumed: Assumed) -> list[_Layer]:
    found: dict[str, _Layer] = {}

    def note(name: str, module: Any, x: Tensor, y: Tensor) -> None:
        if name in found:
            raise ValueError(f"assumed_counts: {name} runs twice in a forward; give a model that uses each layer once")
        found[name] = _layer(name, module, x, y, assumed)

    bare = model.to("meta")
    handles = [
        module.register_forward_hook(lambda layer, given, made, name=name: note(name, layer, given[0], made))
        for name, module in bare.named_modules()
        if isinstance(module, _LAYERS)
    ]
    try:
        bare.eval()(torch.empty(x_shape, device="meta"))
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise ValueError("assumed_counts: the model has no convolution and no linear layer; there is nothing to price")
    return list(found.values())


def _layer(name: str, module: Any, x: Tensor, y: Tensor, assumed: Assumed) -> _Layer:
    w = module.weight
    operands = (
        _Operand(assumed.activation, assumed.activation_density, x.numel()),
        _Operand(assumed.weight, assumed.weight_density, w.numel()),
        _Operand(assumed.gradient, assumed.gradient_density, y.numel()),
    )
    if isinstance(module, nn.Linear):
        rows = x.numel() // x.shape[-1]
        return _Layer(name, "linear", len(x), 1, w.shape[0], w.shape[1], (1, 1), rows, rows, rows, *operands)
    geometry = Geometry(
        x=tuple(x.shape[2:]),
        kernel=tuple(w.shape[2:]),
        stride=module.stride,
        padding=module.padding,
        dilation=module.dilation,
        groups=module.groups,
    )
    return _Layer(
        name,
        "conv2d",
        len(x),
        module.groups,
        w.shape[0] // module.groups,
        w.shape[1],
        (w.shape[2], w.shape[3]),
        len(x) * math.prod(x.shape[2:]),
        len(x) * math.prod(y.shape[2:]),
        len(x) * geometry.valid_positions(),
        *operands,
    )


def _forward(layer: _Layer, assumed: Assumed) -> OpRecord:
    shape = (layer.out_pixels, layer.outputs, layer.inputs * layer.taps)
    return _record(layer, Pass.FWD, shape, layer.x, layer.weight, layer.grad.elements, assumed, layer.kernel)


def _dgrad(layer: _Layer, assumed: Assumed) -> OpRecord:
    shape = (layer.in_pixels, layer.inputs, layer.outputs * layer.taps)
    return _record(layer, Pass.DGRAD, shape, layer.grad, layer.weight, layer.x.elements, assumed, layer.kernel)


def _wgrad(layer: _Layer, assumed: Assumed) -> OpRecord:
    shape = (layer.outputs, layer.inputs * layer.taps, layer.out_pixels)
    return _record(layer, Pass.WGRAD, shape, layer.grad, layer.x, layer.weight.elements, assumed)


def _record(
    layer: _Layer,
    pass_: Pass,
    shape: tuple[int, int, int],
    a: _Operand,
    b: _Operand,
    written: int,
    assumed: Assumed,
    kernel: tuple[int, int] = (1, 1),
) -> OpRecord:
    m, n, k = shape
    macs = m * n * k * layer.groups
    valid = layer.valid * layer.outputs * layer.inputs * layer.groups
    a_text = b_text = accumulator = output = FLOAT32
    if a.format is not None and b.format is not None:  # a float operand makes the product float
        a_text, b_text, accumulator = str(a.format), str(b.format), str(assumed.accumulator)
        output = str(resolve(assumed.accumulator, a.format, b.format, k, op=layer.name).result)
    zero_a, zero_b = round(valid * (1 - a.density)), round(valid * (1 - b.density))
    zero = min(max(valid - round(valid * a.density * b.density), zero_a, zero_b), zero_a + zero_b)
    return OpRecord(
        layer=layer.name,
        pass_=pass_,
        op=layer.op,
        m=m,
        n=n,
        k=k,
        batch=layer.batch,
        groups=layer.groups,
        kernel_h=kernel[0],
        kernel_w=kernel[1],
        a_elements=a.elements,
        b_elements=b.elements,
        a=a_text,
        b=b_text,
        accumulator=accumulator,
        output=output,
        macs=macs,
        pad_macs=macs - valid,
        zero_a_macs=zero_a,
        zero_b_macs=zero_b,
        zero_macs=zero,
        nz_macs=valid - zero,
        nnz_a=round(a.elements * a.density),
        nnz_b=round(b.elements * b.density),
        elements_read=a.elements + b.elements,
        elements_written=written,
    )
