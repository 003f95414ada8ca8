"""The `export` commands: from names to a folder of golden vectors, and whether one still holds."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fxsim import isa
from fxsim.accumulator import Accumulator
from fxsim.export import Manifest
from fxsim.export import verify as verify_folder
from fxsim.export.networks import model_vectors, run_vectors
from fxsim.numerics import Numerics

MODEL_OPTIONS: Final = ("model", "data", "data_dir", "format_text", "accumulator", "numerics", "seed")
"""What a run folder says itself."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The options of `fxsim export vectors` as they were given."""

    run: Path | None
    out: Path
    network: str | None
    model: str
    data: str
    data_dir: Path | None
    format_text: str | None
    accumulator: str | None
    numerics: str | None
    seed: int
    step: bool
    samples: int
    layers: tuple[str, ...]
    passes: tuple[str, ...]


def vectors(arguments: Arguments, given: AbstractSet[str]) -> None:
    """Write the vectors that the options ask for, and table them. given: options that were on the command line.

    Raises click.UsageError where options do not go together.
    """
    a = arguments
    if a.run is not None:
        others = [_option(name) for name in MODEL_OPTIONS if name in given]
        if others:
            raise click.UsageError(f"a run folder says everything about the network; leave out {', '.join(others)}")
        manifest = run_vectors(
            a.run, a.out, network=a.network, step=a.step, samples=a.samples, layers=a.layers, passes=a.passes
        )
    else:
        if a.network is not None:
            raise click.UsageError("--network names a network of a run folder; give RUN, or leave it out")
        manifest = _of_model(a)
    _show(Console(), manifest, a.out)


def _of_model(a: Arguments) -> Manifest:
    try:
        return model_vectors(
            a.model,
            a.out,
            numerics=numerics_of(a),
            data_name=a.data,
            data_dir=a.data_dir,
            seed=a.seed,
            step=a.step,
            samples=a.samples,
            layers=a.layers,
            passes=a.passes,
        )
    except TypeError as error:  # a float32 network cannot carry such a format
        raise click.ClickException(str(error)) from error


def numerics_of(arguments: Arguments) -> Numerics:
    """The numerics that --format and --accumulator, or --numerics, ask for.

    Raises click.UsageError where neither or both are given.
    """
    a = arguments
    if (a.numerics is None) == (a.format_text is None):
        raise click.UsageError("give RUN, or --format as in --format '<8,4>', or --numerics; one of them")
    if a.numerics is not None:
        if a.accumulator is not None:
            raise click.UsageError("--accumulator goes with --format; --numerics has accumulators of its own")
        return Numerics.from_text(a.numerics)
    register = Accumulator.parse(a.accumulator or "exact")
    return Numerics(
        a.format_text or "",
        a.format_text or "",
        accumulator=register,
        grad_output=a.format_text,
        accumulator_dgrad=register,
        accumulator_wgrad=register,
    )


def _option(name: str) -> str:
    return f"--{'format' if name == 'format_text' else name.replace('_', '-')}"


def _show(console: Console, manifest: Manifest, path: Path) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("vector", "M", "N", "K", "a", "b", "accumulated", "output", "overflows"):
        table.add_column(heading, justify="left" if heading == "vector" else "right")
    for each in manifest.vectors:
        formats = (each.a.format, each.b.format, each.accumulated.format, each.output.format)
        overflows = sum(count for name, count in each.counts.items() if name.endswith("_overflows"))
        sizes = (f"{each.m:,}", f"{each.n:,}", f"{each.k:,}")
        table.add_row(escape(each.name), *sizes, *map(str, formats), f"{overflows:,}")
    console.print(table)
    for left_out in manifest.left_out:
        console.print(f"left out: {left_out}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"\nVectors: {path.resolve()}", highlight=False, markup=False, soft_wrap=True)


def verify(path: Path) -> None:
    """Compute a folder's vectors again, and say that every word and count is the same.

    Raises ValueError where one is not.
    """
    manifest = verify_folder(path)
    macs = sum(each.counts["macs"] for each in manifest.vectors)
    click.echo(f"{len(manifest.vectors)} vectors, {macs:,} MACs: the same words and counts on {isa.active()}")
