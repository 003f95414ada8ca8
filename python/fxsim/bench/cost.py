"""What does counting add to a training step of ResNet20, and how long does it take to price a training?

A step is timed with a level 0 count around it against the same step without; and with one that does not watch torch's
own operations, which is what the counts of the integer operations cost. Watching torch takes a dispatch mode, so the
step is timed under one that does nothing as well: what that takes, no counter can save. Then the counts of one step
stand for every step of a training of 10,000, each window a step of its own, which is what a policy that changes formats
all the time leaves at most; pricing them all has ten seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, final

import torch
from torch import Tensor

from fxsim.bench.measure import Outcome, Row, Settings, interleaved, require_equal, row
from fxsim.bench.step_resnet20 import BATCH, CONTENDERS, Subject, batch, network, small_network
from fxsim.cost import accelerators
from fxsim.cost.counting import count
from fxsim.cost.counts import Counts
from fxsim.cost.windows import Window
from fxsim.ops import Onlooker

STEPS: Final = 10_000
SECONDS: Final = 10.0
"""That pricing so many steps may take."""

_COUNTED: Final = ("8-bit gradients", "AdaPT, <8,4>")

_WHAT: Final = MappingProxyType(
    {
        "silent": "not counted",
        "counted": "counted",
        "own": "counted, torch not watched",
        "idle": "under a dispatch mode that does nothing",
    }
)

_ROWS: Final = (
    ("counted", "silent", 0.95),
    ("own", "silent", 0.95),
    ("idle", "silent", None),
    ("counted", "idle", 0.95),
)
"""What is timed, against what, and the ratio it must have."""


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
            "silent": partial(silent.step, x, y),
            "counted": partial(_step, counted, x, y),
            "own": partial(_step, counted, x, y, floats=False),
            "idle": partial(_idle_step, counted, x, y),
        }
        tracks = interleaved(timed, settings)
        for what, against, must in _ROWS:
            aim = None if must is None else 0.98
            yield row(f"step, {name}, {_WHAT[what]}", _WHAT[against], tracks[what], tracks[against], must=must, aim=aim)
    yield _pricing(counts, 3 if settings.toy else STEPS)


def _step(subject: Subject, x: Tensor, y: Tensor, *, floats: bool = True) -> Counts:
    with count(floats=floats) as counts:
        subject.step(x, y)
    return counts


@final
class _Idle(Onlooker):  # type: ignore[no-untyped-call]
    """Sees what torch does, and does nothing about it."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


def _idle_step(subject: Subject, x: Tensor, y: Tensor) -> None:
    with _Idle():
        subject.step(x, y)


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
