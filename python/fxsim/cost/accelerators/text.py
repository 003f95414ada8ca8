"""Accelerators as TOML and back."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from fxsim.accumulator import Accumulator
from fxsim.cost.accelerators.array import FixedMac
from fxsim.cost.accelerators.energy import EnergyTable, energy_table
from fxsim.cost.accelerators.engine import Engine
from fxsim.cost.accelerators.engines import ENGINES
from fxsim.cost.accelerators.memory import Memory

if TYPE_CHECKING:
    from fxsim.cost.accelerators.accelerator import Accelerator

VERSION: Final = 1
"""Of the file's layout."""

_HEADER: Final = "# An accelerator for fxsim; keys are those of fxsim.cost.accelerators, sizes are in bits.\n"
_KEYS: Final = ("version", "name", "clock_hz", "accumulator", "engine", "memory", "energy", "sources")


def to_toml(accelerator: Accelerator) -> str:
    """The text; what is None is left out."""
    import tomli_w

    engine = accelerator.engine
    content = {
        "version": VERSION,
        "name": accelerator.name,
        "clock_hz": accelerator.clock_hz,
        "accumulator": str(accelerator.accumulator),
        "engine": {"kind": engine.kind, **_fields(engine)},
        "memory": _fields(accelerator.memory),
        "energy": accelerator.energy.to_dict(),
        "sources": dict(accelerator.sources),
    }
    return _HEADER + tomli_w.dumps(_without_none(content))


def from_toml(text: str) -> dict[str, Any]:
    """The fields of the accelerator that a text describes; what it leaves out has the default.

    Raises:
        ValueError: the text is not TOML, is of another version, or has a key or a value that is not accepted.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"accelerator: not a TOML file: {error}") from None
    _check_keys("", content, _KEYS, ("version", "name", "engine"))
    if content["version"] != VERSION:
        raise ValueError(f"accelerator: version = {content['version']}: this fxsim reads version {VERSION}")
    fields: dict[str, Any] = {"name": content["name"], "clock_hz": content.get("clock_hz")}
    fields["engine"] = _engine(_table("engine", content["engine"]))
    if "accumulator" in content:
        fields["accumulator"] = Accumulator.parse(str(content["accumulator"]))
    if "memory" in content:
        fields["memory"] = _record("memory", Memory, _table("memory", content["memory"]))
    if "energy" in content:
        given = content["energy"]
        fields["energy"] = energy_table(given) if isinstance(given, str) else EnergyTable.from_dict(given)
    fields["sources"] = tuple(_table("sources", content.get("sources", {})).items())
    return fields


def _engine(content: dict[str, Any]) -> Engine:
    kind = content.pop("kind", None)
    if kind not in ENGINES:
        raise ValueError(f"accelerator: [engine] kind = {kind!r}: accepted are {', '.join(ENGINES)}")
    if "mac" in content:
        content["mac"] = _record("engine.mac", FixedMac, _table("engine.mac", content["mac"]))
    engine: Engine = _record("engine", ENGINES[kind], content)
    return engine


def _table(name: str, given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(f"accelerator: {name} = {given!r}: a table [{name}] is needed")
    return dict(given)


def _record(where: str, kind: type[Any], content: Mapping[str, Any]) -> Any:
    fields = dataclasses.fields(kind)
    required = [f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING]
    _check_keys(f"[{where}] ", content, [f.name for f in fields], required)
    try:
        return kind(**content)
    except TypeError as error:
        raise ValueError(f"accelerator: [{where}] {error}") from None


def _check_keys(where: str, content: Mapping[str, Any], known: Any, required: Any) -> None:
    unknown = [key for key in content if key not in known]
    if unknown:
        raise ValueError(f"accelerator: {where}{', '.join(unknown)}: no such key; accepted: {', '.join(known)}")
    missing = [key for key in required if key not in content]
    if missing:
        raise ValueError(f"accelerator: {where}{', '.join(missing)}: missing")


def _fields(record: Any) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return {name: _fields(value) if dataclasses.is_dataclass(value) else value for name, value in values.items()}


def _without_none(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in content.items()
        if value is not None
    }
