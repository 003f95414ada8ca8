"""Settings records as the options of a configuration file, and the check they share."""

from __future__ import annotations

import dataclasses
from typing import Any


def to_options(config: Any) -> dict[str, Any]:
    """The fields of a frozen settings record by name; tuples become texts, as in "3/6,4/6"."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def require(condition: bool, record: str, name: str, given: object, accepted: str) -> None:
    """Refuse a setting.

    Raises ValueError, naming what is accepted, unless the condition holds.
    """
    if not condition:
        raise ValueError(f"{record}: {name} is {given}; give {accepted}")


def numbers(record: str, name: str, text: str) -> tuple[int, ...]:
    """The integers of a text such as "8,12,14,16".

    Raises ValueError for any other text.
    """
    parts = [part.strip() for part in text.split(",")]
    require(all(part.isdecimal() for part in parts), record, name, repr(text), "integers with commas between them")
    return tuple(int(part) for part in parts)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return ",".join("/".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in value)
    return value
