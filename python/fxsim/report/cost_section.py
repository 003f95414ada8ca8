"""The part of a page about what a run costs on described machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from markupsafe import Markup

from fxsim.cost.accelerators import Accelerator
from fxsim.report import colours, cost_figures, costs
from fxsim.report.costs import Priced
from fxsim.report.load import RunData
from fxsim.report.tables import Table
from fxsim.report.text import count_text


@final
@dataclass(frozen=True, slots=True)
class Machine:
    """One machine's drawings and table for the network of interest. notes: why cycles and bits are two machines'."""

    name: str
    cycles: Markup
    roofline: Markup
    layers: Table
    notes: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Section:
    """What a page shows of a run's costs; network: whose layers the machines' tables are."""

    network: str
    energy_tables: str
    training: Table
    inference: Table | None
    images: int
    over_time: Markup
    energy: Markup
    keys: dict[str, str]
    cycle_keys: dict[str, str]
    energy_keys: dict[str, str]
    machines: tuple[Machine, ...]
    unpriced: str


def section(data: RunData, machines: Sequence[Accelerator]) -> Section | None:
    """The section of a run that kept counts over time; None where there are no machines or no such counts."""
    priced = [costs.price(log, machine) for log in data.logs if log.windows for machine in machines]
    if not priced:
        return None
    training = [(each.name, each.training) for each in priced]
    inference = [(each.name, each.inference) for each in priced if each.inference is not None]
    curves = dict(training)
    return Section(
        network=priced[0].network,
        energy_tables=", ".join(dict.fromkeys(report.energy_table for _, report in training)),
        training=costs.totals(training),
        inference=costs.totals(inference) if inference else None,
        images=priced[0].images,
        over_time=Markup(cost_figures.over_time(curves)),
        energy=Markup(cost_figures.energy_split({name: report.total for name, report in training})),
        keys=dict(zip(curves, colours.repeated(), strict=False)),
        cycle_keys=cost_figures.CYCLE_PARTS,
        energy_keys=cost_figures.ENERGY_PARTS,
        machines=tuple(_machine(each) for each in priced if each.network == priced[0].network),
        unpriced=_unpriced(priced[0]),
    )


def _machine(priced: Priced) -> Machine:
    rate = priced.accelerator.memory.dram_bits_per_cycle
    return Machine(
        name=priced.accelerator.name,
        cycles=Markup(cost_figures.cycles_by_layer(priced.training)),
        roofline=Markup(cost_figures.roofline(priced.training, rate)),
        layers=costs.by_layer(priced.training),
        notes=priced.training.notes,
    )


def _unpriced(priced: Priced) -> str:
    """Ops that no machine prices, with the elements they wrote."""
    sums: dict[str, int] = {}
    for each in priced.training.unpriced:
        sums[each.op] = sums.get(each.op, 0) + each.elements_written
    for left_out in priced.training.uncounted:
        sums[left_out.op.removeprefix("aten.")] = left_out.elements_written
    ordered = sorted(sums.items(), key=lambda item: -item[1])
    return ", ".join(f"{op} ({count_text(elements)})" for op, elements in ordered)
