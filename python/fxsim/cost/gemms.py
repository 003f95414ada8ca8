"""From counts to columns of GEMM work: what of the records multiplies, and what does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, final

import numpy as np

from fxsim.accumulator import Accumulator
from fxsim.cost.columns import Ints
from fxsim.cost.counts import Counts
from fxsim.cost.detail import Detail, GroupHistogram
from fxsim.cost.widths import FLOAT_BITS, bits
from fxsim.cost.work import EXACT_ACCUMULATOR_BITS, Work
from fxsim.formats import Format
from fxsim.ops import details
from fxsim.ops.records import COUNTS, OpRecord
from fxsim.rounding import Quantizer

_SHAPE: Final = ("m", "n", "k", "groups", "a_elements", "b_elements", "kernel_h", "kernel_w", "c_in")
_MACS: Final = ("macs", "pad_macs", "zero_a_macs", "zero_b_macs", "zero_macs", "nz_macs")
_OVERFLOWS: Final = tuple(name for name in COUNTS if name.endswith("_overflows"))


@final
@dataclass(frozen=True, slots=True, eq=False)
class Gemms:
    """The products among the records of one or several counts, one behind the other.

    kinds: a record for each kind of product (layer, pass, op, shape, formats), its counts meaningless.
    kind: int64 (n,): which kind each row of `work` is.
    source: int64 (n,): from which of the counts it comes.
    counts: int64 (n, len(COUNTS)): its counts in the order of COUNTS.
    """

    work: Work
    kinds: tuple[OpRecord, ...]
    kind: Ints
    source: Ints
    counts: Ints

    def count(self, *names: str) -> Ints:
        """The sum of some counts, row by row."""
        return np.asarray(self.counts[:, [COUNTS.index(name) for name in names]].sum(axis=1))

    @property
    def overflows(self) -> Ints:
        """Overflow events of all kinds, row by row."""
        return self.count(*_OVERFLOWS)


def gemms(sources: Sequence[Counts]) -> Gemms:
    """The rows of all counts that have macs.

    Raises:
        ValueError: nothing multiplies, or a text names no format.
        OverflowError: a row's macs reach 2**60.
    """
    places: dict[object, int] = {}
    kinds: list[OpRecord] = []
    rows: list[list[int]] = []
    kind, source = [], []
    for number, counts in enumerate(sources):
        for key, sums in counts.sums():
            if not sums[_MACS_AT]:
                continue
            place = places.get(key)
            if place is None:
                place = places[key] = len(kinds)
                kinds.append(counts.record(key, sums))
            kind.append(place)
            source.append(number)
            rows.append(sums)
    if not rows:
        raise ValueError("evaluate: no record multiplies; count a forward pass of convolutions or linear layers")
    values = np.array(rows, np.int64)
    index = np.array(kind, np.int64)
    work = _work(kinds, index, values, _detail(sources))
    return Gemms(work, tuple(kinds), index, np.array(source, np.int64), values[:, 1:])


_MACS_AT: Final = 1 + COUNTS.index("macs")  # calls come first


def _work(kinds: Sequence[OpRecord], kind: Ints, values: Ints, detail: Detail | None) -> Work:
    columns: dict[str, Any] = {
        name: np.array([getattr(each, name) for each in kinds], np.int64)[kind] for name in _SHAPE
    }
    widths = {
        "a_bits": [bits(each.a) for each in kinds],
        "b_bits": [bits(each.b) for each in kinds],
        "acc_bits": [accumulator_bits(each.accumulator) for each in kinds],
        "out_bits": [output_bits(each.output) for each in kinds],
    }
    columns |= {name: np.array(each, np.int64)[kind] for name, each in widths.items()}
    columns |= {f"{side}_float": np.array([getattr(each, side) in FLOAT_BITS for each in kinds])[kind] for side in "ab"}
    columns |= {name: values[:, 1 + COUNTS.index(name)] for name in _MACS}
    written = values[:, 1 + COUNTS.index("elements_written")] // values[:, 0]
    return Work(**columns, calls=values[:, 0], out_elements=written, detail=detail)


@lru_cache(maxsize=4096)
def accumulator_bits(text: str) -> int:
    """Width of the accumulator that a record names; EXACT_ACCUMULATOR_BITS for an exact one.

    Raises:
        ValueError: the text is neither an accumulator nor the name of a float.
    """
    if text in FLOAT_BITS:
        return FLOAT_BITS[text]
    match Accumulator.parse(text).format:
        case None:
            return EXACT_ACCUMULATOR_BITS
        case int(width):
            return width
        case Format() as form:
            return form.wl


@lru_cache(maxsize=4096)
def output_bits(text: str) -> int:
    """Width of the output that a record names.

    Raises:
        ValueError: the text is neither a quantizer, nor a format, nor the name of a float.
    """
    return FLOAT_BITS[text] if text in FLOAT_BITS else Quantizer.parse(text).format.wl


def _detail(sources: Iterable[Counts]) -> Detail | None:
    """The details of all products; None where an integer product has none, or they are of different kinds.

    A float product has none, and counts as one without zeros whose elements need all their bits.
    """
    if not any(counts.has_details for counts in sources):
        return None
    records = [each for counts in sources for each in counts.records if each.macs]
    details_ = [each.detail for each in records if each.detail is not None]
    blind = any(each.detail is None and each.a not in FLOAT_BITS for each in records)
    if not details_ or blind or len({(each.level, each.rows, each.lanes) for each in details_}) > 1:
        return None
    known = details_[0]
    whole = [_dense(record, known) if record.detail is None else record.detail for record in records]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(each, name) for each in whole])
        for name in ("a_row_nnz", "b_column_nnz", "pair_nnz")
        if getattr(known, name) is not None
    }
    for name in ("a_needed_bits", "b_needed_bits", "a_set_bits", "b_set_bits"):
        if getattr(known, name) is not None:
            joined[name] = GroupHistogram(known.rows, known.lanes, np.stack([getattr(each, name) for each in whole]))
    return Detail(**joined)


def _dense(record: OpRecord, like: details.Detail) -> details.Detail:
    """Of a product that nobody looked at."""
    gemm_count = record.groups * record.calls
    values: dict[str, Any] = {
        "a_row_nnz": np.full(gemm_count * record.m, record.k),
        "b_column_nnz": np.full(gemm_count * record.n, record.k),
        "rows": like.rows,
        "lanes": like.lanes,
    }
    if like.level == 2:
        values["pair_nnz"] = np.full(gemm_count * record.m * record.n, record.k)
        for side, extent in (("a", record.m), ("b", record.n)):
            histogram = np.zeros(details.BINS, np.int64)
            groups = -(-extent // like.rows) * -(-record.k // like.lanes) * gemm_count
            histogram[bits(getattr(record, side))] = groups
            values |= {f"{side}_needed_bits": histogram, f"{side}_set_bits": histogram}
    return details.Detail(**values)
