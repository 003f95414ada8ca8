"""Several benchmarks in one process, and their record."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, final

from fxsim.bench.machine import Machine
from fxsim.bench.measure import Note, Row, Settings, WrongBitsError
from fxsim.bench.table import BENCHES


class Observer(Protocol):
    """Is told what goes on."""

    def begun(self, name: str) -> None:
        """A benchmark begins."""

    def round_done(self, done: int, of: int) -> None:
        """Of one timing, so many rounds are done."""

    def found(self, name: str, outcome: Row | Note) -> None:
        """A benchmark has a line for the table."""


@final
@dataclass(frozen=True, slots=True)
class Section:
    """What one benchmark found, in `seconds`. failure: why it ended before its end; None where it did not."""

    name: str
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]
    seconds: float
    failure: str | None = None


@final
@dataclass(frozen=True, slots=True)
class Record:
    """All sections of one process, with the machine they are true of."""

    machine: Machine
    sections: tuple[Section, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """Of the benchmarks that ended before their end, with their names."""
        return tuple(f"{each.name}: {each.failure}" for each in self.sections if each.failure is not None)

    def to_json(self) -> str:
        """The record as JSON; each row has its verdict too."""
        written: dict[str, Any] = dataclasses.asdict(self)
        for section, plain in zip(self.sections, written["sections"], strict=True):
            for row, fields in zip(section.rows, plain["rows"], strict=True):
                fields["verdict"] = row.verdict
        return json.dumps(written, indent=2, ensure_ascii=False) + "\n"


def run(names: Iterable[str], observer: Observer, *, rounds: int | None = None, toy: bool = False) -> Record:
    """Run benchmarks of the table, one after the other. rounds: None for each one's own.

    One that finds wrong bits, or that cannot run, ends with its reason; the others run all the same.
    """
    return Record(Machine.current(), tuple(_section(name, observer, rounds, toy) for name in names))


def _section(name: str, observer: Observer, rounds: int | None, toy: bool) -> Section:
    observer.begun(name)
    bench = BENCHES[name]
    settings = Settings(rounds=rounds or bench.rounds, toy=toy, watch=observer.round_done)
    begun = time.perf_counter()
    outcomes: list[Row | Note] = []
    failure = None
    try:
        for outcome in bench.run(settings):
            outcomes.append(outcome)
            observer.found(name, outcome)
    except (WrongBitsError, ValueError, OSError) as error:
        failure = str(error)
    rows = tuple(each for each in outcomes if isinstance(each, Row))
    notes = tuple(each for each in outcomes if isinstance(each, Note))
    return Section(name, rows, notes, time.perf_counter() - begun, failure)
