"""A run priced on described machines: reports, and tables of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from fxsim.cost.accelerators import Accelerator
from fxsim.cost.counts import Counts
from fxsim.cost.report import Report
from fxsim.report import analytic, cost_figures, svg
from fxsim.report.load import RunLog
from fxsim.report.tables import Table
from fxsim.report.text import ABSENT, count_text, percent_text, si_text
from fxsim.train.runfolder import RunFolder, write_atomically

FOLDER: Final = "cost"
"""Of a run folder: the machines that its costs were asked for on, and what they came to."""


@final
@dataclass(frozen=True, slots=True)
class Priced:
    """What one network of a run costs on one machine. inference: of the test data, None where the run is not over."""

    network: str
    accelerator: Accelerator
    training: Report
    inference: Report | None
    images: int

    @property
    def name(self) -> str:
        """For tables and legends."""
        return f"{self.network} on {self.accelerator.name}"


def price(log: RunLog, accelerator: Accelerator) -> Priced:
    """A network's training, window by window, and its inference in the formats kept.

    Raises:
        ValueError: the run kept no counts over time, or the machine cannot do one of the products.
    """
    if not log.windows:
        raise ValueError(
            f"{log.name}: the run kept no counts over time; train with --count, and with this version of fxsim"
        )
    inference = None if log.inference is None else accelerator.evaluate(log.inference)
    return Priced(log.name, accelerator, accelerator.evaluate(log.windows), inference, _images(log.inference))


def _images(counts: Counts | None) -> int:
    """Images that went through the first layer."""
    first = next((each for each in counts.records if each.macs), None) if counts is not None else None
    if counts is None or first is None:
        return 0
    same = (each for each in counts.records if (each.layer, each.pass_, each.n, each.k) == _place(first) and each.macs)
    return sum(each.batch * each.calls for each in same)


def _place(record: object) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in ("layer", "pass_", "n", "k"))


def accelerators(folder: RunFolder) -> tuple[Accelerator, ...]:
    """The machines that a run's costs were asked for on, in the order of their names."""
    files = sorted((folder.path / FOLDER).glob("*.toml"))
    return tuple(Accelerator.from_toml(file.read_text(encoding="utf-8")) for file in files)


def keep(folder: RunFolder, machines: Sequence[Accelerator]) -> None:
    """Write the machines down, so that every later report has their section too."""
    (folder.path / FOLDER).mkdir(exist_ok=True)
    for machine in machines:
        write_atomically(folder.path / FOLDER / f"{slug(machine.name)}.toml", machine.to_toml())


def slug(name: str) -> str:
    """A name as part of a file's name."""
    return "-".join("".join(each if each.isalnum() or each in "._" else " " for each in name).split())


def write_tables(path: Path, priced: Sequence[Priced]) -> tuple[Path, ...]:
    """For each network and machine: rows as CSV, everything as JSON, costs over time as CSV, drawings as SVG."""
    written = []
    for each in priced:
        name = slug(each.name)
        texts = {
            f"{name}-training.csv": each.training.to_csv(),
            f"{name}-training.json": each.training.to_json(),
            f"{name}-over-time.csv": each.training.spans_to_csv(),
        }
        if each.inference is not None:
            texts |= {
                f"{name}-inference.csv": each.inference.to_csv(),
                f"{name}-inference.json": each.inference.to_json(),
            }
        texts |= {f"{name}-{what}.svg": drawing for what, drawing in _drawings(each).items()}
        for file, text in texts.items():
            write_atomically(path / file, text)
            written.append(path / file)
    return tuple(written)


def _drawings(priced: Priced) -> dict[str, str]:
    training = priced.training
    drawings = {
        "cycles": cost_figures.cycles_by_layer(training),
        "roofline": cost_figures.roofline(training, priced.accelerator.memory.dram_bits_per_cycle),
        "energy": cost_figures.energy_split({priced.name: training.total}),
        "over-time": cost_figures.over_time({priced.name: training}),
    }
    return {name: svg.standalone(drawing) for name, drawing in drawings.items() if drawing}


def totals(reports: Sequence[tuple[str, Report]]) -> Table:
    """One row for each report; energy relative to the first one's."""
    first = reports[0][1].total.energy_pj if reports else math.nan
    rows = []
    for name, report in reports:
        total = report.total
        rows.append(
            (
                name,
                si_text(total.macs),
                percent_text(total.effective_macs / total.macs, 1),
                si_text(total.cycles),
                si_text(report.seconds, "s"),
                percent_text(total.utilization, 1),
                percent_text(total.stall_cycles / total.cycles, 1),
                si_text(total.sram_bits),
                si_text(total.dram_bits),
                f"{total.energy_pj / first:.3g}",
                si_text(total.energy_pj / 1e12, "J"),
            )
        )
    headings = (
        "", "MACs", "without a zero", "Cycles", "Time", "Utilisation", "Stalls", "Buffer bits", "Main memory bits",
        "Relative energy", "Energy",
    )  # fmt: skip
    return Table(headings, rows)


def by_layer(report: Report) -> Table:
    """Layers by pass and format, in order of first execution."""
    energy = report.total.energy_pj
    rows = []
    for row in report.rows:
        figures = row.figures
        rows.append(
            (
                row.layer or "(no name)",
                row.pass_,
                f"{row.a} × {row.b}",
                si_text(figures.macs),
                percent_text(figures.effective_macs / figures.macs, 1),
                si_text(figures.bit_operations),
                si_text(figures.cycles),
                percent_text(figures.fill_drain_cycles / figures.cycles, 1),
                percent_text(figures.stall_cycles / figures.cycles, 1),
                percent_text(figures.utilization, 1),
                si_text(figures.dram_bits),
                percent_text(figures.energy_pj / energy, 1),
                figures.binding.replace("_", " and "),
                count_text(figures.overflow_events),
            )
        )
    headings = (
        "Layer", "Pass", "Formats", "MACs", "without a zero", "Bit-operations", "Cycles", "Fill and drain", "Stalls",
        "Utilisation", "Main memory bits", "of energy", "Bound by", "Overflows",
    )  # fmt: skip
    return Table(headings, rows)


def analytic_table(log: RunLog) -> Table | None:
    """AdaPT's ratios by its equations, by the formulas behind its tables, and counted; None for other policies."""
    found = analytic.adapt(log)
    if found is None:
        return None
    eq, tables, counted = found
    rows = [
        (label, *(f"{getattr(each, name).better_above_one:.3f}" for each in (eq, tables)), _figure(measured))
        for label, name, measured in (
            ("SU, training", "speedup", counted.speedup),
            ("SU, inference", "inference_speedup", counted.inference_speedup),
            ("SZ, size of the model", "size", counted.size),
            ("MEM, memory of training", "memory", counted.memory),
        )
    ]
    return Table(("float32 over this run", "equations 6 to 9", "as the tables", "counted"), rows)


def _figure(value: float) -> str:
    return ABSENT if math.isnan(value) else f"{value:.3f}"


def sakr_table(log: RunLog) -> Table | None:
    """Sakr and Shanbhag's four costs of the formats at the end, beside float32's; None without formats."""
    found = analytic.sakr_costs(log)
    if found is None:
        return None
    ours, full = found
    labels = {
        "weight_bits": "C_W, weights, their gradients and accumulators",
        "activation_bits": "C_A, activations and their gradients",
        "multiplier_bits": "C_M, full adders of the multiplications",
        "sent_bits": "C_C, gradients that are sent",
    }
    rows = [
        (label, f"{si_text(getattr(ours, name))}", f"{si_text(getattr(full, name))}", _ratio(ours, full, name))
        for name, label in labels.items()
    ]
    return Table(("bits, a batch of one image", "this run", "float32", "share"), rows)


def _ratio(ours: object, full: object, name: str) -> str:
    return percent_text(getattr(ours, name) / getattr(full, name), 1)
