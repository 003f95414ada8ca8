"""Stages of a run: the indicator fed with epoch means, and the deadlines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, final

from fxsim.policies.fractrain.indicator import Indicator, due_stage

EPOCHS_OF_A_RUN: Final = 40
SHORTEST_EPOCH: Final = 25


@final
class Clock:
    """Which stage a run is in.

    eps, alpha, turns: of the `Indicator`. total_steps: of the run. epoch_steps: steps between two looks at the loss.
    """

    def __init__(self, eps: float, alpha: float, turns: int, total_steps: int, epoch_steps: int) -> None:
        self._indicator = Indicator(eps, alpha, turns)
        self._total: Final = total_steps
        self._epoch_steps: Final = epoch_steps
        self._losses = 0.0

    @property
    def stage(self) -> int:
        """From 0."""
        return self._indicator.stage

    def advance(self, step: int, loss: float) -> str:
        """Take step number `step`, from 0, in; why a stage began after it, "" if none did.

        The deadline is looked at before the indicator.
        """
        self._losses += loss
        if due_stage(step + 1, self._total, self._indicator.turns) > self.stage:
            self._indicator.turn()
            reason = "deadline"
        else:
            reason = ""
        if (step + 1) % self._epoch_steps == 0:
            mean, self._losses = self._losses / self._epoch_steps, 0.0
            if self._indicator.add(mean) and not reason:
                reason = "indicator"
        return reason

    def to_dict(self) -> dict[str, Any]:
        """The state."""
        return {"indicator": self._indicator.to_dict(), "losses": self._losses}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `to_dict` gave."""
        mine = self._indicator
        self._indicator = Indicator.from_dict(state["indicator"], alpha=mine.alpha, turns=mine.turns)
        self._losses = float(state["losses"])


def epoch_length(total_steps: int) -> int:
    """Steps between two looks at the loss where none are given."""
    return max(SHORTEST_EPOCH, total_steps // EPOCHS_OF_A_RUN)
