"""From options of the command line to a configuration, and whether they agree with one that exists."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import click

from fxsim.policies import POLICIES
from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.recipe import OptionValue, Recipe, recipe_for

_CIFAR: Final = frozenset({"cifar10", "cifar100"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The options of `fxsim train` as they were given, defaults filled in by the command line."""

    model: str
    data: str
    data_dir: Path | None
    policy: str
    format_text: str | None
    options: tuple[str, ...]
    epochs: int | None
    batch_size: int | None
    lr: float | None
    keep_weights: str
    keep_momentum: str
    seed: int
    threads: int | None
    baseline: bool
    count: bool
    fuse: bool
    train_limit: int
    test_limit: int
    config: Path | None
    out: Path | None
    resume: bool


def configuration(arguments: Arguments) -> TrainConfig:
    """The run that the options ask for."""
    a = arguments
    recipe = recipe_for(a.policy, a.model, policy_options(a))
    if a.lr is not None:
        recipe = dataclasses.replace(recipe, learning_rate=a.lr)
    recipe = dataclasses.replace(recipe, kept_weights=a.keep_weights, kept_momentum=a.keep_momentum)
    recipes: tuple[Recipe, ...] = (recipe,)
    if a.baseline and a.policy != "float32":
        recipes += (recipe_for("float32", a.model),)
    return TrainConfig(
        model=a.model,
        data=a.data,
        data_dir=str(a.data_dir.resolve()) if a.data_dir else "",
        recipes=recipes,
        environment=Environment.current(threads(a)),
        epochs=a.epochs or default_epochs(a.data),
        batch_size=a.batch_size or default_batch_size(a.data),
        seed=a.seed,
        count=a.count,
        fuse=a.fuse,
        train_limit=a.train_limit,
        test_limit=a.test_limit,
    )


def default_epochs(data: str) -> int:
    """Passes through these data unless told otherwise."""
    return 30 if data == "digits" else 10


def default_batch_size(data: str) -> int:
    """Images a step unless told otherwise."""
    return 128 if data in _CIFAR else 64


def threads(arguments: Arguments) -> int:
    """The threads asked for, or all the process may use."""
    return arguments.threads or len(os.sched_getaffinity(0))


def policy_options(arguments: Arguments) -> dict[str, OptionValue]:
    """--set and --format as options of the policy.

    Raises click.UsageError for an option that is not NAME=VALUE, that the policy lacks, or of another kind.
    """
    defaults = POLICIES[arguments.policy].options
    options: dict[str, OptionValue] = {}
    for each in arguments.options:
        name, equals, value = each.partition("=")
        if not equals:
            raise click.UsageError(f"--set {each}: give NAME=VALUE, as in --set buff=4")
        if name not in defaults:
            accepted = ", ".join(defaults) or "none"
            raise click.UsageError(f"--set {each}: policy {arguments.policy} has no option {name}; it has: {accepted}")
        options[name] = _like(defaults[name], value, each)
    if arguments.format_text is not None:
        if arguments.policy != "static":
            raise click.UsageError(
                f"--format is the one format of --policy static; policy {arguments.policy} chooses its own"
                if arguments.policy == "adapt"
                else f"--format is the one format of --policy static; policy {arguments.policy} uses none"
            )
        options["numerics"] = arguments.format_text
    return options


def _like(default: object, value: str, given: str) -> OptionValue:
    """The value as the kind of thing the default is."""
    try:
        match default:
            case bool():
                return {"true": True, "false": False}[value.lower()]
            case int():
                return int(value)
            case float():
                return float(value)
            case _:
                return value
    except (KeyError, ValueError):
        kind = "true or false" if isinstance(default, bool) else f"a number, as in {default}"
        raise click.UsageError(f"--set {given}: give {kind}") from None


def contradictions(arguments: Arguments, given: AbstractSet[str], config: TrainConfig) -> list[str]:
    """What was given on the command line but differs in a run that exists, one text each."""
    recipe = config.recipes[0]
    values: dict[str, tuple[str, Any, Any]] = {
        "model": ("--model", arguments.model, config.model),
        "data": ("--data", arguments.data, config.data),
        "data_dir": ("--data-dir", str(arguments.data_dir and arguments.data_dir.resolve()), config.data_dir),
        "policy": ("--policy", arguments.policy, recipe.policy),
        "format_text": ("--format", arguments.format_text, recipe.options.get("numerics")),
        "epochs": ("--epochs", arguments.epochs, config.epochs),
        "batch_size": ("--batch-size", arguments.batch_size, config.batch_size),
        "lr": ("--lr", arguments.lr, recipe.learning_rate),
        "keep_weights": ("--keep-weights", arguments.keep_weights, recipe.kept_weights),
        "keep_momentum": ("--keep-momentum", arguments.keep_momentum, recipe.kept_momentum),
        "seed": ("--seed", arguments.seed, config.seed),
        "baseline": ("--baseline", arguments.baseline, len(config.recipes) > 1),
        "count": ("--count", arguments.count, config.count),
        "fuse": ("--fuse", arguments.fuse, config.fuse),
        "train_limit": ("--train-limit", arguments.train_limit, config.train_limit),
        "test_limit": ("--test-limit", arguments.test_limit, config.test_limit),
    }
    found = [
        f"{option} {wanted} given, the run has {present}"
        for name, (option, wanted, present) in values.items()
        if name in given and wanted != present
    ]
    if "options" in given:
        wanted_options = policy_options(dataclasses.replace(arguments, policy=recipe.policy, format_text=None))
        found += [
            f"--set {name}={value} given, the run has {recipe.options.get(name)}"
            for name, value in wanted_options.items()
            if recipe.options.get(name) != value
        ]
    if "config" in given:
        found.append("--config given, the run has its own")
    return found
