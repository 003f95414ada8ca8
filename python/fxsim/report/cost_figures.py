"""The drawings of what a run costs on described machines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from fxsim.cost.figures import Figures
from fxsim.cost.report import Report
from fxsim.report import colours, curves, svg
from fxsim.report.curves import Series
from fxsim.report.text import si_text

_LEFT, _RIGHT, _ROW, _WIDTH = 150.0, 90.0, 22.0, 960.0
_LETTER: Final = 6.6
"""Width of a letter of a name."""

CYCLE_PARTS: Final = {
    "compute": "var(--series-1)",
    "fill and drain": "var(--series-3)",
    "waiting for memory": "var(--series-2)",
}
"""Parts of the cycles, with their colours."""

ENERGY_PARTS: Final = {
    "multiply-accumulates": "var(--series-1)",
    "buffers": "var(--series-3)",
    "main memory": "var(--series-2)",
}
"""Parts of the energy, with their colours."""

Parts = Sequence[float]


def _cycle_parts(figures: Figures) -> Parts:
    return figures.compute_cycles, figures.fill_drain_cycles, figures.stall_cycles


def _energy_parts(figures: Figures) -> Parts:
    return figures.energy_mac_pj, figures.energy_sram_pj, figures.energy_dram_pj


def cycles_by_layer(report: Report) -> str:
    """Cycles of each layer, all passes together, stacked by what they are spent on."""
    rows = {layer or "(no name)": _cycle_parts(figures) for (layer,), figures in report.by("layer").items()}
    return _stacked(rows, CYCLE_PARTS, "", f"Cycles of each layer on {report.accelerator}")


def energy_split(figures: Mapping[str, Figures]) -> str:
    """Energy of each machine, stacked by where it goes."""
    rows = {name: tuple(part / 1e12 for part in _energy_parts(each)) for name, each in figures.items()}
    return _stacked(rows, ENERGY_PARTS, "J", "Energy by where it goes")


def _stacked(rows: Mapping[str, Parts], parts: Mapping[str, str], unit: str, label: str) -> str:
    longest = max((sum(each) for each in rows.values()), default=0.0) or 1.0
    left = max(_LEFT, 20 + _LETTER * max(map(len, rows), default=0))
    x = svg.Scale(0.0, longest, left, _WIDTH - _RIGHT)
    content = []
    for place, (name, values) in enumerate(rows.items()):
        y, start = 6 + _ROW * place, 0.0
        content.append(svg.text(left - 10, y + 13, name, "label name", "end"))
        for (part, colour), value in zip(parts.items(), values, strict=True):
            title = f"{name}: {part}, {si_text(value, unit)} ({value / sum(values):.1%})" if value else ""
            content.append(
                svg.rect(x(start), y, x(start + value) - x(start), _ROW - 6, fill=colour, title=title) if value else ""
            )
            start += value
        content.append(svg.text(x(start) + 8, y + 13, si_text(start, unit), "label value"))
    return svg.svg(_WIDTH, 10 + _ROW * len(rows), content, label)


def over_time(reports: Mapping[str, Report]) -> str:
    """Cycles of a training step over the training, one curve for each machine."""
    series = [
        Series(name, tuple((span.step, span.figures.cycles / span.steps) for span in report.spans), colour)
        for (name, report), colour in zip(reports.items(), colours.repeated(), strict=False)
    ]
    highest = max((value for each in series for _, value in each.points), default=1.0)
    return curves.plot(
        series,
        steps=max((span.step for report in reports.values() for span in report.spans), default=1),
        label="Cycles of a training step over training",
        format_y=si_text,
        lo=0.0,
        hi=highest * 1.08,
        width=curves.FULL_WIDTH,
    )


_PASS_COLOURS: Final = {"fwd": "var(--series-1)", "dgrad": "var(--series-3)", "wgrad": "var(--series-4)"}
_HEIGHT: Final = 330.0


def roofline(report: Report, dram_bits_per_cycle: int | None) -> str:
    """Each layer's products of each pass: how many macs a bit of main memory serves, against macs a cycle.

    Roofs: what the array could do at the word lengths of the busiest products, and what main memory allows.
    """
    points = {
        key: figures
        for key, figures in report.by("layer", "pass_").items()
        if figures.cycles and figures.dram_bits and figures.macs
    }
    if not points:
        return ""
    peak = max(figures.capacity_macs / figures.cycles for figures in points.values())
    left = [figures.macs_per_dram_bit for figures in points.values()]
    low = [figures.macs_per_cycle for figures in points.values()]
    x = _Log(min(left), max(left), 62.0, _WIDTH - 20)
    y = _Log(min(low), max(*low, peak), _HEIGHT - 42, 26.0)
    content = _log_axes(x, y)
    content.append(svg.line(x.start, y(peak), x.end, y(peak), "axis"))
    content.append(svg.text(x.end, y(peak) - 5, f"{peak:,.0f} MACs a cycle", anchor="end"))
    if dram_bits_per_cycle is not None:
        content.append(_bandwidth(x, y, dram_bits_per_cycle, peak))
    for (layer, pass_), figures in points.items():
        colour = _PASS_COLOURS.get(pass_, "var(--axis)")
        title = (
            f"{layer} {pass_}: {figures.macs_per_cycle:,.1f} MACs a cycle, "
            f"{figures.macs_per_dram_bit:,.2f} a bit of main memory, bound by {figures.binding}"
        )
        content.append(svg.dot(x(figures.macs_per_dram_bit), y(figures.macs_per_cycle), colour, title))
    return svg.svg(_WIDTH, _HEIGHT, content, f"Roofline of {report.accelerator}")


class _Log:
    """A logarithmic map of values, from the power of ten below the least to that above the greatest."""

    def __init__(self, least: float, greatest: float, start: float, end: float) -> None:
        self.lo = math.floor(math.log10(least))
        self.hi = max(math.ceil(math.log10(greatest)), self.lo + 1)
        self.start, self.end = start, end
        self._scale = svg.Scale(self.lo, self.hi, start, end)

    def __call__(self, value: float) -> float:
        return self._scale(math.log10(value))

    @property
    def powers(self) -> range:
        return range(self.lo, self.hi + 1)


def _log_axes(x: _Log, y: _Log) -> list[str]:
    content = []
    for power in y.powers:
        content.append(svg.line(x.start, y(10.0**power), x.end, y(10.0**power)))
        content.append(svg.text(x.start - 8, y(10.0**power) + 4, f"{10.0**power:,g}", anchor="end"))
    for power in x.powers:
        content.append(svg.line(x(10.0**power), y.start, x(10.0**power), y.start + 4, "axis"))
        content.append(svg.text(x(10.0**power), y.start + 17, f"{10.0**power:,g}", anchor="middle"))
    content.append(svg.line(x.start, y.start, x.end, y.start, "axis"))
    middle = (x.start + x.end) / 2
    content.append(svg.text(middle, _HEIGHT - 6, "multiply-accumulates per bit of main memory", anchor="middle"))
    content.append(svg.text(x.start, 10, "multiply-accumulates per cycle"))
    return content


def _bandwidth(x: _Log, y: _Log, rate: int, peak: float) -> str:
    """The slanted roof: macs a cycle = macs a bit times bits a cycle, up to the peak."""
    first = max(10.0**x.lo, 10.0**y.lo / rate)
    last = min(peak / rate, 10.0**x.hi)
    if last <= first:
        return ""
    return svg.polyline([(x(first), y(first * rate)), (x(last), y(last * rate))], "curve", "var(--axis)")
