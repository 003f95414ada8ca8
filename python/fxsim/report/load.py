"""A run folder as data: lines by network, switches as intervals of time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from fxsim.cost.counts import Counts
from fxsim.cost.windows import Window
from fxsim.formats import Format
from fxsim.train.config import TrainConfig
from fxsim.train.lines import SwitchLine, TestLine, TrainLine
from fxsim.train.recipe import Recipe
from fxsim.train.runfolder import COUNTS, RunFolder


@final
@dataclass(frozen=True, slots=True)
class Span:
    """A layer kept one format from step `first` up to and including step `last`, counted from 1."""

    first: int
    last: int
    format: Format


@final
@dataclass(frozen=True, slots=True)
class RunLog:
    """What one network of a run left.

    counts: all its training operations, None until the run is over. windows: the same over time, as far as it has come.
    inference: operations of the evaluation in the formats kept; None without one, or where nothing is counted.
    """

    recipe: Recipe
    train: tuple[TrainLine, ...]
    test: tuple[TestLine, ...]
    switches: tuple[SwitchLine, ...]
    counts: Counts | None
    windows: tuple[Window, ...] = ()
    inference: Counts | None = None

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def steps(self) -> int:
        """Optimizer steps recorded."""
        return self.train[-1].step if self.train else 0

    @property
    def finalized(self) -> TestLine | None:
        """The evaluation in the formats that were kept; None until the run is over."""
        return next((line for line in reversed(self.test) if line.finalized), None)

    def spans(self) -> dict[str, tuple[Span, ...]]:
        """When each weighted layer had which format, exactly; empty for floating point."""
        if not self.train:
            return {}
        return {
            layer: _spans(Format(*now), [each for each in self.switches if each.layer == layer], self.steps)
            for layer, now in self.train[-1].word_lengths.items()
        }


def _spans(last_known: Format, switches: list[SwitchLine], steps: int) -> tuple[Span, ...]:
    changes = [each for each in switches if each.old != each.new and each.step < steps]
    spans: list[Span] = []
    first, now = 1, Format.parse(changes[0].old) if changes else last_known
    for change in changes:
        spans.append(Span(first, change.step, now))
        first, now = change.step + 1, Format.parse(change.new)
    spans.append(Span(first, steps, now))
    return tuple(spans)


@final
@dataclass(frozen=True, slots=True)
class RunData:
    """Everything a report is made of."""

    config: TrainConfig
    logs: tuple[RunLog, ...]

    @property
    def steps(self) -> int:
        return max(log.steps for log in self.logs)

    @property
    def finished(self) -> bool:
        return all(log.finalized is not None for log in self.logs)


def load(folder: RunFolder) -> RunData:
    """Read a run folder, of a finished run or of one under way.

    Raises:
        ValueError: a file holds something else than a run leaves.
    """
    config = folder.config()
    metrics = tuple(folder.metrics())
    switches = tuple(folder.switches())
    counts = _counts(folder)
    windows = tuple(folder.windows())
    return RunData(
        config,
        tuple(
            RunLog(
                recipe,
                tuple(line for line in metrics if isinstance(line, TrainLine) and line.run == recipe.name),
                tuple(line for line in metrics if isinstance(line, TestLine) and line.run == recipe.name),
                tuple(line for line in switches if line.run == recipe.name),
                counts.get(recipe.name),
                tuple(each for each in windows if each.run == recipe.name and each.steps),
                next((each.counts for each in windows if each.run == recipe.name and not each.steps), None),
            )
            for recipe in config.recipes
        ),
    )


def gather(config: TrainConfig, folders: Mapping[str, RunFolder]) -> RunData:
    """Networks that were trained in folders of their own, as one run; those without a folder have no lines.

    config: names all networks, in order. folders: by the name of the network.

    Raises:
        ValueError: as `load`.
    """
    logs = [
        next((log for log in load(folders[recipe.name]).logs if log.name == recipe.name), None)
        if recipe.name in folders
        else None
        for recipe in config.recipes
    ]
    return RunData(
        config,
        tuple(
            RunLog(recipe, (), (), (), None) if log is None else log
            for recipe, log in zip(config.recipes, logs, strict=True)
        ),
    )


_NO_COUNTS: Final[Mapping[str, Counts]] = {}


def _counts(folder: RunFolder) -> Mapping[str, Counts]:
    path = folder.path / COUNTS
    if not path.is_file():
        return _NO_COUNTS
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: Counts.from_json(json.dumps(each)) for name, each in content.items()}
