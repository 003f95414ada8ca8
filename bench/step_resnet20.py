"""How long does a training step of ResNet20 take in exact integer arithmetic, against plain torch float32?

Batch 128, SGD with momentum. Static word lengths and AdaPT (stochastic rounding, float32 backward pass) at 8 and at 16
bits; AdaPT decides on no new format within so few steps. The logits are compared with the scalar reference first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import nn
from torch.nn.functional import cross_entropy

import fxsim as fx
from fxsim.models import ResNet20
from fxsim.policies import AdaPT, AdaPTConfig, Policy, Static
from fxsim.train.attach import attach
from fxsim.train.convert_for import convert_for
from measure import interleaved, options, report

BATCH: Final = 128
FORMATS: Final = (fx.Format(8, 4), fx.Format(16, 8))


def policies() -> dict[str, Callable[[], Policy]]:
    """The fixed-point contenders by name."""
    named: dict[str, Callable[[], Policy]] = {}
    for format_ in FORMATS:
        named[f"static_{format_.wl}"] = lambda format_=format_: Static(format_)  # type: ignore[misc]
        named[f"adapt_{format_.wl}"] = lambda format_=format_: AdaPT(AdaPTConfig(start=format_))  # type: ignore[misc]
    return named


def network() -> ResNet20:
    """The same initial weights for every contender."""
    torch.manual_seed(0)
    return ResNet20()


def check_bits(make_policy: Callable[[], Policy]) -> None:
    """The paths of this machine and the scalar reference give the same logits for one image."""
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    logits = []
    for isa in (None, "reference"):
        fx.isa.force(isa)
        model = convert_for(make_policy(), network()).eval()
        with torch.no_grad():
            logits.append(model(image))
    fx.isa.force(None)
    if not torch.equal(*logits):
        raise SystemExit("step_resnet20: the bits are wrong, so there is nothing to time")


def stepper(policy: Policy | None, x: torch.Tensor, y: torch.Tensor) -> Callable[[], None]:
    """A function that takes one training step; plain torch without a policy."""
    plain = network()
    model: nn.Module = plain if policy is None else convert_for(policy, plain)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    run = None if policy is None else attach(policy, model, optimizer)
    model.train()

    def step() -> None:
        loss = cross_entropy(model(x), y)
        if run is not None:
            loss = loss + run.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        if run is not None:
            run.step(loss)
        optimizer.step()
        optimizer.zero_grad()

    return step


def main() -> None:
    """Check, time, print."""
    given = options("A training step of ResNet20, batch 128, against torch float32", rounds=5)
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(BATCH, 3, 32, 32, generator=generator)
    y = torch.randint(10, (BATCH,), generator=generator)
    contenders = {"torch_float32": stepper(None, x, y)}
    for name, make_policy in policies().items():
        check_bits(make_policy)
        contenders[name] = stepper(make_policy(), x, y)
    seconds = interleaved(contenders, rounds=given.rounds)
    report(
        given,
        {
            "benchmark": "step_resnet20",
            "batch": BATCH,
            "seconds": seconds,
            "times_torch_float32": {name: time / seconds["torch_float32"] for name, time in seconds.items()},
        },
    )


if __name__ == "__main__":
    main()
