"""Layers over time as coloured cells, in the manner of the AdaPT paper's figures 3 and 4."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from fxsim.report import svg
from fxsim.report.svg import Scale

WIDTH: Final = 960.0
_CHARACTER: Final = 7.3
"""Width of a character of a layer's name."""

_ROW, _GAP, _TOP, _BOTTOM, _RIGHT, _LEGEND = 26.0, 2.0, 8.0, 40.0, 8.0, 54.0

MOST_COLUMNS: Final = 600
"""Longer runs are drawn in so many columns, each the mean over its steps."""


@final
@dataclass(frozen=True, slots=True)
class Cell:
    """A value that held from step `first` up to and including step `last`, counted from 1. text: what is said of it."""

    first: int
    last: int
    value: float
    text: str


@final
@dataclass(frozen=True, slots=True)
class Legend:
    """How values become colours. lo, hi: ends of the scale. stops: the values it is marked with."""

    lo: float
    hi: float
    colour: Callable[[float], str]
    stops: Sequence[float]
    format: Callable[[float], str]

    def fill(self, value: float) -> str:
        """The colour of a value."""
        return self.colour((value - self.lo) / (self.hi - self.lo) if self.hi > self.lo else 0.5)


def heat_map(
    rows: Mapping[str, Sequence[Cell]],
    legend: Legend,
    *,
    steps: int,
    label: str,
    final: Mapping[str, tuple[float, str]] | None = None,
) -> str:
    """One row a layer, first layer on top. final: a last column of values and their texts, after the run."""
    left = 12 + _CHARACTER * max((len(name) for name in rows), default=0)
    tail = 92.0 if final else 0.0
    x = Scale(0, max(steps, 1), left, WIDTH - _RIGHT - tail)
    height = _TOP + _ROW * len(rows) + _BOTTOM + _LEGEND
    content: list[str] = []
    for index, (name, cells) in enumerate(rows.items()):
        y = _TOP + _ROW * index
        content.append(svg.text(left - 8, y + _ROW / 2 + 3, name, "label name", "end"))
        for cell in _columns(cells, steps):
            start, end = x(cell.first - 1), x(cell.last)
            content.append(
                svg.rect(start, y, end - start, _ROW - _GAP, fill=legend.fill(cell.value), title=f"{name}: {cell.text}")
            )
        if final and name in final:
            content.append(_final_cell(y, final[name], legend))
    content += _time_axis(x, _TOP + _ROW * len(rows))
    if final:
        content.append(svg.text(WIDTH - _RIGHT - 40, _TOP + _ROW * len(rows) + 17, "finalized", anchor="middle"))
    content += _legend(legend, left, height - _LEGEND + 16)
    return svg.svg(WIDTH, height, content, label)


def _final_cell(y: float, final: tuple[float, str], legend: Legend) -> str:
    value, shown = final
    x = WIDTH - _RIGHT - 80
    swatch = svg.rect(x, y, 16, _ROW - _GAP, fill=legend.fill(value), title=shown)
    return swatch + svg.text(x + 23, y + _ROW / 2 + 3, shown, "label value")


def _time_axis(x: Scale, y: float) -> list[str]:
    content = []
    for step in svg.ticks(x.lo, x.hi, 8, least=1):
        content.append(svg.line(x(step), y, x(step), y + 4, "axis"))
        content.append(svg.text(x(step), y + 17, f"{step:,.0f}", anchor="middle"))
    content.append(svg.text((x.start + x.end) / 2, y + 33, "optimizer step", anchor="middle"))
    return content


def _legend(legend: Legend, left: float, y: float) -> list[str]:
    width = max(26.0, 12 + _CHARACTER * max(len(legend.format(value)) for value in legend.stops))
    content = []
    for index, value in enumerate(legend.stops):
        x = left + index * width
        content.append(svg.rect(x, y, width, 10, fill=legend.fill(value)))
        content.append(svg.text(x + width / 2, y + 24, legend.format(value), anchor="middle"))
    return content


def _columns(cells: Sequence[Cell], steps: int) -> list[Cell]:
    """The cells as they are, or their means over MOST_COLUMNS equal stretches of time, neighbours alike joined."""
    if steps <= MOST_COLUMNS and len(cells) <= MOST_COLUMNS:
        return list(cells)
    edges = [round(index * steps / MOST_COLUMNS) for index in range(MOST_COLUMNS + 1)]
    columns: list[Cell] = []
    remaining = list(reversed(cells))
    for first, last in zip((edge + 1 for edge in edges), edges[1:], strict=False):
        weighted = []
        while remaining and remaining[-1].first <= last:
            cell = remaining[-1]
            weighted.append((cell, min(cell.last, last) - max(cell.first, first) + 1))
            if cell.last > last:
                break
            remaining.pop()
        _append(columns, first, last, weighted)
    return columns


def _append(columns: list[Cell], first: int, last: int, weighted: list[tuple[Cell, int]]) -> None:
    total = sum(weight for _, weight in weighted)
    if total <= 0:
        return
    value = sum(cell.value * weight for cell, weight in weighted) / total
    text = weighted[0][0].text if len(weighted) == 1 else f"steps {first}–{last}: mean {value:.1f}"
    before = columns[-1] if columns else None
    if before is not None and before.value == value and before.last == first - 1 and math.isfinite(value):
        columns[-1] = Cell(before.first, last, value, before.text)
    else:
        columns.append(Cell(first, last, value, text))
