"""The commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fxsim.cli import benching, comparing, costing, exporting, training
from fxsim.cli.failures import reported
from fxsim.data import DATASETS
from fxsim.export.networks import RANDOM_DATA
from fxsim.export.recorder import PASSES
from fxsim.models import MODELS
from fxsim.policies import POLICIES
from fxsim.report import page
from fxsim.train.environment import fxsim_version
from fxsim.train.runfolder import RunFolder

_WHERE = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 110})
@click.version_option(fxsim_version(), prog_name="fxsim")
def fxsim() -> None:
    """Bit-accurate fixed-point arithmetic for deep nets."""


@fxsim.command()
@click.option("--model", type=click.Choice(list(MODELS)), default="lenet5", help="The network.")
@click.option("--data", type=click.Choice(list(DATASETS)), default="digits", help="The data; digits need no download.")
@click.option("--data-dir", type=_WHERE, help="Folder of the data's files, in the layout that torchvision uses.")
@click.option("--policy", type=click.Choice(list(POLICIES)), default="adapt", help="What chooses the number formats.")
@click.option("--format", "format_text", metavar="<WL,FL>", help="The one format of --policy static, as in '<8,4>'.")
@click.option("--set", "options", multiple=True, metavar="NAME=VALUE", help="An option of the policy, as in buff=4.")
@click.option("--epochs", type=click.IntRange(1), help="Passes through the data.  [default: 30 for digits, else 10]")
@click.option("--batch-size", type=click.IntRange(1), help="Images a step.  [default: 128 for CIFAR, else 64]")
@click.option("--lr", type=click.FloatRange(0, min_open=True), help="Learning rate.  [default: the policy's own]")
@click.option("--keep-weights", default="", metavar="QUANTIZER", help="Round them after each step.  [default: floats]")
@click.option("--keep-momentum", default="", metavar="QUANTIZER", help="As '<20,14>,stochastic'.  [default: floats]")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, help="Of weights, data order and rounding.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all]")
@click.option("--baseline/--no-baseline", default=True, help="Train float32 beside it, on the same batches.")
@click.option("--count/--no-count", default=True, help="Count every operation.")
@click.option("--fuse/--no-fuse", default=False, help="Fuse float32 BatchNorm, addition and ReLU where that is sure.")
@click.option("--train-limit", type=click.IntRange(0), default=0, help="Use only the first N training images; 0: all.")
@click.option("--test-limit", type=click.IntRange(0), default=0, help="Use only the first N test images; 0: all.")
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Repeat this config.toml.")
@click.option("--out", type=_WHERE, help="Run folder.  [default: runs/MODEL-DATA-POLICY-seedS]")
@click.option("--resume", is_flag=True, help="Go on with the run in --out from its last checkpoint.")
@click.pass_context
@reported
def train(context: click.Context, /, **_: object) -> None:
    """Train a network, and leave a run folder with metrics, checkpoint and report.html.

    Without any option: LeNet-5 on handwritten digits under AdaPT, in true integer arithmetic, with a float32
    baseline beside it; about two minutes on two cores.
    """
    finished = training.run(training.Arguments(**context.params), _given(context))
    if not finished:
        context.exit(training.INTERRUPTED)


@fxsim.command()
@click.option("--model", type=click.Choice(list(MODELS)), default="lenet5", help="The network.")
@click.option("--data", type=click.Choice(list(DATASETS)), default="digits", help="The data; digits need no download.")
@click.option("--data-dir", type=_WHERE, help="Folder of the data's files, in the layout that torchvision uses.")
@click.option("--policies", default="all", metavar="all|A,B,C", help="Which policies; float32 is always there.")
@click.option("--steps", type=click.IntRange(1), default=400, help="Optimizer steps, at least: epochs are whole.")
@click.option("--batch-size", type=click.IntRange(1), help="Images a step.  [default: 128 for CIFAR, else 64]")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, help="Of weights, data order and rounding.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all]")
@click.option("--test-limit", type=click.IntRange(0), default=0, help="Use only the first N test images; 0: all.")
@click.option("--out", type=_WHERE, help="Folder of all the runs.  [default: runs/MODEL-DATA-compare-seedS]")
@click.option("--resume", is_flag=True, help="Go on with the comparison in --out.")
@click.pass_context
@reported
def compare(context: click.Context, /, **_: object) -> None:
    """Train one network under several policies, one after the other, on the same batches; table them against float32.

    Leaves a folder with the table as comparison.json, report.html, and for each policy a run folder as train does, with
    plot.svg. A policy that fails has a row that says so; the others go on, and the exit status is 1.
    """
    status = comparing.run(comparing.Arguments(**context.params), _given(context))
    if status:
        context.exit(status)


def _given(context: click.Context) -> frozenset[str]:
    """The names of the options that were on the command line."""
    source = context.get_parameter_source
    return frozenset(name for name in context.params if source(name) is click.core.ParameterSource.COMMANDLINE)


@fxsim.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@reported
def report(run: Path) -> None:
    """Render report.html of the run folder RUN anew, and print its table."""
    folder = RunFolder.open(run)
    page.write(folder)
    training.show_result(folder)


@fxsim.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Run every benchmark instead of the quick ones.")
@click.option("--rounds", type=click.IntRange(1), help="Timed repetitions.  [default: each benchmark's own]")
@click.option("--threads", type=click.IntRange(1), default=1, help="CPU threads.")
@click.option("--json", "json_file", type=_FILE, help="Write the record to this file too.")
@click.option("--markdown", is_flag=True, help="Print the table as bench/README.md shows it.")
@click.option("--list", "listing", is_flag=True, help="Print names and questions, and run nothing.")
@reported
def bench(**options: Any) -> None:
    """Time fxsim against its peers, bits checked first.

    Runs the benchmarks named; without a name the quick ones, about two minutes.
    """
    benching.run(benching.Arguments(**options))


@fxsim.group()
def export() -> None:
    """Write golden vectors for hardware test benches, or check them."""


@export.command("vectors")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False)
@click.option("--out", type=_WHERE, required=True, help="Folder of the vectors, new or empty.")
@click.option("--network", help="A network of RUN, as in float32.  [default: the first]")
@click.option("--model", type=click.Choice(list(MODELS)), default="lenet5", help="The network, without RUN.")
@click.option("--data", type=click.Choice([*DATASETS, RANDOM_DATA]), default=RANDOM_DATA, help="Its images.")
@click.option("--data-dir", type=_WHERE, help="Folder of the data's files, in the layout that torchvision uses.")
@click.option("--format", "format_text", metavar="<WL,FL>", help="Of weights, activations and gradients.")
@click.option("--accumulator", metavar="TEXT", help="Of all products, as in '20 overflow=wrap'.  [default: exact]")
@click.option("--numerics", metavar="JSON", help="Instead of --format and --accumulator: what Numerics.to_text writes.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, help="Of weights, random images and rounding.")
@click.option("--step", is_flag=True, help="Forward and backward of a training step, instead of one evaluation.")
@click.option("--samples", type=click.IntRange(1), default=4, help="Images, at most.")
@click.option("--layer", "layers", multiple=True, default=("*",), help="Names of layers, or patterns as in 'conv*'.")
@click.option("--pass", "passes", multiple=True, type=click.Choice(PASSES), default=PASSES, help="Which products.")
@click.pass_context
@reported
def export_vectors(context: click.Context, /, **_: object) -> None:
    """Write operands, accumulators and outputs of every integer product as $readmemh files with a manifest.

    Of the run folder RUN at its last checkpoint, or of a named network with the weights that --seed draws.
    """
    exporting.vectors(exporting.Arguments(**context.params), _given(context))


@export.command("verify")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@reported
def export_verify(folder: Path) -> None:
    """Compute the vectors in FOLDER again, and compare every word and every count."""
    exporting.verify(folder)


@fxsim.command()
@click.argument("run", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--accelerator",
    "-a",
    "accelerators",
    multiple=True,
    metavar="FILE|PRESET",
    help="A TOML file, or a preset with options, as in systolic:32,32,os,accumulator=20. May be given several times.",
)
@click.option("--list", "listing", is_flag=True, help="Print the presets and their options, and price nothing.")
@click.option("--model", type=click.Choice(list(MODELS)), help="Price this network without running it, not a RUN.")
@click.option("--batch-size", type=click.IntRange(1), default=128, help="Of --model: images a step.")
@click.option("--classes", type=click.IntRange(2), default=10, help="Of --model: classes.")
@click.option("--weight", metavar="<WL,FL>", help="Of --model: the weights' format.  [default: float32]")
@click.option("--activation", metavar="<WL,FL>", help="Of --model: the activations' format.  [default: float32]")
@click.option("--gradient", metavar="<WL,FL>", help="Of --model: the output gradients' format.  [default: float32]")
@click.option("--accumulator", default="exact", help="Of --model: the accumulator of integer products.")
@click.option("--weight-density", type=click.FloatRange(0, 1), default=1.0, help="Of --model: weights that are not 0.")
@click.option("--activation-density", type=click.FloatRange(0, 1), default=1.0, help="Of --model: activations not 0.")
@click.option("--gradient-density", type=click.FloatRange(0, 1), default=1.0, help="Of --model: gradients not 0.")
@click.option("--layers", is_flag=True, help="Print each layer too.")
@click.option("--out", type=_WHERE, help="Folder of tables and drawings.  [default: RUN/cost; none for --model]")
@reported
def cost(**options: Any) -> None:
    """Price what a run executed, or a model that was not run, on described machines.

    Prints a table, writes CSV, JSON and drawings, and adds the machines to the run's report.html.
    """
    costing.run(costing.Arguments(**options))
