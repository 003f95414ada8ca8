"""How slow is normalisation by the range in integers, against torch's BatchNorm2d in float32?

At batch 128 in channels-last memory, on the image sizes of ResNet20, a forward and a backward: 8-bit words rounded to
nearest, and 16-bit words whose gradients are rounded stochastically, which take the longer way through the division.
The bits of a small batch are compared with the reference's.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from fxsim import reference
from fxsim.bench.batch_norm import BATCH, SIZES, images
from fxsim.bench.measure import Outcome, Settings, Track, interleaved, require_equal, row, total
from fxsim.nn import RangeBatchNorm2d
from fxsim.numerics import Numerics

T = TypeVar("T")

MUST: Final = 0.25
"""Four times the time of torch's."""

NUMERICS: Final = MappingProxyType(
    {
        "8 bits": Numerics("<8,6>", "<8,4>", "<8,4>", grad_output="<8,7>", grad_input="<8,7>", grad_weight="<16,8>"),
        "16 bits, stochastic gradients": Numerics(
            "<16,14>",
            "<16,12>",
            "<16,12>",
            grad_output="<16,15>,stochastic",
            grad_input="<16,15>,stochastic",
            grad_weight="<16,8>,stochastic",
        ),
    }
)


class Step:
    """A training step of one normalisation on given images."""

    def __init__(self, module: nn.Module, x: Tensor, grad: Tensor) -> None:
        self.module, self.x, self.grad = module, x.clone().requires_grad_(), grad

    def run(self) -> Tensor:
        """Result, and gradients of images and parameters."""
        self.x.grad = None
        y: Tensor = self.module(self.x)
        y.backward(self.grad)  # type: ignore[no-untyped-call]
        return y.detach()


def check_bits(name: str, channels: int, size: int) -> None:
    """The result on two images is the reference's."""
    numerics, x = NUMERICS[name], images(channels, size, 0, 2)
    assert numerics.output is not None  # noqa: S101 - for mypy; NUMERICS names it
    activation, weight = numerics.activation, numerics.weight.format
    raw, _ = reference.quantize(x.numpy(), activation)
    rules = reference.Normalization(activation.format, weight, numerics.bias_quantizer.format)
    mean, sigma = reference.range_statistics(raw, rules)
    ones = np.full(channels, round(1 / weight.step))
    exact, _ = reference.range_norm(raw, ones, 0 * ones, rules, numerics.output, mean=mean, sigma=sigma)
    y = _quiet(Step(RangeBatchNorm2d(channels, numerics=numerics), x, x).run)
    require_equal(f"range_norm, {name}, {_size(channels, size)}", y / numerics.output.format.step, torch.tensor(exact))


def run(settings: Settings) -> Outcome:
    """Check, time, compare each size, and the sum over the sizes."""
    for name in NUMERICS:
        ours: list[Track] = []
        torchs: list[Track] = []
        for channels, full_size in SIZES:
            check_bits(name, channels, full_size // 8)
            size, batch = (full_size // 8, 2) if settings.toy else (full_size, BATCH)
            own, other = _quiet(functools.partial(_timed, name, channels, size, batch, settings))
            yield row(f"{name}, {_size(channels, size)}", "torch BatchNorm2d", own, other)
            ours.append(own)
            torchs.append(other)
        yield row(f"{name}, sum of the three", "torch BatchNorm2d", total(ours), total(torchs), must=MUST)


def _timed(name: str, channels: int, size: int, batch: int, settings: Settings) -> tuple[Track, Track]:
    x, grad = images(channels, size, 0, batch), images(channels, size, 1, batch) / 8
    ours = Step(RangeBatchNorm2d(channels, numerics=NUMERICS[name]), x, grad)
    torchs = Step(nn.BatchNorm2d(channels), x, grad)
    tracks = interleaved({"fxsim": ours.run, "torch": torchs.run}, settings)
    return tracks["fxsim"], tracks["torch"]


def _quiet(call: Callable[[], T]) -> T:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*each range is taken of")  # toys are small
        return call()


def _size(channels: int, size: int) -> str:
    return f"{channels} channels, {size}×{size}"
