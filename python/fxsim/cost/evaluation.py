"""What was counted, priced on a machine: a report. Pure: records are kept, and any number of machines may follow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol

import numpy as np

from fxsim.accumulator import Accumulator
from fxsim.cost.columns import Ints, Reals, product
from fxsim.cost.cost import BINDINGS, Cost
from fxsim.cost.counts import Counts, Uncounted
from fxsim.cost.figures import INTEGERS, Figures
from fxsim.cost.gemms import Gemms, gemms
from fxsim.cost.report import LABELS, Report, Row, Span, Unpriced
from fxsim.cost.widths import FLOAT_BITS
from fxsim.cost.windows import Window
from fxsim.cost.work import Work
from fxsim.formats import Format
from fxsim.ops.records import COUNTS, IDENTITY

_LARGEST: Final = 2.0**62


class Named(Protocol):
    """Has a name."""

    @property
    def name(self) -> str: ...


class Machine(Protocol):
    """What prices work; every accelerator does."""

    @property
    def name(self) -> str: ...
    @property
    def clock_hz(self) -> int | None: ...
    @property
    def energy(self) -> Named: ...
    def price(self, work: Work) -> Cost: ...
    def arithmetic(self, a: str, b: str) -> Accumulator: ...


def evaluate(machine: Machine, counts: Counts | Sequence[Window]) -> Report:
    """What the products that were counted cost on a machine, by layer, pass and format, and over time if in windows.

    Raises:
        ValueError: nothing multiplies; the machine cannot do a GEMM.
        DetailError: the machine's cycles follow from values, and they were counted at too low a level.
        OverflowError: a sum reaches 2**62.
    """
    windows = () if isinstance(counts, Counts) else tuple(counts)
    sources = [counts] if isinstance(counts, Counts) else [each.counts for each in windows]
    found = gemms(sources)
    columns = _columns(found, machine.price(found.work))
    labels = [tuple(str(getattr(kind, name)) for name in LABELS) for kind in found.kinds]
    places = {label: place for place, label in enumerate(dict.fromkeys(labels))}
    by_kind = np.array([places[label] for label in labels], np.int64)
    rows = [
        Row(**dict(zip(LABELS, label, strict=True)), note=_note(machine, label), figures=figures)
        for label, figures in zip(places, _sums(columns, by_kind[found.kind], len(places)), strict=True)
    ]
    spans = [
        Span(window.step, window.steps, figures)
        for window, figures in zip(windows, _sums(columns, found.source, len(windows)), strict=True)
    ]
    return Report(
        accelerator=machine.name,
        energy_table=machine.energy.name,
        clock_hz=machine.clock_hz,
        rows=tuple(rows),
        spans=tuple(spans),
        unpriced=_unpriced(sources),
        uncounted=_uncounted(sources),
    )


def _columns(found: Gemms, cost: Cost) -> dict[str, Ints | Reals]:
    work = found.work
    columns: dict[str, Ints | Reals] = {
        "calls": work.calls,
        "macs": work.macs,
        "pad_macs": work.pad_macs,
        "zero_macs": work.zero_macs,
        "effective_macs": work.nz_macs,
        "bit_operations": product("bit_operations", work.macs, work.a_bits, work.b_bits),
        "capacity_macs": np.divide(work.macs, cost.utilization, out=np.zeros(len(work)), where=cost.utilization > 0),
        "mapped_cycles": cost.mapping_efficiency * cost.compute_cycles,
        "overflow_events": found.overflows,
        "output_overflows": found.count("output_overflows"),
        "outputs": found.count("elements_written"),
    }
    for name in ("cycles", "compute_cycles", "fill_drain_cycles", "stall_cycles"):
        columns[name] = getattr(cost, name)
    for number, name in enumerate(BINDINGS):
        columns[f"{name}_bound_cycles"] = np.where(cost.binding == number, cost.cycles, 0)
    for memory in ("sram", "dram"):
        for what in ("a", "b", "out", "psum"):
            columns[f"{memory}_{what}_bits"] = getattr(cost, f"{memory}_bits_{what}")
    for what in ("mac", "sram", "dram"):
        columns[f"energy_{what}_pj"] = getattr(cost, f"energy_{what}_pj")
    return columns


def _sums(columns: dict[str, Ints | Reals], group: Ints, groups: int) -> list[Figures]:
    """The figures of each group of rows; groups without rows are empty."""
    order = np.argsort(group, kind="stable")
    present, starts = np.unique(group[order], return_index=True)
    table: list[dict[str, int | float]] = [{} for _ in range(groups)]
    if groups:
        for name, column in columns.items():
            ordered = column[order]
            if name in INTEGERS and float(ordered.sum(dtype=np.float64)) >= _LARGEST:
                raise OverflowError(f"evaluate: {name} adds up to 2**62 or more; evaluate the counts in parts")
            for place, value in zip(present.tolist(), np.add.reduceat(ordered, starts).tolist(), strict=True):
                table[place][name] = value
    return [Figures(**each) for each in table]  # type: ignore[arg-type]


def _note(machine: Machine, label: tuple[str, ...]) -> str:
    a, b, counted = (label[LABELS.index(name)] for name in ("a", "b", "accumulator"))
    if counted in FLOAT_BITS:
        return f"cycles not tied to these bits: {counted} as torch adds it"
    own = machine.arithmetic(a, b)
    if same_arithmetic(own, counted, a, b):
        return ""
    return f"cycles not tied to these bits: counted with {counted}, the array adds with {own}"


@lru_cache(maxsize=4096)
def same_arithmetic(own: Accumulator, counted: str, a: str, b: str) -> bool:
    """Whether products of operands a and b sum to the same bits in both; a width means the products' own grid."""
    other = Accumulator.parse(counted)
    grid = Format.parse(a).fl + Format.parse(b).fl
    return str(_on_grid(own, grid)) == str(_on_grid(other, grid))


def _on_grid(accumulator: Accumulator, fl: int) -> Accumulator:
    form = accumulator.format
    outer = accumulator.outer
    return Accumulator(
        Format(form, fl) if isinstance(form, int) else form,
        rounding=accumulator.rounding,
        overflow=accumulator.overflow,
        at=accumulator.at,
        product=accumulator.product,
        lanes=accumulator.lanes,
        chunk=accumulator.chunk,
        outer=None if outer is None else _on_grid(outer, fl),
        k_order=accumulator.k_order,
    )


def _unpriced(sources: Sequence[Counts]) -> tuple[Unpriced, ...]:
    """Ops that multiply no pairs, summed over layers."""
    sums: dict[tuple[object, ...], list[int]] = {}
    for counts in sources:
        for key, values in counts.sums():
            if not values[_MACS]:
                row = sums.setdefault(tuple(key[place] for place in _UNPRICED_LABELS), [0, 0, 0])
                for place, value in enumerate(_UNPRICED_COUNTS):
                    row[place] += values[value]
    return tuple(Unpriced(*map(str, key), *values) for key, values in sums.items())  # type: ignore[arg-type]


_UNPRICED_LABELS: Final = tuple(IDENTITY.index(name) for name in ("op", "pass_", "a", "output"))
_UNPRICED_COUNTS: Final = (0, 1 + COUNTS.index("elements_read"), 1 + COUNTS.index("elements_written"))  # calls first
_MACS: Final = 1 + COUNTS.index("macs")


def _uncounted(sources: Sequence[Counts]) -> tuple[Uncounted, ...]:
    whole = Counts()
    for counts in sources:
        for each in counts.uncounted:
            whole.add_uncounted(each.op, each.elements_written, each.calls)
    return whole.uncounted
