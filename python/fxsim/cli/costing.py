"""The `cost` command: machines from files and presets, counts from a run or from shapes, tables and drawings."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fxsim import models
from fxsim.accumulator import Accumulator
from fxsim.cost.accelerators import PRESETS, Accelerator, build
from fxsim.cost.report import Report
from fxsim.cost.shapes import Assumed, assumed_counts
from fxsim.formats import Format
from fxsim.report import costs, page, tables
from fxsim.report.load import load
from fxsim.train.runfolder import RunFolder, write_atomically

_CHANNELS: Final = {"lenet5": 1}
"""Of the images that a model is for; the others take three."""

_SIDE: Final = 32


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The options of `fxsim cost` as they were given."""

    run: Path | None
    accelerators: tuple[str, ...]
    listing: bool
    model: str | None
    batch_size: int
    classes: int
    weight: str | None
    activation: str | None
    gradient: str | None
    accumulator: str
    weight_density: float
    activation_density: float
    gradient_density: float
    layers: bool
    out: Path | None


def run(arguments: Arguments) -> None:
    """Price, print and write.

    Raises click.UsageError for options that do not go together, or that name no accelerator.
    """
    console = Console()
    if arguments.listing:
        _list(console)
        return
    if (arguments.run is None) == (arguments.model is None):
        raise click.UsageError("give either RUN, the folder of a run, or --model, a network to price without running")
    if not arguments.accelerators:
        raise click.UsageError("give at least one --accelerator; fxsim cost --list shows the presets")
    machines = [accelerator(text) for text in dict.fromkeys(arguments.accelerators)]
    names = [machine.name for machine in machines]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise click.UsageError(f"two accelerators are named {twice!r}; give one of them another name in its file")
    if arguments.run is not None:
        _price_run(console, arguments, RunFolder.open(arguments.run), machines)
    else:
        _price_model(console, arguments, machines)


def accelerator(text: str) -> Accelerator:
    """The machine that --accelerator names; a preset with options is named by its text.

    Raises click.UsageError where it is neither a file nor a preset with its options.
    """
    name, _, given = text.partition(":")
    if name not in PRESETS:
        path = Path(text)
        if not path.is_file():
            raise click.UsageError(
                f"--accelerator {text}: give a TOML file that exists, or one of {', '.join(PRESETS)}"
            )
        return Accelerator.from_toml(path.read_text(encoding="utf-8"))
    options: dict[str, Any] = {}
    names = list(PRESETS[name].options)
    for place, part in enumerate(re.split(r",(?![^<]*>)", given) if given else []):
        option, equals, value = part.partition("=")
        if not equals:
            if place >= len(names):
                raise click.UsageError(f"--accelerator {text}: {name} has only the options {', '.join(names)}")
            option, value = names[place], part
        options[option.strip()] = _value(value.strip())
    try:
        built = build(name, **options)
    except (TypeError, ValueError) as error:
        raise click.UsageError(f"--accelerator {text}: {error}") from None
    return dataclasses.replace(built, name=text) if given else built


def _value(text: str) -> bool | int | str | None:
    known: dict[str, bool | None] = {"true": True, "false": False, "none": None}
    if text.lower() in known:
        return known[text.lower()]
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def _list(console: Console) -> None:
    for name, preset in PRESETS.items():
        options = ",".join(f"{option}={value}" for option, value in preset.options.items())
        needs = f"; needs counts of level {preset.level}" if preset.level else ""
        console.print(f"[bold]{name}[/bold]: {preset.summary}{needs}", highlight=False, soft_wrap=True)
        if options:
            console.print(f"    {name}:{options}", highlight=False, soft_wrap=True, markup=False)


def _price_run(console: Console, arguments: Arguments, folder: RunFolder, machines: Sequence[Accelerator]) -> None:
    data = load(folder)
    priced = [costs.price(log, machine) for log in data.logs for machine in machines]
    console.print(f"Training, {data.steps:,} steps", style="bold")
    _print(console, _turned(costs.totals([(each.name, each.training) for each in priced])))
    inference = [(each.name, each.inference) for each in priced if each.inference is not None]
    if inference:
        console.print(f"\nInference, {priced[0].images:,} images", style="bold", highlight=False)
        _print(console, _turned(costs.totals(inference)))
    for each in priced:
        _details(console, each.name, each.training, layers=arguments.layers)
    for log in data.logs:
        for found in (costs.analytic_table(log), costs.sakr_table(log)):
            if found is not None:
                console.print(f"\n{log.name}", style="bold")
                _print(console, found)
    costs.keep(folder, machines)
    out = arguments.out or folder.path / costs.FOLDER
    out.mkdir(parents=True, exist_ok=True)
    costs.write_tables(out, priced)
    page.write(folder)
    console.print(f"\nTables and drawings: {out.resolve()}", highlight=False, soft_wrap=True)
    console.print(f"Report: {folder.report.resolve()}", highlight=False, soft_wrap=True)


def _price_model(console: Console, arguments: Arguments, machines: Sequence[Accelerator]) -> None:
    name = arguments.model or ""
    channels = _CHANNELS.get(name, 3)
    counts = assumed_counts(
        models.build(name, arguments.classes, channels),
        (arguments.batch_size, channels, _SIDE, _SIDE),
        Assumed(
            weight=_format(arguments.weight),
            activation=_format(arguments.activation),
            gradient=_format(arguments.gradient),
            accumulator=Accumulator.parse(arguments.accumulator),
            weight_density=arguments.weight_density,
            activation_density=arguments.activation_density,
            gradient_density=arguments.gradient_density,
        ),
    )
    reports = [(machine.name, machine.evaluate(counts)) for machine in machines]
    console.print(f"{name}, one training step of {arguments.batch_size} images, not run: densities are assumed")
    _print(console, _turned(costs.totals(reports)))
    for title, report in reports:
        _details(console, title, report, layers=arguments.layers)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        for title, report in reports:
            file = arguments.out / f"{name}-on-{costs.slug(title)}"
            write_atomically(file.with_name(f"{file.name}.csv"), report.to_csv())
            write_atomically(file.with_name(f"{file.name}.json"), report.to_json())
        console.print(f"\nTables: {arguments.out.resolve()}", highlight=False, soft_wrap=True)


def _format(text: str | None) -> Format | None:
    return None if text is None else Format.parse(text)


def _details(console: Console, name: str, report: Report, *, layers: bool) -> None:
    if report.notes or layers:
        console.print(f"\n{escape(name)}", style="bold", highlight=False)
    for note in report.notes:
        console.print(escape(note), highlight=False, soft_wrap=True)
    if layers:
        _print(console, _narrowed(costs.by_layer(report)))


def _turned(content: tables.Table) -> tables.Table:
    """Rows as columns: names are long, and figures few."""
    headings, *rows = zip(content.headings, *content.rows, strict=True)
    return tables.Table(headings, rows)


_SHOWN: Final = ("Layer", "Pass", "MACs", "Cycles", "Stalls", "Utilisation", "of energy", "Overflows")


def _narrowed(content: tables.Table) -> tables.Table:
    """What a terminal has room for."""
    places = [content.headings.index(name) for name in _SHOWN]
    return tables.Table(_SHOWN, [[row[place] for place in places] for row in content.rows])


def _print(console: Console, content: tables.Table) -> None:
    table = Table(box=None, pad_edge=False)
    for place, heading in enumerate(content.headings):
        table.add_column(heading, justify="right" if place else "left", overflow="fold")
    for row in content.rows:
        table.add_row(*map(escape, row))
    console.print(table)
