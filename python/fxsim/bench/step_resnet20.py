"""How long does a training step of ResNet20 take in exact integer arithmetic, against torch's float32?

Batch 128, SGD with momentum that updates all parameters in a few calls, as `fxsim train` does, torch's float32 in the
better of its two memory formats. Weights and activations of 8 bits rounded to nearest even, gradients of 8 or 16 bits
rounded stochastically to a given scale, integer input and weight gradients; batch normalisation, ReLU and the optimizer
are torch's, or the first two fused (`fx.fuse`). Then AdaPT at a word length of each class (everything rounded
stochastically, backward pass in float32 on the quantized operands), its histories and gradient rule included; it
decides on no new format within so few steps.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fxsim import isa
from fxsim.bench.layers import LAYOUTS, in_layout
from fxsim.bench.measure import Outcome, Settings, fastest, interleaved, require_equal, row
from fxsim.formats import Format
from fxsim.models import ResNet20
from fxsim.models.resnet20 import BasicBlock
from fxsim.nn import convert, fuse
from fxsim.numerics import Numerics
from fxsim.policies import AdaPT, AdaPTConfig
from fxsim.rounding import Quantizer, Stochastic
from fxsim.train.attach import Run, attach
from fxsim.train.convert_for import convert_for

BATCH: Final = 128

_TORCH: Final = "torch float32"


@final
@dataclass(frozen=True, slots=True)
class Subject:
    """A model in training: what a step needs, and the policy's run if there is one."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    run: Run | None = None

    @classmethod
    def of(cls, model: nn.Module, policy: AdaPT | None = None) -> Subject:
        """The model with SGD, under a policy if one is given."""
        optimizer = torch.optim.SGD(model.train().parameters(), lr=0.01, momentum=0.9, foreach=True)
        return cls(model, optimizer, None if policy is None else attach(policy, model, optimizer))

    def backward(self, x: Tensor, y: Tensor) -> None:
        """Forward and backward, and what the policy does with the gradients."""
        loss = cross_entropy(self.model(x), y)
        if self.run is not None:
            loss = loss + self.run.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.run is not None:
            self.run.step(loss)

    def step(self, x: Tensor, y: Tensor) -> None:
        """One step of training."""
        self.backward(x, y)
        self.optimizer.step()
        self.optimizer.zero_grad()


def network() -> ResNet20:
    """The same initial weights for every contender."""
    torch.manual_seed(0)
    return ResNet20()


def small_network() -> nn.Module:
    """Layers of every kind that ResNet20 has, few enough for the scalar reference."""
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    last = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(32, 10))
    return nn.Sequential(OrderedDict(first=first, block=BasicBlock(16, 32, 2), fc=last))


def static(gradient_bits: int, model: nn.Module, *, fused: bool = False) -> Subject:
    """Integer forward and backward; the formats' ranges are those that such a network needs."""
    converted = convert(model, numerics(gradient_bits, 2), {"fc*": numerics(gradient_bits, 6)})
    return Subject.of(fuse(converted) if fused else converted)


def numerics(gradient_bits: int, exponent: int) -> Numerics:
    """Of a layer whose gradients are within 2^-13 * 2^exponent."""
    gradient = Quantizer(Format(gradient_bits, gradient_bits + 12 - exponent), Stochastic(16))
    return Numerics(weight=Format(8, 8), activation=Format(8, 5), grad_output=gradient)


_LOOKBACK: Final = 1_000_000


def adapt(start: Format, model: nn.Module) -> Subject:
    """AdaPT at formats that hold: it decides after more steps than a benchmark takes."""
    policy = AdaPT(AdaPTConfig(start=start, lb_lwr=_LOOKBACK, lb_upr=_LOOKBACK))
    return Subject.of(convert_for(policy, model), policy)


Make = Callable[[nn.Module], Subject]

CONTENDERS: Final[dict[str, tuple[Make, float, float]]] = {
    "8-bit gradients": (partial(static, 8), 1.4, 1.6),
    "16-bit gradients": (partial(static, 16), 1.2, 1.4),
    "8-bit gradients, fused BatchNorm": (partial(static, 8, fused=True), 1.75, 2.1),
    "16-bit gradients, fused BatchNorm": (partial(static, 16, fused=True), 1.45, 1.75),
    "AdaPT, <8,4>": (partial(adapt, Format(8, 4)), 0.8, 1.0),
    "AdaPT, <16,8>": (partial(adapt, Format(16, 8)), 0.65, 0.8),
    "AdaPT, <24,12>": (partial(adapt, Format(24, 12)), 0.4, 0.6),
}
"""By name, with must and aim; AdaPT's formats stand for word lengths up to 8 bits, 9 to 16, 17 to 24."""


def batch(count: int, size: int) -> tuple[Tensor, Tensor]:
    """Images of unit variance, `size` pixels a side, and classes."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, 3, size, size, generator=generator), torch.randint(10, (count,), generator=generator)


def peers(make_network: Callable[[], nn.Module], x: Tensor, y: Tensor) -> dict[str, Callable[[], object]]:
    """Torch's float32 step in both memory formats."""
    found: dict[str, Callable[[], object]] = {}
    for layout in LAYOUTS:
        model = make_network()
        for parameter in model.parameters():
            if parameter.ndim == 4:
                parameter.data = in_layout(parameter.data, layout)
        found[f"torch {layout}"] = partial(Subject.of(model).step, in_layout(x, layout), y)
    return found


def check_bits(name: str, make: Make, model: nn.Module, size: int, other: str) -> None:
    """The gradients of two images are those of another path."""
    active = isa.active()
    x, y = batch(2, size)
    found = []
    for path in (active, other):
        isa.force(path)
        try:
            subject = make(model)
            subject.backward(x, y)
        finally:
            isa.force(active)
        found.append(torch.cat([each.grad.flatten() for each in subject.model.parameters() if each.grad is not None]))
    require_equal(f"step_resnet20, {name}", *found)


def run(settings: Settings) -> Outcome:
    """Check a small network against the scalar reference and the whole one against portable code, then time."""
    timed_network = small_network if settings.toy else network
    x, y = batch(2, 8) if settings.toy else batch(BATCH, 32)
    timed = peers(timed_network, x, y)
    subjects = {}
    for name, (make, _, _) in CONTENDERS.items():
        check_bits(name, make, small_network(), 8, "reference")
        if not settings.toy:
            check_bits(name, make, network(), 32, "portable")
        subjects[name] = make(timed_network())
        timed[name] = partial(subjects[name].step, x, y)
    before = {name: formats(subject) for name, subject in subjects.items()}
    tracks = interleaved(timed, settings)
    best = fastest(tracks[f"torch {layout}"] for layout in LAYOUTS)
    for name, (_, must, aim) in CONTENDERS.items():
        require_formats(f"step_resnet20, {name}", subjects[name], before[name])
        yield row(f"step, {name}", _TORCH, tracks[name], best, must=must, aim=aim)


def formats(subject: Subject) -> dict[str, Format]:
    """Of each layer, by name; none without a policy."""
    return {} if subject.run is None else subject.run.formats


def require_formats(what: str, subject: Subject, before: dict[str, Format]) -> None:
    """Raise ValueError, which begins with `what`, where steps so far were taken at other formats than before."""
    if formats(subject) != before:
        raise ValueError(f"{what}: AdaPT chose other formats meanwhile; give fewer rounds")
