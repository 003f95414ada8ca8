"""What does counting add to a training step of ResNet20, and how long does it take to price a training?

A step is timed with a level 0 count around it against the same step without; and with one that does not watch torch's
own operations, which is what the counts of the integer operations cost. All are steps of one and the same training,
for where the tensors of another lie in memory costs more or less too. Each takes three steps in its turn, of which the
last two are timed: a training goes on as it began, and the first step after another kind finds Python's code and memory
prepared for that. Then the counts of one step stand for every step of a training of 10,000, each window a step of its
own, which is what a policy that changes formats all the time leaves at most; pricing them all has ten seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from fxsim.bench.measure import Outcome, Row, Settings, in_turns, interleaved, require_equal, row, total
from fxsim.bench.step_resnet20 import (
    BATCH,
    CONTENDERS,
    Subject,
    batch,
    formats,
    network,
    require_formats,
    small_network,
)
from fxsim.cost import accelerators
from fxsim.cost.counting import count
from fxsim.cost.counts import Counts
from fxsim.cost.windows import Window

STEPS: Final = 10_000
SECONDS: Final = 10.0
"""That pricing so many steps may take."""

_COUNTED: Final = ("8-bit gradients", "AdaPT, <8,4>")

_WHAT: Final = MappingProxyType({"counted": "counted", "own": "counted, torch not watched"})


def run(settings: Settings) -> Outcome:
    """Check that counting changes no bit, then time steps with and without it, then the pricing."""
    make_network = small_network if settings.toy else network
    x, y = batch(2, 8) if settings.toy else batch(BATCH, 32)
    counts = Counts()
    for name in _COUNTED:
        make = CONTENDERS[name][0]
        silent, counted = make(make_network()), make(make_network())
        silent.step(x, y)
        counts = _step(counted, x, y)
        require_equal(f"cost, {name}", *(_weights(each) for each in (counted, silent)))
        timed: dict[str, Callable[[], object]] = {
            "silent": partial(counted.step, x, y),
            "counted": partial(_step, counted, x, y),
            "own": partial(_step, counted, x, y, floats=False),
        }
        before = formats(counted)
        tracks = {each: total(turn[1:]) for each, turn in in_turns(timed, settings, 3).items()}
        require_formats(f"cost, {name}", counted, before)
        for what, text in _WHAT.items():
            yield row(f"step, {name}, {text}", "not counted", tracks[what], tracks["silent"], must=0.95, aim=0.98)
    yield _pricing(counts, 3 if settings.toy else STEPS)


def _step(subject: Subject, x: Tensor, y: Tensor, *, floats: bool = True) -> Counts:
    with count(floats=floats) as counts:
        subject.step(x, y)
    return counts


def _weights(subject: Subject) -> Tensor:
    return torch.cat([each.detach().flatten() for each in subject.model.parameters()])


def _pricing(counts: Counts, steps: int) -> Row:
    windows = [Window(step + 1, 1, counts) for step in range(steps)]
    machine = accelerators.systolic(32, 32, "os")
    [track] = interleaved({"": partial(machine.evaluate, windows)}, Settings(rounds=1)).values()
    return Row(
        what=f"price {steps:,} steps",
        against=f"{SECONDS:.0f} s",
        ratio=SECONDS / max(track.median, 1e-9),
        must=1.0,
        aim=2.0,
        seconds=track.median,
        against_seconds=SECONDS,
    )
