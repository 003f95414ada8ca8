"""A run as it goes, on the terminal: a bar for each network; where there is no terminal, a line each epoch."""

from __future__ import annotations

from collections import deque
from typing import Final, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from fxsim.train.lines import TestLine
from fxsim.train.observer import Plan, Progress, Standing

_SMOOTHING: Final = 20
"""Steps whose mean the shown loss and accuracy are."""


@final
class TerminalObserver:
    """Shows progress; made for one run, used as a context.

    saved_step: of the last checkpoint; None before the first.
    """

    def __init__(self, console: Console) -> None:
        self._console: Final = console
        self._bars: Final = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._recent: dict[str, deque[Standing]] = {}
        self._tested: dict[str, float] = {}
        self._plan: Plan | None = None
        self.saved_step: int | None = None

    def __enter__(self) -> TerminalObserver:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def started(self, plan: Plan) -> None:
        self._plan = plan
        if plan.first_step:
            self._console.print(f"Resumed at step {plan.first_step:,} of {plan.total_steps:,}.", highlight=False)
        for run in plan.runs:
            self._tasks[run] = self._bars.add_task(run, total=plan.total_steps, completed=plan.first_step, state="")
            self._recent[run] = deque(maxlen=_SMOOTHING)

    def measured(self, run: str, step: int, steps: int) -> None:
        name = f"{run}, measuring"
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=steps, state="before the first step")
            if not self._console.is_terminal:
                self._console.print(f"{run}: measuring, {steps:,} steps before the first", highlight=False)
        self._bars.update(self._tasks[name], completed=step)

    def stepped(self, progress: Progress) -> None:
        for standing in progress.standings:
            self._recent[standing.run].append(standing)
            self._bars.update(self._tasks[standing.run], completed=progress.step, state=self._state(standing.run))

    def evaluated(self, line: TestLine) -> None:
        self._tested[line.run] = line.accuracy
        if self._plan is None or self._console.is_terminal:
            return
        place = "finalized" if line.finalized else f"epoch {line.epoch + 1}/{self._plan.epochs}"
        self._console.print(f"{place}  {line.run}: {self._state(line.run)}", highlight=False, soft_wrap=True)

    def checkpointed(self, step: int) -> None:
        self.saved_step = step

    def stopping(self) -> None:
        """The user asked to stop."""
        self._console.print("Stopping after this step; once more to stop at once.", highlight=False)

    def _state(self, run: str) -> str:
        recent = self._recent[run]
        parts = []
        if recent:
            loss = sum(each.loss for each in recent) / len(recent)
            accuracy = sum(each.accuracy for each in recent) / len(recent)
            parts += [f"loss {loss:.3f}", f"accuracy {100 * accuracy:5.1f} %"]
        if run in self._tested:
            parts.append(f"test {100 * self._tested[run]:.1f} %")
        if recent:
            parts.append(f"{recent[-1].mean_word_length:4.1f} bits")
        return "  ".join(parts)
