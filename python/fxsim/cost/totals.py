"""Sums of records, and the rules every record obeys."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast, final

from fxsim.cost.widths import FLOAT32_BIT_OPERATIONS, bits
from fxsim.ops.records import COUNTS, OpCounts, OpRecord

_OVERFLOWS: Final = tuple(name for name in COUNTS if name.endswith("_overflows"))

GROUPINGS: Final = ("layer", "pass_", "op", "a", "b", "accumulator", "output", "format")
"""What records are grouped by; "format" is both operands' formats, as in "<8,4> x <6,5>"."""

count_values: Final = cast(Callable[[OpCounts | OpRecord], tuple[int, ...]], operator.attrgetter(*COUNTS))
"""The counts of a record as a tuple, in the order of COUNTS."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Total(OpCounts):
    """The counts of many records, added.

    calls: op executions.
    bit_operations: the sum of macs * bits_a * bits_b, structural zeros included; a float32 operand has 32 bits.
    """

    calls: int = 0
    bit_operations: int = 0

    @property
    def float32_bit_operations(self) -> int:
        """Bit operations of the same multiply-accumulates in float32."""
        return self.macs * FLOAT32_BIT_OPERATIONS

    @property
    def relative_bit_operations(self) -> float:
        """Bit operations as a fraction of float32's; nan where nothing was multiplied."""
        return self.bit_operations / self.float32_bit_operations if self.macs else math.nan

    @property
    def effective_fraction(self) -> float:
        """nz_macs as a fraction of macs: what an array that skips every zero would do; nan without macs."""
        return self.nz_macs / self.macs if self.macs else math.nan

    @property
    def overflow_events(self) -> int:
        """Overflow events of products, steps, outer steps, preloads and outputs together."""
        return sum(getattr(self, name) for name in _OVERFLOWS)


def bit_operations(record: OpRecord) -> int:
    """macs * bits_a * bits_b of one record.

    Raises:
        ValueError: the record multiplies, but one of its operands has no format.
    """
    return record.macs * bits(record.a) * bits(record.b) if record.macs else 0


def total(records: Iterable[OpRecord]) -> Total:
    """The sum of records.

    Raises:
        ValueError: a record multiplies, but one of its operands has no format.
    """
    sums = [0] * len(COUNTS)
    calls = bit_ops = 0
    for record in records:
        sums = list(map(operator.add, sums, count_values(record)))
        calls += record.calls
        bit_ops += bit_operations(record)
    return Total(**dict(zip(COUNTS, sums, strict=True)), calls=calls, bit_operations=bit_ops)


def violations(record: OpRecord) -> Iterator[str]:
    """What is impossible in a record, one text for each broken rule; none for a sound one."""
    r = record
    name = f"{r.layer or '(no layer)'} {r.pass_} {r.op}"
    shape_product = r.m * r.n * r.k * r.groups * r.calls
    if r.macs != shape_product:
        yield f"{name}: macs is {r.macs}, but m * n * k * groups * calls is {shape_product}"
    if r.nz_macs + r.zero_macs + r.pad_macs != r.macs:
        yield f"{name}: nz_macs {r.nz_macs} + zero_macs {r.zero_macs} + pad_macs {r.pad_macs} is not macs {r.macs}"
    if not max(r.zero_a_macs, r.zero_b_macs) <= r.zero_macs <= r.zero_a_macs + r.zero_b_macs:
        yield (
            f"{name}: zero_macs {r.zero_macs} cannot be the union of "
            f"zero_a_macs {r.zero_a_macs} and zero_b_macs {r.zero_b_macs}"
        )
    if r.round_to_zero > r.inexact:
        yield f"{name}: round_to_zero {r.round_to_zero} exceeds inexact {r.inexact}, which includes it"
    for field in COUNTS:
        if getattr(r, field) < 0:
            yield f"{name}: {field} is negative: {getattr(r, field)}"


def grouped(records: Iterable[OpRecord], fields: Sequence[str]) -> dict[tuple[str, ...], Total]:
    """Totals by the values of `fields`.

    Raises:
        ValueError: a field is not one of GROUPINGS.
    """
    for field in fields:
        if field not in GROUPINGS:
            raise ValueError(f"by: {field!r} is not a field to group by; accepted: {', '.join(GROUPINGS)}")
    groups: dict[tuple[str, ...], list[OpRecord]] = {}
    for record in records:
        groups.setdefault(tuple(_text(record, field) for field in fields), []).append(record)
    return {key: total(of_key) for key, of_key in groups.items()}


def _text(record: OpRecord, field: str) -> str:
    if field == "format":
        return f"{record.a} x {record.b}" if record.b else record.a
    return str(getattr(record, field))
