"""The `compare` command: one run of many policies, and one table."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import click
from rich.console import Console
from rich.table import Table

from fxsim import data
from fxsim.cli import choices, training
from fxsim.policies import POLICIES
from fxsim.report import comparison
from fxsim.report.load import load
from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.recipe import recipe_for
from fxsim.train.runfolder import RunFolder, write_atomically

BASELINE: Final = "float32"
TABLE: Final = "comparison.json"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The options of `fxsim compare` as they were given, defaults filled in by the command line."""

    model: str
    data: str
    data_dir: Path | None
    policies: str
    steps: int
    batch_size: int | None
    seed: int
    threads: int | None
    test_limit: int
    out: Path | None


def run(arguments: Arguments) -> bool:
    """Train, print the table and save it. True: to the end."""
    config = configuration(arguments)
    path = arguments.out or training.free_folder(config, "compare")
    if not training.execute(path, config):
        return False
    folder = RunFolder.open(path)
    compared = comparison.compare(load(folder), BASELINE)
    write_atomically(path / TABLE, comparison.to_json(compared).encode())
    console = Console()
    table = Table(box=None, pad_edge=False)
    for heading in comparison.HEADINGS:
        table.add_column(heading, justify="left" if heading == comparison.HEADINGS[0] else "right")
    for row in comparison.rows(compared):
        table.add_row(*row)
    console.print(table)
    console.print(
        f"\n{comparison.LEGEND}\n\nTable:  {(path / TABLE).resolve()}\nReport: {folder.report.resolve()}",
        soft_wrap=True,
    )
    return True


def configuration(arguments: Arguments) -> TrainConfig:
    """The run that trains every policy for at least that many steps: a part of the data once, or all of it again.

    Raises click.UsageError for a policy that does not exist.
    """
    a = arguments
    batch_size = a.batch_size or choices.default_batch_size(a.data)
    data_dir = str(a.data_dir.resolve()) if a.data_dir else ""
    per_epoch = data.batch_count(data.load(a.data, data_dir or None), "train", batch_size)
    return TrainConfig(
        model=a.model,
        data=a.data,
        data_dir=data_dir,
        recipes=tuple(recipe_for(name, a.model) for name in chosen(a.policies)),
        environment=Environment.current(a.threads or len(os.sched_getaffinity(0))),
        epochs=-(-a.steps // per_epoch),
        batch_size=batch_size,
        seed=a.seed,
        train_limit=a.steps * batch_size if a.steps < per_epoch else 0,
        test_limit=a.test_limit,
    )


def chosen(text: str) -> list[str]:
    """The names in "all" or "a,b,c", each once, float32 first.

    Raises click.UsageError for a name that is no policy's.
    """
    names = list(POLICIES) if text == "all" else [each.strip() for each in text.split(",")]
    unknown = [name for name in names if name not in POLICIES]
    if unknown:
        raise click.UsageError(f"--policies: {', '.join(unknown)}: no such policy; give all, or {', '.join(POLICIES)}")
    return list(dict.fromkeys([BASELINE, *names]))
