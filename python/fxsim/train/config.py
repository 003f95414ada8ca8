"""What a run is, in one frozen record, and its text: the config.toml from which the run can be repeated."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import tomli_w

from fxsim.train.environment import Environment
from fxsim.train.recipe import Recipe

VERSION: Final = 1
"""Of the file's layout."""

_HEADER: Final = "# Written by fxsim: everything that decides the bits of this run.\n"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A run: one or more networks trained side by side on the same batches.

    recipes: the networks, the one of interest first, the baseline after it.
    model, data: names of `fxsim.models` and `fxsim.data`. data_dir: where the data lie, "" for data that need none.
    epochs, batch_size: the last incomplete batch of an epoch is left out.
    seed: 64 bits, of the initial weights, the order of the data and every stochastic rounding.
    most_lines: lines of training metrics a network may write; in longer runs a line covers several steps.
    checkpoint_every: steps between checkpoints, besides those at the ends of epochs; 0 for no others.
    count: whether operations are counted; without it lines have no `counts`.
    fuse: whether batch normalisation, addition and ReLU are one operation, as `fxsim.fuse` makes them, in all networks.
    train_limit, test_limit: use only the first so many samples; 0 for all.
    environment: where the run was started; it takes no part in equality of what is computed.
    """

    model: str
    data: str
    recipes: tuple[Recipe, ...]
    environment: Environment
    data_dir: str = ""
    epochs: int = 30
    batch_size: int = 64
    seed: int = 0
    most_lines: int = 4000
    checkpoint_every: int = 100
    count: bool = True
    fuse: bool = False
    train_limit: int = 0
    test_limit: int = 0

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, "epochs", self.epochs, "1 or more")
        _require(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more")
        _require(0 <= self.seed < 2**64, "seed", self.seed, "0 to 2**64 - 1")
        _require(self.most_lines >= 1, "most_lines", self.most_lines, "1 or more")
        for name in ("checkpoint_every", "train_limit", "test_limit"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        names = [recipe.name for recipe in self.recipes]
        _require(bool(names), "recipes", "empty", "at least one Recipe")
        _require(len(set(names)) == len(names), "recipes", f"named {', '.join(names)}", "each a name of its own")

    @property
    def threads(self) -> int:
        """Of torch's intra-op pool."""
        return self.environment.threads

    def to_toml(self) -> str:
        """The text of config.toml; `from_toml` reads an equal configuration from it.

        The policies' options are written in full, defaults included: a later change of a default does not
        change what the file means.
        """
        plain = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("recipes", "environment")
        }
        recipes = [{**_fields(recipe), "options": recipe.full_options()} for recipe in self.recipes]
        tables = {"environment": dataclasses.asdict(self.environment), "recipes": recipes}
        return _HEADER + tomli_w.dumps({"version": VERSION, **plain, **tables})

    @classmethod
    def from_toml(cls, text: str) -> TrainConfig:
        """The configuration that `to_toml` wrote.

        Raises:
            ValueError: the text is not TOML, is of another version, or has a key or a value that is not accepted.
        """
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"config.toml: not a TOML file: {error}") from None
        version = content.pop("version", None)
        _require(version == VERSION, "version", version, f"{VERSION}, which this fxsim reads")
        environment = _record(Environment, content.pop("environment", {}), "environment")
        recipes = tuple(_record(Recipe, each, "recipes") for each in content.pop("recipes", []))
        config: TrainConfig = _record(cls, {**content, "environment": environment, "recipes": recipes}, "")
        return config

    def on(self, environment: Environment) -> TrainConfig:
        """The same run, started elsewhere."""
        return dataclasses.replace(self, environment=environment)

    def with_full_options(self) -> TrainConfig:
        """The same run with every policy option spelled out, as it reads after a round trip through TOML."""
        recipes = tuple(dataclasses.replace(each, options=each.full_options()) for each in self.recipes)
        return dataclasses.replace(self, recipes=recipes)


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _record(kind: type[Any], content: Mapping[str, Any], table: str) -> Any:
    known = {field.name: field for field in dataclasses.fields(kind)}
    where = f"[{table}] " if table else ""
    unknown = sorted(content.keys() - known.keys())
    if unknown:
        raise ValueError(f"config.toml: {where}{', '.join(unknown)}: no such key; accepted: {', '.join(known)}")
    missing = sorted(name for name, field in known.items() if name not in content and _required(field))
    if missing:
        raise ValueError(f"config.toml: {where}{', '.join(missing)}: missing")
    try:
        return kind(**content)
    except TypeError as error:
        raise ValueError(f"config.toml: {where}a value is of the wrong kind: {error}") from None


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _require(condition: bool, name: str, given: object, accepted: str) -> None:
    if not condition:
        raise ValueError(f"TrainConfig: {name} is {given}; give {accepted}")
