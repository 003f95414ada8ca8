"""The `compare` command: one run of many policies, each in a folder of its own, and one table."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import traceback
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import click
import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fxsim import data
from fxsim.bench.machine import Machine
from fxsim.cli import choices, training
from fxsim.policies import POLICIES
from fxsim.report import comparison, page
from fxsim.report.comparison import Compared
from fxsim.report.load import RunData, gather
from fxsim.report.portrait import portrait
from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.recipe import recipe_for
from fxsim.train.runfolder import CHECKPOINT, CONFIG, REPORT, RunFolder, write_atomically

BASELINE: Final = "float32"
TABLE: Final = "comparison.json"
PLAN: Final = "compare.json"
PLOT: Final = "plot.svg"
FAILURE: Final = "failure.txt"

FAILED: Final = 1
"""Exit status where a policy did not come to its end."""


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
    resume: bool


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """A comparison under way. command: that repeats it. machine: where and when it began. config: all its networks."""

    command: str
    machine: str
    config: TrainConfig

    def to_json(self) -> str:
        return json.dumps({"command": self.command, "machine": self.machine, "config": self.config.to_toml()}) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        content = json.loads(text)
        return cls(content["command"], content["machine"], TrainConfig.from_toml(content["config"]))


def run(arguments: Arguments, given: AbstractSet[str]) -> int:
    """Train one policy after the other, print the table and save it. given: as in `training.run`.

    Returns the exit status: 0; FAILED where a policy failed, which its row says; `training.INTERRUPTED`.
    """
    path, plan = _resumed(arguments, given) if arguments.resume else _begun(arguments)
    console = Console()
    failures: dict[str, str] = {}
    for recipe in plan.config.recipes:
        alone = dataclasses.replace(plan.config, recipes=(recipe,))
        try:
            if not _trained(path, recipe.name, alone, arguments.threads):
                return training.INTERRUPTED
        except KeyboardInterrupt:  # before this policy's first checkpoint: it will begin anew
            training.say_how_to_resume(console, "Stopped at once.", _go_on(path))
            return training.INTERRUPTED
        except Exception as error:  # noqa: BLE001 - whatever ends one policy is a row of the table, and no more
            failures[recipe.name] = _failure(path / recipe.name, error)
            console.print(f"{recipe.name} failed: {escape(failures[recipe.name])}", soft_wrap=True, highlight=False)
    _show(console, path, write(path, plan, failures))
    return FAILED if failures else 0


def write(path: Path, plan: Plan, failures: dict[str, str]) -> tuple[Compared, ...]:
    """Write the table, the report and a plot for each policy into the folder; the table's rows."""
    found = gather(plan.config, {each.name: RunFolder.open(path / each.name) for each in _present(path, plan)})
    compared = comparison.compare(found, BASELINE, failures)
    about = {"command": plan.command, "machine": plan.machine}
    write_atomically(path / TABLE, comparison.to_json(compared, about))
    write_atomically(path / REPORT, page.render(found))
    _plot(path, found)
    return compared


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


def _begun(arguments: Arguments) -> tuple[Path, Plan]:
    config = configuration(arguments)
    path = arguments.out or training.free_folder(config, "compare")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(
            f"{path} exists and is not empty; go on with the comparison in it, fxsim compare --resume --out "
            f"{shlex.quote(str(path))}, or name another folder for a new one"
        )
    torch.set_num_threads(config.threads)
    plan = Plan(_command(arguments, config), str(Machine.current()), config)
    path.mkdir(parents=True, exist_ok=True)
    write_atomically(path / PLAN, plan.to_json())
    return path, plan


def _resumed(arguments: Arguments, given: AbstractSet[str]) -> tuple[Path, Plan]:
    others = sorted(given - {"resume", "out", "threads"})
    if others:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise click.UsageError(f"--resume goes on with the comparison as it was started; leave out {options}")
    if arguments.out is None:
        raise click.UsageError("--resume needs --out, the folder of the comparison to go on with")
    if not (arguments.out / PLAN).is_file():
        raise FileNotFoundError(f"{arguments.out} is not the folder of a comparison: it holds no {PLAN}")
    return arguments.out, Plan.from_json((arguments.out / PLAN).read_text(encoding="utf-8"))


def _command(arguments: Arguments, config: TrainConfig) -> str:
    """The command without the folders, which differ from machine to machine."""
    parts = ["fxsim", "compare", "--model", config.model, "--data", config.data, "--policies", arguments.policies]
    parts += ["--steps", str(arguments.steps), "--batch-size", str(config.batch_size), "--seed", str(config.seed)]
    if config.test_limit:
        parts += ["--test-limit", str(config.test_limit)]
    return shlex.join([*parts, "--threads", str(config.threads)])


def _trained(path: Path, name: str, config: TrainConfig, threads: int | None) -> bool:
    """Train one policy in its folder, or go on with it. True: to its end."""
    folder = path / name
    (folder / FAILURE).unlink(missing_ok=True)
    begun = (folder / CHECKPOINT).is_file()
    if folder.exists() and not begun:  # it ended before its first checkpoint
        shutil.rmtree(folder)
    return training.execute(folder, None if begun else config, threads=threads, go_on=_go_on(path))


def _go_on(path: Path) -> tuple[str, ...]:
    return ("fxsim", "compare", "--resume", "--out", str(path))


def _failure(folder: Path, error: Exception) -> str:
    """The message of what ended a policy; where it came from is written into the policy's folder."""
    folder.mkdir(exist_ok=True)
    (folder / FAILURE).write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    message = str(error) or "no message"
    return message if isinstance(error, ValueError) else f"{type(error).__name__}: {message}"


def _present(path: Path, plan: Plan) -> list[Path]:
    folders = [path / recipe.name for recipe in plan.config.recipes]
    return [folder for folder in folders if (folder / CONFIG).is_file()]


def _plot(path: Path, found: RunData) -> None:
    baseline = next(log for log in found.logs if log.name == BASELINE)
    for log in found.logs:
        if log.train:
            write_atomically(path / log.name / PLOT, portrait(log, baseline))


def _show(console: Console, path: Path, compared: tuple[Compared, ...]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in comparison.HEADINGS:
        table.add_column(heading, justify="left" if heading == comparison.HEADINGS[0] else "right")
    for row in comparison.rows(compared):
        table.add_row(*row)
    console.print(table)
    console.print(f"\n{comparison.LEGEND}", soft_wrap=True)
    for each in compared:
        if each.failure:
            console.print(f"{each.policy} failed: {escape(each.failure)}", soft_wrap=True, highlight=False)
    console.print(f"\nTable:  {(path / TABLE).resolve()}\nReport: {(path / REPORT).resolve()}", soft_wrap=True)
