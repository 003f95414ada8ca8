"""FracTrain's sign that a precision has given what it can: the loss has stopped moving."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, final

REMEMBERED: Final = 5
"""Epoch losses that must agree."""

SETTLING: Final = 10
"""Epochs over which the scale of the loss is measured."""

SCALED_TURNS: Final = (1, 2)
"""Turns after which the tolerance shrinks."""


@final
@dataclass(slots=True)
class Indicator:
    """The losses of past epochs, and how many turns there were.

    eps: the tolerance now. alpha: what a turn multiplies it with. turns: the most there can be.
    """

    eps: float
    alpha: float
    turns: int
    stage: int = 0
    epochs: int = 0
    scale: float = math.nan
    early: list[float] = field(default_factory=list)
    history: list[float] = field(default_factory=list)

    def add(self, loss: float) -> bool:
        """Take the mean loss of an epoch in; whether the next stage begins.

        It does when the last five losses are known and none of them differs from the last by more than eps times the
        mean loss of the run's first ten epochs. A rising loss differs as well, and holds the turn up.

        Source: Fu et al. 2020, section 3.2, as in the authors' code.
        """
        self.epochs += 1
        if self.epochs <= SETTLING:
            self.early.append(loss)
            self.scale = math.fsum(self.early) / len(self.early)
        if self.stage >= self.turns:
            return False
        self.history = [*self.history, loss][-REMEMBERED:]
        settled = all(abs(each - loss) <= self.eps * self.scale for each in self.history)
        if len(self.history) < REMEMBERED or not settled:
            return False
        self.turn()
        return True

    def turn(self) -> None:
        """Begin the next stage."""
        self.stage += 1
        self.history = []
        if self.stage in SCALED_TURNS:
            self.eps *= self.alpha

    def to_dict(self) -> dict[str, Any]:
        """The state, with a scale only where there is one."""
        return {
            "eps": self.eps,
            "stage": self.stage,
            "epochs": self.epochs,
            "early": list(self.early),
            "history": list(self.history),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any], *, alpha: float, turns: int) -> Self:
        """The indicator whose state this is."""
        early = [float(each) for each in state["early"]]
        return cls(
            eps=float(state["eps"]),
            alpha=alpha,
            turns=turns,
            stage=int(state["stage"]),
            epochs=int(state["epochs"]),
            scale=math.fsum(early) / len(early) if early else math.nan,
            early=early,
            history=[float(each) for each in state["history"]],
        )


def due_stage(step: int, total_steps: int, turns: int) -> int:
    """The stage that must have begun after `step` steps: stage i + 1 at the latest at (i + 1) / (turns + 1) of the run.

    Without these deadlines short runs end before the loss has settled, at low precision.
    """
    return min(turns, step * (turns + 1) // total_steps)
