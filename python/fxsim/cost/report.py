"""A report: what counted work costs on one machine, row by row, as a whole, and beside another report."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from fxsim.cost.counts import Uncounted
from fxsim.cost.figures import Figures, cells

LABELS: Final = ("layer", "pass_", "op", "a", "b", "accumulator", "output")
"""What rows are told apart by."""

_KIND: Final = "fxsim cost"
_VERSION: Final = 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One layer's products of one pass, in the same formats. note: "", or why cycles and bits are two machines'."""

    layer: str
    pass_: str
    op: str
    a: str
    b: str
    accumulator: str
    output: str
    note: str
    figures: Figures


@final
@dataclass(frozen=True, slots=True)
class Span:
    """The last of `steps` optimizer steps is number `step`, counted from 1."""

    step: int
    steps: int
    figures: Figures


@final
@dataclass(frozen=True, slots=True)
class Unpriced:
    """Counted ops that multiply no pairs of operands, so that no array prices them: calls, elements, formats."""

    op: str
    pass_: str
    a: str
    output: str
    calls: int
    elements_read: int
    elements_written: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Costs by layer, pass and format.

    accelerator, energy_table: names of the machine and of the table its picojoules are from.
    clock_hz: cycles a second, None where the machine has no clock.
    rows: in order of first execution. spans: over time, where windows were priced.
    unpriced: what was counted and has no multiply-accumulates. uncounted: float arithmetic without a record.
    """

    accelerator: str
    energy_table: str
    clock_hz: int | None
    rows: tuple[Row, ...]
    spans: tuple[Span, ...]
    unpriced: tuple[Unpriced, ...]
    uncounted: tuple[Uncounted, ...]

    @property
    def total(self) -> Figures:
        """The sum of the rows."""
        return Figures.total(row.figures for row in self.rows)

    @property
    def seconds(self) -> float:
        """What the cycles take; nan without a clock."""
        return self.total.cycles / self.clock_hz if self.clock_hz else math.nan

    @property
    def notes(self) -> tuple[str, ...]:
        """Why cycles and bits are not one machine's, each reason once; empty where they are."""
        return tuple(dict.fromkeys(row.note for row in self.rows if row.note))

    def by(self, *labels: str) -> dict[tuple[str, ...], Figures]:
        """Sums by some of LABELS.

        Raises:
            ValueError: a label is none.
        """
        unknown = [each for each in labels if each not in LABELS]
        if unknown:
            raise ValueError(f"by: {unknown[0]!r} is not a label; accepted: {', '.join(LABELS)}")
        groups: dict[tuple[str, ...], list[Figures]] = {}
        for row in self.rows:
            groups.setdefault(tuple(getattr(row, each) for each in labels), []).append(row.figures)
        return {key: Figures.total(parts) for key, parts in groups.items()}

    def compare(self, other: Report) -> Comparison:
        """This report beside another of the same work, on another machine or in other formats."""
        return Comparison(self, other)

    def table(self) -> list[dict[str, Any]]:
        """Rows as dictionaries: labels, note, figures and what follows from them; every name has its unit."""
        return [{name: getattr(row, name) for name in (*LABELS, "note")} | cells(row.figures) for row in self.rows]

    def to_csv(self) -> str:
        """The table as CSV text with a header."""
        return _csv(self.table())

    def spans_to_csv(self) -> str:
        """The costs over time as CSV text with a header; empty without spans."""
        return _csv([{"step": each.step, "steps": each.steps} | cells(each.figures) for each in self.spans])

    def to_json(self) -> str:
        """Everything as one JSON object; what is not a number there is null."""
        content = {
            "kind": _KIND,
            "version": _VERSION,
            "accelerator": self.accelerator,
            "energy_table": self.energy_table,
            "clock_hz": self.clock_hz,
            "total": cells(self.total),
            "rows": self.table(),
            "spans": [{"step": each.step, "steps": each.steps} | cells(each.figures) for each in self.spans],
            "notes": self.notes,
            "unpriced": [_plain_record(each) for each in self.unpriced],
            "uncounted": [_plain_record(each) for each in self.uncounted],
        }
        return json.dumps(_without_nan(content), indent=1)


COMPARED: Final = ("macs", "bit_operations", "cycles", "stall_cycles", "sram_bits", "dram_bits", "energy_pj")
"""Figures that a comparison divides."""


@final
@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reports. Ratios are `second` over `first`: below 1, the second is cheaper; nan where the first has none."""

    first: Report
    second: Report

    @property
    def ratios(self) -> dict[str, float]:
        """Of the totals, by name."""
        return _ratios(self.first.total, self.second.total)

    def by(self, *labels: str) -> dict[tuple[str, ...], dict[str, float]]:
        """Ratios by some of LABELS, of what both reports have."""
        first, second = self.first.by(*labels), self.second.by(*labels)
        return {key: _ratios(figures, second[key]) for key, figures in first.items() if key in second}

    def to_csv(self) -> str:
        """Ratios by layer and pass, and of the total, as CSV text with a header."""
        rows: list[dict[str, Any]] = [
            dict(zip(("layer", "pass_"), key, strict=True)) | _named(ratios)
            for key, ratios in self.by("layer", "pass_").items()
        ]
        return _csv([*rows, {"layer": "total", "pass_": ""} | _named(self.ratios)])


def _ratios(first: Figures, second: Figures) -> dict[str, float]:
    pairs = {name: (getattr(first, name), getattr(second, name)) for name in COMPARED}
    return {name: b / a if a else math.nan for name, (a, b) in pairs.items()}


def _named(ratios: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}_ratio": value for name, value in ratios.items()}


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _plain_record(record: Unpriced | Uncounted) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_without_nan(each) for each in value]
    return value
