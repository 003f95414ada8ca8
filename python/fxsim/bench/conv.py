"""How fast are 8-bit convolutions forward, layer by layer, against torch's float32 in its better memory format?

ResNet20's nineteen 3x3 convolutions at batch 128 and AlexNet's five at batch 8. Once from words to float32 carriers
(the product alone), once from float32 to float32 (`fx.nn.Conv2d`: activations are quantized in every call, weights
once), there also against torch's fake quantization of activations and weights. Layers that read images also against
filling their result with a constant: what writing it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

import torch
from torch import Tensor

from fxsim.bench.layers import (
    ALEXNET,
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
from fxsim.bench.products import forward
from fxsim.formats import Format
from fxsim.numerics import Numerics

FORMAT: Final = Format(8, 4)
NUMERICS: Final = Numerics(FORMAT, FORMAT)

_TORCH: Final = "torch float32"
_FAKE: Final = "torch fake-quantize and float32"
_FILL: Final = "torch fill_ of the result"
_IMAGE_CHANNELS: Final = 3


class Timed(NamedTuple):
    """The tracks of one layer; fill: only if it reads images."""

    layer: ConvLayer
    words: Track
    floats: Track
    torch: Track
    fake: Track
    fill: Track | None


def run(settings: Settings) -> Outcome:
    """Check and time each layer, then sum up."""
    networks = (("ResNet20's 19", RESNET20, (2.8, 3.5), (3.2, 4.0)), ("AlexNet's 5", ALEXNET, (2.6, 3.4), (2.6, 3.4)))
    for network, layers, (must, aim), (sum_must, sum_aim) in networks:
        found = []
        for layer in layers:
            found.append(timed(layer, settings))
            yield row(f"words, {layer.name}", _TORCH, found[-1].words, found[-1].torch, must=must, aim=aim)
            if found[-1].fill is not None:
                yield row(f"words, {layer.name}", _FILL, found[-1].words, found[-1].fill)
        whole = {name: _sum(found, name) for name in ("words", "floats", "torch", "fake")}
        yield row(f"words, sum of {network}", _TORCH, whole["words"], whole["torch"], must=sum_must, aim=sum_aim)
        yield row(f"float32 in and out, sum of {network}", _TORCH, whole["floats"], whole["torch"])
        yield row(f"float32 in and out, sum of {network}", _FAKE, whole["floats"], whole["fake"])


def timed(given: ConvLayer, settings: Settings) -> Timed:
    """Check one layer and time it."""
    layer = given.toy() if settings.toy else given
    x, w = words(layer.x_shape, FORMAT, 1), words(layer.w_shape, FORMAT, 2)
    convolve = forward(layer, x, w)
    exact = (torch_module(layer, w.raw.double())(x.raw.double()) * FORMAT.step**2).float()
    require_equal(f"conv2d, {layer.name}", convolve(), exact)
    fixed = fixed_module(layer, w, NUMERICS)
    require_equal(f"nn.Conv2d, {layer.name}", fixed(x.to_float()), exact)

    floats = between_words(x)
    contenders: dict[str, Callable[[], object]] = {"words": convolve, "floats": partial(fixed, floats)}
    if layer.channels_in == _IMAGE_CHANNELS:
        contenders["fill"] = partial(torch.empty_like(exact).fill_, 0)
    for layout in LAYOUTS:
        data, weight = in_layout(floats, layout), in_layout(w.to_float(), layout)
        module = torch_module(layer, weight)
        contenders[f"torch {layout}"] = partial(module, data)
        contenders[f"fake {layout}"] = partial(_faked, module, data)
    tracks = interleaved(contenders, settings)
    torch_best, fake_best = (fastest(tracks[f"{peer} {layout}"] for layout in LAYOUTS) for peer in ("torch", "fake"))
    return Timed(given, tracks["words"], tracks["floats"], torch_best, fake_best, tracks.get("fill"))


def _faked(module: torch.nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution in torch's own simulation of the format."""
    step, low, high = FORMAT.step, FORMAT.raw_min, FORMAT.raw_max
    data, weight = (torch.fake_quantize_per_tensor_affine(each, step, 0, low, high) for each in (x, module.weight))
    return torch.nn.functional.conv2d(data, weight, stride=module.stride, padding=module.padding)


def _sum(found: Sequence[Timed], name: str) -> Track:
    """Of a network, each layer as often as it occurs."""
    return total(getattr(each, name) for each in found for _ in range(each.layer.times))
