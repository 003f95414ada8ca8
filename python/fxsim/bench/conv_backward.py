"""How fast are the gradients of 8-bit convolutions, and all convolutions of a step, against torch's float32?

ResNet20's nineteen 3x3 convolutions at batch 128, with gradients of 8 and 16 bits. Input and weight gradients alone
from words to float32 carriers, each against torch's of the same kind; then forward and backward together from float32
to float32, gradients rounded stochastically to a given scale. Torch has its better memory format in each comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

import torch
from torch import Tensor

from fxsim.bench.conv import FORMAT
from fxsim.bench.layers import (
    LAYOUTS,
    RESNET20,
    ConvLayer,
    between_words,
    fixed_module,
    in_layout,
    torch_module,
    words,
)
from fxsim.bench.measure import Outcome, Settings, Track, fastest, interleaved, require_equal, row, total
from fxsim.bench.products import backward
from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.rounding import Quantizer, Stochastic
from fxsim.tensor import FixedTensor

GRADIENTS: Final = (Format(8, 4), Format(16, 12))

_TORCH: Final = "torch float32"

_TARGETS: Final = {
    "dgrad 8": ((2.8, 3.5), (3.2, 4.2)),
    "wgrad 8": ((3.3, 4.2), (3.7, 4.6)),
    "dgrad 16": ((1.5, 1.75), (1.8, 2.4)),
    "wgrad 16": ((1.7, 2.1), (1.9, 2.3)),
    "step 8": ((None, None), (2.5, 3.0)),
    "step 16": ((None, None), (1.75, 2.1)),
}
"""Must and aim of each layer, and of the sum."""

_MEANINGS: Final = {"dgrad": "input gradient", "wgrad": "weight gradient", "step": "forward and backward"}


class Timed(NamedTuple):
    """The tracks of one layer by contender: "dgrad 8", ..., "torch dgrad", ..."""

    layer: ConvLayer
    tracks: dict[str, Track]


def run(settings: Settings) -> Outcome:
    """Check and time each layer, then sum up."""
    found = []
    for layer in RESNET20:
        found.append(timed(layer, settings))
        yield from _rows(found[-1])
    for name, (_, (must, aim)) in _TARGETS.items():
        kind, bits = name.split()
        with_it = [each for each in found if name in each.tracks]
        ours, theirs = (_sum(with_it, each) for each in (name, f"torch {kind}"))
        yield row(f"{_MEANINGS[kind]}, {bits} bits, sum of {_count(with_it)}", _TORCH, ours, theirs, must=must, aim=aim)


def _rows(timed_layer: Timed) -> Outcome:
    for name, ((must, aim), _) in _TARGETS.items():
        kind, bits = name.split()
        if name in timed_layer.tracks and kind != "step":
            exempt = timed_layer.layer is RESNET20[0]
            yield row(
                f"{_MEANINGS[kind]}, {bits} bits, {timed_layer.layer.name}",
                _TORCH,
                timed_layer.tracks[name],
                timed_layer.tracks[f"torch {kind}"],
                must=None if exempt else must,
                aim=None if exempt else aim,
            )


def timed(given: ConvLayer, settings: Settings) -> Timed:
    """Check one layer and time it. The first layer's input needs no gradient."""
    layer = given.toy() if settings.toy else given
    first = given is RESNET20[0]
    x, w = words(layer.x_shape, FORMAT, 1), words(layer.w_shape, FORMAT, 2)
    contenders: dict[str, Callable[[], object]] = {}
    for format_ in GRADIENTS:
        g = words(layer.y_shape, format_, 3)
        _check(layer, x, w, g, first=first)
        products = backward(layer, x, w, g)
        if not first:
            contenders[f"dgrad {format_.wl}"] = products["dgrad"]
        contenders[f"wgrad {format_.wl}"] = products["wgrad"]
        contenders[f"step {format_.wl}"] = _step(layer, x, w, g, first=first)
    for layout in LAYOUTS:
        for kind, run_ in _torch(layer, x, w, layout, first=first):
            contenders[f"torch {kind} {layout}"] = run_
    tracks = interleaved(contenders, settings)
    best = {}
    for kind in ("wgrad", "step") if first else ("dgrad", "wgrad", "step"):
        best[f"torch {kind}"] = fastest(tracks[f"torch {kind} {layout}"] for layout in LAYOUTS)
    return Timed(given, tracks | best)


def _step(layer: ConvLayer, x: FixedTensor, w: FixedTensor, g: FixedTensor, *, first: bool) -> Callable[[], object]:
    """Forward and backward of the layer in fixed point."""
    module = fixed_module(layer, w, _numerics(g.format))
    return partial(_pass, module, between_words(x), between_words(g), first=first)


def _numerics(gradient: Format) -> Numerics:
    return Numerics(FORMAT, FORMAT, grad_output=Quantizer(gradient, Stochastic(16)))


def _pass(module: torch.nn.Conv2d, x: Tensor, g: Tensor, *, first: bool) -> tuple[Tensor, ...]:
    """Forward, then the gradients that training needs."""
    data = x.detach().requires_grad_(not first)
    return torch.autograd.grad(module(data), [module.weight] if first else [module.weight, data], g)


def _torch(
    layer: ConvLayer, x: FixedTensor, w: FixedTensor, layout: str, *, first: bool
) -> Iterator[tuple[str, Callable[[], object]]]:
    """The same in float32: each gradient alone, and all together."""
    g = words(layer.y_shape, GRADIENTS[0], 3)
    data, weight, grad = (in_layout(each, layout) for each in (between_words(x), w.to_float(), between_words(g)))
    for kind in ("dgrad", "wgrad"):
        yield kind, partial(_torch_gradient, kind, layer, data, weight, grad)
    yield "step", partial(_pass, torch_module(layer, weight), data, grad, first=first)


def _torch_gradient(kind: str, layer: ConvLayer, x: Tensor, w: Tensor, g: Tensor) -> Tensor:
    place = [layer.stride] * 2, [layer.padding] * 2, [1, 1], False, [0, 0], 1
    mask = [kind == "dgrad", kind == "wgrad", False]
    gradients = torch.ops.aten.convolution_backward(g, x, w, None, *place, mask)
    gradient: Tensor = gradients[mask.index(True)]
    return gradient


def _check(layer: ConvLayer, x: FixedTensor, w: FixedTensor, g: FixedTensor, *, first: bool) -> None:
    """The products, and the module on words as floats, which no rounding changes, against float64, exact here."""
    module = fixed_module(layer, w, _numerics(g.format))
    found = _pass(module, x.to_float(), g.to_float(), first=first)
    products = backward(layer, x, w, g)
    for kind, gradient, factor in zip(("wgrad", "dgrad"), found, (x, w), strict=False):
        exact = _torch_gradient(kind, layer, x.raw.double(), w.raw.double(), g.raw.double())
        value = (exact * (g.format.step * factor.format.step)).float()
        require_equal(f"conv2d {kind}, {layer.name}", products[kind](), value)
        require_equal(f"nn.Conv2d {kind}, {layer.name}", gradient, value)


def _sum(found: Sequence[Timed], name: str) -> Track:
    """Of the network, each layer as often as it occurs."""
    return total(each.tracks[name] for each in found for _ in range(each.layer.times))


def _count(found: Sequence[Timed]) -> int:
    return sum(each.layer.times for each in found)
