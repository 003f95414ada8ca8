"""Records as rows, as CSV and as JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

from fxsim.cost.totals import bit_operations
from fxsim.ops.details import Detail
from fxsim.ops.records import COUNTS, IDENTITY, OpRecord, Pass

Row: TypeAlias = dict[str, str | int]

COLUMNS: Final = (*IDENTITY, "calls", *COUNTS)
"""Columns that make up a record; a row has `bit_operations` besides."""

_KIND: Final = "fxsim counts"
_VERSION: Final = 2
_TEXTS: Final = frozenset({"layer", "pass_", "op", "a", "b", "accumulator", "output"})


@final
@dataclass(frozen=True, slots=True)
class Content:
    """What a JSON file of counts holds."""

    records: list[OpRecord]
    ordered: list[OpRecord] | None
    total: dict[str, int]
    uncounted: dict[str, list[int]]


def to_record(values: Mapping[str, Any]) -> OpRecord:
    """The record with these values, by column name; other names are ignored.

    Raises:
        ValueError: a column is missing or its value is not of its kind.
    """
    missing = [name for name in COLUMNS if name not in values]
    if missing:
        raise ValueError(f"a record of counts lacks {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    fields: dict[str, Any] = {name: str(values[name]) if name in _TEXTS else int(values[name]) for name in COLUMNS}
    return OpRecord(**fields | {"pass_": Pass(fields["pass_"])})


def row(record: OpRecord) -> Row:
    """One record as a row: its columns, then bit_operations."""
    values: Row = {name: getattr(record, name) for name in COLUMNS}
    return values | {"pass_": str(record.pass_), "bit_operations": bit_operations(record)}


def rows(records: Iterable[OpRecord]) -> list[Row]:
    """Records as rows."""
    return [row(each) for each in records]


def to_csv(records: Iterable[OpRecord]) -> str:
    """Rows as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, (*COLUMNS, "bit_operations"), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(records))
    return text.getvalue()


def from_csv(text: str) -> list[OpRecord]:
    """Records from CSV with a header."""
    return [to_record(each) for each in csv.DictReader(io.StringIO(text))]


def to_json(
    records: Iterable[OpRecord],
    ordered: Iterable[OpRecord] | None,
    total: Mapping[str, int],
    uncounted: Mapping[str, Sequence[int]],
) -> str:
    """Everything counts hold, as one JSON object; records are lists in the order of `columns`."""
    content = {
        "kind": _KIND,
        "version": _VERSION,
        "columns": COLUMNS,
        **_listed("records", records),
        **({"ordered": None, "ordered_details": None} if ordered is None else _listed("ordered", ordered)),
        "total": dict(total),
        "uncounted": [
            {"op": op, "calls": calls, "elements_written": elements} for op, (calls, elements) in uncounted.items()
        ],
    }
    return json.dumps(content)


def from_json(text: str) -> Content:
    """What `to_json` wrote.

    Raises:
        ValueError: the text is not JSON, not of this kind, of another version, or incomplete.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise ValueError(f"this is not a file of counts: its kind is not {_KIND!r}")
    if content.get("version") != _VERSION:
        raise ValueError(f"counts of version {content.get('version')} given; this fxsim reads version {_VERSION}")
    try:
        return Content(
            records=_from_list("records", content),
            ordered=None if content["ordered"] is None else _from_list("ordered", content),
            total={name: int(content["total"][name]) for name in ("calls", *COUNTS)},
            uncounted={
                each["op"]: [int(each["calls"]), int(each["elements_written"])] for each in content["uncounted"]
            },
        )
    except KeyError as missing:
        raise ValueError(f"this file of counts is incomplete: it lacks {missing}") from None


def _listed(name: str, records: Iterable[OpRecord]) -> dict[str, Any]:
    """Records as lists of cells, and the details of those that have one, by place in the list."""
    kept = tuple(records)
    details = {str(place): each.detail.plain() for place, each in enumerate(kept) if each.detail is not None}
    return {name: [_cells(each) for each in kept], f"{name}_details": details}


def _from_list(name: str, content: dict[str, Any]) -> list[OpRecord]:
    columns: list[str] = content["columns"]
    records = [to_record(dict(zip(columns, cells, strict=True))) for cells in content[name]]
    for place, plain in content[f"{name}_details"].items():
        records[int(place)] = dataclasses.replace(records[int(place)], detail=Detail.of(plain))
    return records


def _cells(record: OpRecord) -> list[str | int]:
    values = row(record)
    return [values[name] for name in COLUMNS]
