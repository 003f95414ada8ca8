"""Checks that the records of this folder share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MOST_ROWS: Final = 2**16
"""The largest extent of an array."""


def require_count(record: str, name: str, given: object, most: int = MOST_ROWS) -> None:
    """Refuse what is not a whole number from 1 to `most`.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is out of range.
    """
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"{record}: {name} = {given!r}: a whole number is needed, not {type(given).__name__}")
    if not 1 <= given <= most:
        raise ValueError(f"{record}: {name} = {given}: accepted are 1 to {most}")


def require_choice(record: str, name: str, given: object, accepted: Sequence[str]) -> None:
    """Refuse what is not one of a few names.

    Raises:
        ValueError: it is none of them.
    """
    if given not in accepted:
        raise ValueError(f"{record}: {name} = {given!r}: accepted are {', '.join(accepted)}")


def require_flag(record: str, name: str, given: object) -> None:
    """Refuse what is not a bool.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(given, bool):
        raise TypeError(f"{record}: {name} = {given!r}: True or False is needed, not {type(given).__name__}")
