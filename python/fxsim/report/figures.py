"""The drawings of a report, each made from the lines of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from fxsim.formats import Format
from fxsim.report import colours, curves, svg
from fxsim.report.curves import Series
from fxsim.report.heatmap import Cell, Legend, heat_map
from fxsim.report.load import RunData, RunLog, Span
from fxsim.train.lines import TrainLine

_SETTLED: Final = 0.15
"""Share of the epochs that the accuracy's scale need not show: the first climb would flatten all the rest."""


def colour_of(data: RunData) -> dict[str, str]:
    """The colour of each network."""
    return {log.name: colour for log, colour in zip(data.logs, colours.series(len(data.logs)), strict=True)}


def accuracy(data: RunData) -> str:
    """Accuracy on test data at each epoch's end, over that on training batches."""
    series = _series(data, lambda line: line.accuracy)
    tested = [[value for _, value in each.points] for each in series if not each.faint]
    lowest = min((value for values in tested for value in values[int(_SETTLED * len(values)) :]), default=0.0)
    lo = max(0.0, math.floor(lowest * 20 - 0.5) / 20)
    return curves.plot(
        series, steps=data.steps, label="Accuracy over steps", format_y=lambda v: f"{100 * v:.0f} %", lo=lo, hi=1.0
    )


def loss(data: RunData) -> str:
    """Cross entropy on test data at each epoch's end, over that on training batches."""
    series = _series(data, lambda line: line.loss)
    values = [value for each in series for _, value in each.points if math.isfinite(value)]
    return curves.plot(
        series,
        steps=data.steps,
        label="Loss over steps",
        format_y=lambda v: f"{v:.1f}",
        lo=0.0,
        hi=max(0.5, sorted(values)[int(0.98 * (len(values) - 1))] * 1.05) if values else 1.0,
    )


def mean_word_lengths(data: RunData) -> str:
    """Mean word length over the weighted layers at every step, of the networks that are not floating point."""
    series = [
        Series(log.name, tuple((line.step, line.mean_word_length) for line in log.train), colour)
        for log, colour in _quantized(data)
    ]
    return curves.plot(
        series,
        steps=data.steps,
        label="Mean word length over steps",
        format_y=lambda v: f"{v:.0f}",
        lo=0,
        hi=32,
        width=curves.FULL_WIDTH,
    )


def _series(data: RunData, value: Callable[..., float]) -> list[Series]:
    series = []
    for name, colour in colour_of(data).items():
        log = next(log for log in data.logs if log.name == name)
        series.append(Series(name, tuple((line.step, value(line)) for line in log.train), colour, faint=True))
        tested = tuple((line.step, value(line)) for line in log.test if not line.finalized)
        series.append(Series(name, tested, colour))
    return series


def _quantized(data: RunData) -> list[tuple[RunLog, str]]:
    palette = colour_of(data)
    return [(log, palette[log.name]) for log in data.logs if log.train and log.train[-1].word_lengths]


def word_lengths(log: RunLog) -> str:
    """Word length of every weighted layer over time."""
    return _format_map(log, lambda format: format.wl, "Word length of each layer over time")


def fractional_lengths(log: RunLog) -> str:
    """Fractional length of every weighted layer over time."""
    return _format_map(log, lambda format: format.fl, "Fractional length of each layer over time")


def _format_map(log: RunLog, pick: Callable[[Format], int], label: str) -> str:
    spans = log.spans()
    kept = {name: Format(*pair) for name, pair in log.finalized.word_lengths.items()} if log.finalized else {}
    values = [pick(span.format) for row in spans.values() for span in row] + [pick(each) for each in kept.values()]
    if not values:
        return ""
    lo, hi = min(values), max(values)
    stops = range(lo, hi + 1) if hi - lo < 30 else range(lo, hi + 1, 2)
    legend = Legend(lo, hi, colours.viridis, stops, lambda value: f"{value:.0f}")
    rows = {
        name: [Cell(span.first, span.last, pick(span.format), _span_text(span)) for span in row]
        for name, row in spans.items()
    }
    final = {name: (float(pick(each)), str(each)) for name, each in kept.items()}
    return heat_map(rows, legend, steps=log.steps, label=label, final=final or None)


def _span_text(span: Span) -> str:
    return f"{span.format}, steps {span.first:,}–{span.last:,}"


def sparsity(log: RunLog) -> str:
    """Share of zero weights of every weighted layer over time."""
    rows = _cells(log.train, lambda line: line.sparsity_by_layer, lambda value: f"{100 * value:.1f} % zero")
    highest = max((cell.value for row in rows.values() for cell in row), default=0.0)
    hi = next((top for top in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if highest <= top), 1.0)
    stops = [hi * index / 5 for index in range(6)]
    digits = 0 if hi >= 0.05 else 1
    legend = Legend(0.0, hi, colours.magma, stops, lambda value: f"{100 * value:.{digits}f} %")
    kept = log.finalized.sparsity_by_layer if log.finalized else {}
    final = {name: (share, f"{100 * share:.1f} %") for name, share in kept.items()}
    return heat_map(rows, legend, steps=log.steps, label="Zero weights of each layer over time", final=final or None)


def overflows(log: RunLog) -> str:
    """Overflow events a step of every layer over time, on a logarithmic scale."""
    names = list(dict.fromkeys(name for line in log.train for name in line.overflow_by_layer))
    if not names:
        return ""
    executed = list(log.counts.by("layer")) if log.counts else []
    order = [name for name in executed if name in names] + [name for name in names if name not in executed]
    events = _cells(
        log.train,
        lambda line: {name: line.overflow_by_layer.get(name, 0) / line.steps for name in order},
        lambda value: f"{value:,.0f} events a step",
    )
    rows = {
        name: [Cell(cell.first, cell.last, _log(cell.value), cell.text) for cell in row] for name, row in events.items()
    }
    hi = max(1.0, math.ceil(max(cell.value for row in rows.values() for cell in row)))
    stops = [float(power) for power in range(int(hi) + 1)]
    legend = Legend(0.0, hi, colours.magma, stops, lambda value: f"{10 ** int(value) - (value == 0):,}")
    return heat_map(rows, legend, steps=log.steps, label="Overflow events a step of each layer over time")


def _log(value: float) -> float:
    """0 for none; 1 event a step is a tenth of a power of ten, so that it can be seen."""
    return math.log10(value + 1) if value else 0.0


def _cells(
    lines: Iterable[TrainLine], values: Callable[[TrainLine], Mapping[str, float]], text: Callable[[float], str]
) -> dict[str, list[Cell]]:
    rows: dict[str, list[Cell]] = {}
    for line in lines:
        first = line.step - line.steps + 1
        for name, value in values(line).items():
            row = rows.setdefault(name, [])
            if row and row[-1].value == value:
                row[-1] = Cell(row[-1].first, line.step, value, text(value))
            else:
                row.append(Cell(first, line.step, value, text(value)))
    return rows


Bar = tuple[str, Sequence[tuple[str, float]]]
"""A name, and parts (pass, share of float32's whole)."""

_PASS_COLOURS: Final = {"fwd": "var(--series-1)", "dgrad": "var(--series-3)", "wgrad": "var(--series-4)"}


def cost_bars(bars: Sequence[Bar]) -> str:
    """Bit-operations as bars, float32's whole being 100 %."""
    left, right, row = 190.0, 70.0, 34.0
    x = svg.Scale(0.0, 1.0, left, 960.0 - right)
    content = []
    for index, (name, parts) in enumerate(bars):
        y, start = 8 + row * index, 0.0
        content.append(svg.text(left - 10, y + 17, name, "label name", "end"))
        for pass_, share in parts:
            fill = _PASS_COLOURS.get(pass_, "var(--axis)")
            content.append(
                svg.rect(x(start), y, x(start + share) - x(start), row - 10, fill=fill, title=f"{pass_}: {share:.2%}")
            )
            start += share
        content.append(svg.text(x(start) + 8, y + 17, f"{100 * start:.1f} %", "label value"))
    return svg.svg(960, 8 + row * len(bars), content, "Bit-operations relative to float32")
