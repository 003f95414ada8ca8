"""How a run tells its caller what happens: the loop itself prints nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

from fxsim.train.lines import TestLine


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is about to do. first_step: steps already done, above 0 when it is resumed."""

    folder: Path
    runs: tuple[str, ...]
    epochs: int
    steps_per_epoch: int
    first_step: int

    @property
    def total_steps(self) -> int:
        return self.epochs * self.steps_per_epoch


@final
@dataclass(frozen=True, slots=True)
class Standing:
    """One network after a step, on the batch of that step."""

    run: str
    loss: float
    accuracy: float
    mean_word_length: float


@final
@dataclass(frozen=True, slots=True)
class Progress:
    """A step was taken. step: steps done so far. epoch: the epoch the step belongs to, from 0."""

    step: int
    epoch: int
    standings: tuple[Standing, ...]


class Observer(Protocol):
    """What a run calls as it goes, on its own thread. What a method raises ends the run there."""

    def measured(self, run: str, step: int, steps: int) -> None:
        """After every step of the training that a policy measures before the actual one: `step` of `steps` done."""

    def started(self, plan: Plan) -> None:
        """Once, before the first step."""

    def stepped(self, progress: Progress) -> None:
        """After every step."""

    def evaluated(self, line: TestLine) -> None:
        """After every evaluation on the test data."""

    def checkpointed(self, step: int) -> None:
        """After every checkpoint: a run that ends now can be resumed from this step."""


@final
class Silent:
    """The observer that looks away."""

    def measured(self, run: str, step: int, steps: int) -> None:
        pass

    def started(self, plan: Plan) -> None:
        pass

    def stepped(self, progress: Progress) -> None:
        pass

    def evaluated(self, line: TestLine) -> None:
        pass

    def checkpointed(self, step: int) -> None:
        pass
