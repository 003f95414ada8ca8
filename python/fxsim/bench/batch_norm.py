"""How fast is fused float32 BatchNorm, addition and ReLU in training, against torch's three modules?

At batch 128 in channels-last memory, on the image sizes of ResNet20, forward and backward apart: with the addition of
a shortcut as at the end of a block, and without as in its middle. The bits are compared with the reference's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fxsim import reference
from fxsim.bench.layers import in_layout
from fxsim.bench.measure import Outcome, Settings, Track, interleaved, require_equal, row, total
from fxsim.nn import BatchNormReLU2d

BATCH: Final = 128
SIZES: Final = ((16, 32), (32, 16), (64, 8))
"""Channels, and pixels a side."""

MUST: Final = 1.8

Images = tuple[Tensor, Tensor | None]
Module = Callable[[Tensor, Tensor | None], Tensor]


class Plain(nn.Module):
    """Torch's modules one after the other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor, residual: Tensor | None) -> Tensor:
        """As in a block of ResNet20."""
        y = self.norm(x)
        result: Tensor = self.relu(y if residual is None else y + residual)
        return result


def images(channels: int, size: int, seed: int, batch: int) -> Tensor:
    """Of unit variance, channels last in memory."""
    x = torch.randn(batch, channels, size, size, generator=torch.Generator().manual_seed(seed))
    return in_layout(x, "channels_last")


class Step:
    """A training step of one module on given images: the forward, and the backward of the last forward."""

    def __init__(self, module: Module, x: Tensor, residual: Tensor | None, grad: Tensor) -> None:
        self.module, self.grad = module, grad
        self.inputs: Images = (
            x.clone().requires_grad_(),
            None if residual is None else residual.clone().requires_grad_(),
        )
        self.y = grad

    def forward(self) -> None:
        """The result, kept for the backward."""
        self.y = self.module(*self.inputs)

    def backward(self) -> None:
        """Gradients of images and parameters."""
        for each in self.inputs:
            if each is not None:
                each.grad = None
        self.y.backward(self.grad)  # type: ignore[no-untyped-call]


def check_bits(channels: int, size: int, *, added: bool) -> None:
    """Result and gradients of two images are the reference's."""
    x, shortcut, grad = (images(channels, size, seed, 2) for seed in range(3))
    module = BatchNormReLU2d(channels)
    step = Step(module, x, shortcut if added else None, grad)
    step.forward()
    step.backward()
    statistics = reference.batch_statistics(_pixels(x))
    rest = (statistics.mean, statistics.variance, None, None, _pixels(shortcut) if added else None)
    y = reference.batch_norm_relu(_pixels(x), *rest, eps=module.eps, relu=True)
    gradients = reference.batch_norm_relu_backward(
        _pixels(grad), _pixels(x), *rest, eps=module.eps, relu=True, batch_statistics=True
    )
    name = f"batch_norm_relu, {_name(channels, size, added=added)}"
    require_equal(name, torch.from_numpy(_pixels(step.y)), torch.from_numpy(y))
    for given, expected in zip(step.inputs, (gradients.x, gradients.residual), strict=True):
        if given is not None:
            assert given.grad is not None  # noqa: S101 - for mypy; backward has just filled it
            require_equal(name, torch.from_numpy(_pixels(given.grad)), torch.from_numpy(expected))


def run(settings: Settings) -> Outcome:
    """Check, time, compare each size, and the sum over the sizes."""
    for added in (True, False):
        found: dict[str, list[Track]] = {}
        for channels, full_size in SIZES:
            size, batch = (full_size // 8, 2) if settings.toy else (full_size, BATCH)
            check_bits(channels, size, added=added)
            tracks = _timed(channels, size, batch, added, settings)
            for way in ("forward", "backward"):
                ours, torchs = tracks[f"fxsim {way}"], tracks[f"torch {way}"]
                yield row(f"{way}, {_name(channels, size, added=added)}", _peer(added), ours, torchs)
                found.setdefault(f"fxsim {way}", []).append(ours)
                found.setdefault(f"torch {way}", []).append(torchs)
        for way in ("forward", "backward"):
            ours, torchs = total(found[f"fxsim {way}"]), total(found[f"torch {way}"])
            what = f"{way}, {_text(added)}, sum of the three"
            yield row(what, _peer(added), ours, torchs, must=MUST if added else None)


def _timed(channels: int, size: int, batch: int, added: bool, settings: Settings) -> dict[str, Track]:
    x, shortcut, grad = (images(channels, size, seed, batch) for seed in range(3))
    modules: dict[str, Module] = {"fxsim": BatchNormReLU2d(channels), "torch": Plain(channels)}
    contenders: dict[str, Callable[[], object]] = {}
    for name, module in modules.items():
        step = Step(module, x, shortcut if added else None, grad)
        contenders[f"{name} forward"] = step.forward
        contenders[f"{name} backward"] = step.backward
    return interleaved(contenders, settings)


def _pixels(x: Tensor) -> npt.NDArray[np.float32]:
    return x.detach().permute(0, 2, 3, 1).reshape(-1, x.shape[1]).numpy()


def _text(added: bool) -> str:
    return "with addition" if added else "without addition"


def _peer(added: bool) -> str:
    return "torch BatchNorm2d, addition, ReLU" if added else "torch BatchNorm2d, ReLU"


def _name(channels: int, size: int, *, added: bool) -> str:
    return f"{_text(added)}, {channels} channels, {size}×{size}"
