"""Several benchmarks in one process, and their record."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, final

from fxsim.bench.machine import Machine
from fxsim.bench.measure import Note, Row, Settings
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
    """What one benchmark found, in `seconds`."""

    name: str
    rows: tuple[Row, ...]
    notes: tuple[Note, ...]
    seconds: float


@final
@dataclass(frozen=True, slots=True)
class Record:
    """All sections of one process, with the machine they are true of."""

    machine: Machine
    sections: tuple[Section, ...]

    def to_json(self) -> str:
        """The record as JSON; each row has its verdict too."""
        written: dict[str, Any] = dataclasses.asdict(self)
        for section, plain in zip(self.sections, written["sections"], strict=True):
            for row, fields in zip(section.rows, plain["rows"], strict=True):
                fields["verdict"] = row.verdict
        return json.dumps(written, indent=2, ensure_ascii=False) + "\n"


def run(names: Iterable[str], observer: Observer, *, rounds: int | None = None, toy: bool = False) -> Record:
    """Run benchmarks of the table, one after the other. rounds: None for each one's own.

    Raises:
        WrongBitsError: a result is not the exact one.
    """
    sections = []
    for name in names:
        observer.begun(name)
        bench = BENCHES[name]
        settings = Settings(rounds=rounds or bench.rounds, toy=toy, watch=observer.round_done)
        begun = time.perf_counter()
        outcomes: list[Row | Note] = []
        for outcome in bench.run(settings):
            outcomes.append(outcome)
            observer.found(name, outcome)
        rows = tuple(each for each in outcomes if isinstance(each, Row))
        notes = tuple(each for each in outcomes if isinstance(each, Note))
        sections.append(Section(name, rows, notes, time.perf_counter() - begun))
    return Record(Machine.current(), tuple(sections))
