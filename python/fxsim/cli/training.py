"""The `train` command: from options to a run folder, with everything the user sees on the way."""

from __future__ import annotations

import logging
import shlex
import warnings
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from fxsim.cli import choices
from fxsim.cli.choices import Arguments
from fxsim.cli.progress import TerminalObserver
from fxsim.cli.stopping import stoppable
from fxsim.report import page, summary
from fxsim.report.load import load
from fxsim.train import loop
from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.runfolder import RunFolder

__all__ = ["INTERRUPTED", "Arguments", "execute", "run", "say_how_to_resume", "show_result"]

INTERRUPTED: Final = 130
"""Exit status of a run that Ctrl-C ended: that of a shell."""

RUNS: Final = Path("runs")


def run(arguments: Arguments, given: AbstractSet[str]) -> bool:
    """Train as the options say. given: names of the options that were on the command line. True: to its end."""
    config = None if arguments.resume else _configuration(arguments, given)
    path = _resumed(arguments, given) if config is None else arguments.out or free_folder(config)
    finished = execute(path, config, threads=arguments.threads)
    if finished:
        show_result(RunFolder.open(path))
    return finished


def execute(path: Path, config: TrainConfig | None, *, threads: int | None = None, go_on: Sequence[str] = ()) -> bool:
    """Train in a new folder, or, without a configuration, go on in an old one; with bars, messages and a report.

    threads: for a run that is gone on with. go_on: the command for that, if it is not that of `train`. True: to its
    end; else the user was told how to go on.
    """
    command = go_on or ("fxsim", "train", "--resume", "--out", str(path))
    console = Console()
    observer = TerminalObserver(console)
    try:
        with _messages(console), observer, stoppable(observer.stopping) as stop:
            if config is None:
                finished = loop.resume(path, observer=observer, stop=stop, threads=threads)
            else:
                finished = loop.train(config, path, observer=observer, stop=stop)
    except KeyboardInterrupt:
        if observer.saved_step is None:
            raise
        say_how_to_resume(console, f"Stopped at once; the last checkpoint is of step {observer.saved_step:,}.", command)
        return False
    page.write(RunFolder.open(path))
    if not finished:
        say_how_to_resume(console, "Stopped.", command)
    return finished


def say_how_to_resume(console: Console, event: str, command: Sequence[str]) -> None:
    """Tell of an event, and by which command the run goes on."""
    console.print(f"{event} To go on:  {shlex.join(command)}", highlight=False, soft_wrap=True)


def show_result(folder: RunFolder) -> None:
    """The small table of a run, and where its report is."""
    console = Console()
    run_data = load(folder)
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for log in run_data.logs:
        table.add_column(log.name, justify="right")
    for row in summary.table(run_data):
        table.add_row(row.label, *row.values)
    console.print(table)
    console.print(f"\nReport: {folder.report.resolve()}", highlight=False, soft_wrap=True)


def free_folder(config: TrainConfig, what: str = "") -> Path:
    """A folder below `runs` that is not there yet. what: in its name; "" for the first network's."""
    name = f"{config.model}-{config.data}-{what or config.recipes[0].name}-seed{config.seed}"
    path, number = RUNS / name, 1
    while path.exists():
        number += 1
        path = RUNS / f"{name}-{number}"
    return path


def _configuration(arguments: Arguments, given: AbstractSet[str]) -> TrainConfig:
    if arguments.config is None:
        return choices.configuration(arguments)
    others = sorted(given - {"config", "out", "threads"})
    if others:
        options = ", ".join(f"--{_OPTION_NAMES.get(name, name).replace('_', '-')}" for name in others)
        raise click.UsageError(f"--config says everything about the run; leave out {options}")
    config = TrainConfig.from_toml(arguments.config.read_text(encoding="utf-8"))
    return config.on(Environment.current(arguments.threads or config.threads))


_OPTION_NAMES: Final = {"format_text": "format", "options": "set"}


def _resumed(arguments: Arguments, given: AbstractSet[str]) -> Path:
    if arguments.out is None:
        raise click.UsageError("--resume needs --out, the folder of the run to go on with")
    found = choices.contradictions(arguments, given, RunFolder.open(arguments.out).config())
    if found:
        raise click.UsageError(f"--resume goes on with the run as it was started: {'; '.join(found)}")
    return arguments.out


@contextmanager
def _messages(console: Console) -> Iterator[None]:
    """Warnings and log messages of the library, above the progress bars."""
    logger = logging.getLogger("fxsim")
    handler = RichHandler(console=console, show_time=False, show_path=False)
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: logger.warning("%s", message)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.propagate = propagate
