"""Counts: what was executed, kept in a size that does not grow with the number of steps."""

from __future__ import annotations

import dataclasses
import itertools
import operator
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final, overload

from fxsim.cost import table
from fxsim.cost.totals import Total, grouped, total, violations
from fxsim.ops.details import Detail
from fxsim.ops.records import COUNTS, SUMS, OpRecord, Told, record_of, sums_of, told_of

Key: TypeAlias = tuple[object, ...]

_SUMMING: Final = threading.RLock()
_NOTES: Final = 1024
"""Records that wait to be summed, at most."""


@final
@dataclass(frozen=True, slots=True)
class Uncounted:
    """Float arithmetic that no record covers: an op of torch, its calls, the elements it wrote."""

    op: str
    calls: int
    elements_written: int


@final
class Counts:
    """Sums of records: one record for each distinct (layer, pass, op, shape, formats).

    Its size depends on the model and on the formats met, not on how long one counts. With
    `keep_order=True` every record is kept besides, in the order of execution.

    Records are noted first and summed many at a time: what runs between two ops of a network finds the caches emptied.
    """

    __slots__ = ("_details", "_notes", "_order", "_running", "_sums", "_uncounted")

    def __init__(self, records: Iterable[OpRecord] = (), *, keep_order: bool = False) -> None:
        self._sums: dict[Key, list[int]] = {}
        self._running = [0] * len(SUMS)
        self._order: list[OpRecord] | None = [] if keep_order else None
        self._details: dict[Key, list[Detail]] = {}
        self._uncounted: dict[str, list[int]] = {}
        self._notes: deque[tuple[Callable[..., Told], tuple[Any, ...]]] = deque()
        for record in records:
            self.add(record)

    def add(self, record: OpRecord) -> None:
        """Take one record in."""
        self.note(told_of, (record,))

    def note(self, tell: Callable[..., Told], given: tuple[Any, ...]) -> None:
        """Take in the record of `tell(*given)`, which is asked for later; threads may do so at once."""
        self._notes.append((tell, given))
        if len(self._notes) >= _NOTES:
            self.settle()

    def settle(self) -> None:
        """Sum what was noted, which every reader does first."""
        with _SUMMING:
            notes = [self._notes.popleft() for _ in range(len(self._notes))]
            if not notes:
                return
            told = [tell(*given) for tell, given in notes]
            for identity, sums, detail in told:
                self._add(identity, sums, () if detail is None else (detail,))
            if self._order is not None:
                self._order += itertools.starmap(record_of, told)
            self._running = list(map(sum, zip(self._running, *(sums for _, sums, _ in told), strict=True)))

    def add_uncounted(self, op: str, elements_written: int, calls: int = 1) -> None:
        """Note float arithmetic that no record covers."""
        seen = self._uncounted.setdefault(op, [0, 0])
        seen[0] += calls
        seen[1] += elements_written

    @property
    def uncounted_sums(self) -> dict[str, list[int]]:
        """[calls, elements written] of each op without a record, for whoever adds to them many times."""
        return self._uncounted

    def merge(self, other: Counts) -> None:
        """Take in everything `other` holds.

        Raises:
            ValueError: this keeps the order of records and `other` does not.
        """
        self.settle()
        other.settle()
        if self._order is not None:
            for record in self._ordered_of(other):
                self.add(record)
        else:
            for key, values in other._sums.items():
                self._add(key, values, other._details.get(key, ()))
            self._running = list(map(operator.add, self._running, other._running))
        for left_out in other.uncounted:
            self.add_uncounted(left_out.op, left_out.elements_written, left_out.calls)

    def _add(self, key: Key, values: Sequence[int], details: Iterable[Detail]) -> None:
        sums = self._sums.get(key)
        self._sums[key] = list(values) if sums is None else list(map(operator.add, sums, values))
        for detail in details:
            self._details.setdefault(key, []).append(detail)

    @staticmethod
    def _ordered_of(other: Counts) -> Iterable[OpRecord]:
        if other._order is None:
            raise ValueError(
                "merge: the order of records was kept here, but not by the other counts; "
                "open both with keep_order=True, or neither"
            )
        return other._order

    @property
    def records(self) -> tuple[OpRecord, ...]:
        """One record for each distinct (layer, pass, op, shape, formats), in order of first execution.

        Counts are summed over its `calls`, and details joined if every call has one; shapes are those of one call.
        """
        return tuple(self.record(key, sums) for key, sums in self.sums())

    def sums(self) -> Iterable[tuple[Key, list[int]]]:
        """What `records` is made of: values of IDENTITY, and calls with the COUNTS; faster where there are many."""
        self.settle()
        return self._sums.items()

    def record(self, key: Key, sums: list[int]) -> OpRecord:
        """The record of one item of `sums`."""
        record = record_of(key, sums, None)
        detail = Detail.joined(self._details.get(key, ()))
        if detail is None or len(detail.a_row_nnz) != record.m * record.groups * record.calls:
            return record
        return dataclasses.replace(record, detail=detail)

    @property
    def has_details(self) -> bool:
        """Whether any record has a detail."""
        self.settle()
        return bool(self._details)

    @property
    def ordered(self) -> tuple[OpRecord, ...]:
        """Every record as it was published.

        Raises:
            ValueError: the order was not kept.
        """
        if self._order is None:
            raise ValueError("ordered: the order of records was not kept; open count(keep_order=True)")
        self.settle()
        return tuple(self._order)

    @property
    def keeps_order(self) -> bool:
        """Whether `ordered` may be asked for."""
        return self._order is not None

    @property
    def uncounted(self) -> tuple[Uncounted, ...]:
        """Float arithmetic that ran but has no record, by op, in order of first execution."""
        return tuple(Uncounted(op, calls, elements) for op, (calls, elements) in self._uncounted.items())

    @property
    def total(self) -> Total:
        """The sum of all records."""
        return total(self.records)

    @property
    def bit_operations(self) -> int:
        """The sum of macs * bits_a * bits_b."""
        return self.total.bit_operations

    @overload
    def by(self, field: str, /) -> dict[str, Total]: ...
    @overload
    def by(self, field: str, second: str, /, *more: str) -> dict[tuple[str, ...], Total]: ...
    def by(self, *fields: str) -> dict[str, Total] | dict[tuple[str, ...], Total]:
        """Totals by the value of one field, or by the tuple of values of several.

        Example: `counts.by("layer")["conv1"].macs`, `counts.by("layer", "pass_")["conv1", "fwd"].nz_macs`.

        Raises:
            ValueError: a field is not one of GROUPINGS.
        """
        totals = grouped(self.records, fields)
        return {key[0]: value for key, value in totals.items()} if len(fields) == 1 else totals

    def violations(self) -> tuple[str, ...]:
        """Broken conservation laws, one text each; empty for sound counts.

        The records must add up to the sum kept beside them, each must have as many macs as its shape says,
        and every mac must be structural, zero or non-zero.
        """
        found = [text for record in self.records for text in violations(record)]
        found += self._sum_violations("records", self.records)
        if self._order is not None:
            found += self._sum_violations("ordered records", self._order)
        return tuple(found)

    def _sum_violations(self, name: str, records: Iterable[OpRecord]) -> list[str]:
        sums = [0] * len(self._running)
        for record in records:
            sums = list(map(operator.add, sums, sums_of(record)))
        return [
            f"{name} hold {given} {field} together, but {kept} were counted"
            for field, given, kept in zip(SUMS, sums, self._running, strict=True)
            if given != kept
        ]

    def check(self) -> None:
        """Assert conservation.

        Raises:
            ValueError: a law of `violations` is broken; the text lists every breach.
        """
        found = self.violations()
        if found:
            raise ValueError("counts are not conserved:\n" + "\n".join(found))

    def rows(self) -> list[table.Row]:
        """The records as rows of a table: identity, calls, counts, bit_operations."""
        return table.rows(self.records)

    def to_json(self) -> str:
        """Everything as JSON text; `from_json` gives equal counts."""
        self.settle()
        kept = dict(zip(SUMS, self._running, strict=True))
        return table.to_json(self.records, self._order, kept, self._uncounted)

    @classmethod
    def from_json(cls, text: str) -> Counts:
        """Counts from `to_json`'s text.

        Raises:
            ValueError: the text is not such a file.
        """
        content = table.from_json(text)
        counts = cls(content.records)
        counts.settle()
        counts._order = content.ordered
        counts._running = [content.total[name] for name in SUMS]
        counts._uncounted = content.uncounted
        return counts

    def to_csv(self) -> str:
        """The rows as CSV text with a header; order, details and uncounted ops are in JSON only."""
        return table.to_csv(self.records)

    @classmethod
    def from_csv(cls, text: str) -> Counts:
        """Counts from `to_csv`'s text; derived columns are not read.

        Raises:
            ValueError: a column is missing or a count is not a number.
        """
        return cls(table.from_csv(text))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Counts):
            return NotImplemented
        self.settle()
        other.settle()
        return (self._sums, self._joined_details(), self._running, self._order, self._uncounted) == (
            other._sums,
            other._joined_details(),
            other._running,
            other._order,
            other._uncounted,
        )

    def _joined_details(self) -> dict[Key, Detail | None]:
        return {key: Detail.joined(parts) for key, parts in self._details.items()}

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        self.settle()
        calls, *values = self._running
        macs = values[COUNTS.index("macs")]
        return f"Counts({len(self._sums)} records of {calls} calls, {macs} macs, {len(self._uncounted)} ops uncounted)"
