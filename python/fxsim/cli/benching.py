"""The `bench` command: from names to a table, with a bar for the timing under way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import click
import torch
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from fxsim.bench import suite, text
from fxsim.bench.measure import Note, Row
from fxsim.bench.table import BENCHES, chosen

_STYLES: Final = {"aim": "green", "must": "green", "below": "red", None: ""}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The options of `fxsim bench` as they were given."""

    names: tuple[str, ...]
    everything: bool
    rounds: int | None
    threads: int
    json_file: Path | None
    markdown: bool
    listing: bool


def run(arguments: Arguments) -> None:
    """Run the benchmarks that the options name, and print what they found.

    Raises click.ClickException at the end where one of them failed.
    """
    console = Console()
    if arguments.listing:
        _list(console)
        return
    if arguments.everything and arguments.names:
        raise click.UsageError(f"--all runs every benchmark; leave out {', '.join(arguments.names)}")
    names = tuple(BENCHES) if arguments.everything else chosen(arguments.names)
    torch.set_num_threads(arguments.threads)
    with _Bars(Console(stderr=True)) as bars:
        record = suite.run(names, bars, rounds=arguments.rounds)
    if arguments.json_file:
        arguments.json_file.parent.mkdir(parents=True, exist_ok=True)
        arguments.json_file.write_text(record.to_json(), encoding="utf-8")
    if arguments.markdown:
        click.echo(text.markdown(record), nl=False)
    else:
        _show(console, record)
    if record.failures:
        raise click.ClickException("; ".join(record.failures))


def _list(console: Console) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, bench in BENCHES.items():
        table.add_row(name, bench.question, "quick" if bench.quick else "")
    console.print(table)


def _show(console: Console, record: suite.Record) -> None:
    for section in record.sections:
        console.print(f"\n{section.name}: {BENCHES[section.name].question}", style="bold", highlight=False)
        if section.rows:
            table = Table(box=None, pad_edge=False)
            for heading, justify in zip(text.HEADINGS, text.JUSTIFY, strict=True):
                table.add_column(heading, justify=justify)
            for row in section.rows:
                table.add_row(*map(escape, text.cells(row)), style=_STYLES[row.verdict])
            console.print(table)
        for note in section.notes:
            console.print(escape(note.text), highlight=False, soft_wrap=True)
    console.print(f"\n{text.LEGEND}", highlight=False)
    console.print(escape(str(record.machine)), highlight=False)


@final
class _Bars:
    """Shows the benchmark under way and the rounds of its present timing; where there is no terminal, nothing."""

    def __init__(self, console: Console) -> None:
        self._bars: Final = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[lines]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task: TaskID | None = None
        self._lines = 0

    def __enter__(self) -> _Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begun(self, name: str) -> None:
        self._lines = 0
        self._task = self._bars.add_task(name, total=None, lines="")

    def round_done(self, done: int, of: int) -> None:
        if self._task is not None:
            self._bars.update(self._task, completed=done, total=of)

    def found(self, _name: str, _outcome: Row | Note) -> None:
        self._lines += 1
        if self._task is not None:
            self._bars.update(self._task, lines=f"{self._lines} lines")
