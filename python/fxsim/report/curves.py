"""Line plots over the steps of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, final

from fxsim.report import svg
from fxsim.report.svg import Scale

HALF_WIDTH: Final = 460.0
FULL_WIDTH: Final = 960.0
HEIGHT: Final = 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 12.0, 36.0

MOST_POINTS: Final = 220
"""Points a faint curve is thinned to, by means over equal numbers of points."""

Point = tuple[float, float]


@final
@dataclass(frozen=True, slots=True)
class Series:
    """One curve. faint: drawn as a background for the others, thinned to MOST_POINTS."""

    name: str
    points: tuple[Point, ...]
    colour: str
    faint: bool = False


def plot(
    series: Sequence[Series],
    *,
    steps: int,
    label: str,
    format_y: Callable[[float], str],
    lo: float,
    hi: float,
    width: float = HALF_WIDTH,
) -> str:
    """Curves over steps 0 ... `steps` and values lo ... hi; what lies outside is not drawn."""
    x = Scale(0, max(steps, 1), _LEFT, width - _RIGHT)
    y = Scale(lo, hi, HEIGHT - _BOTTOM, _TOP)
    curves = []
    for each in sorted(series, key=lambda each: not each.faint):
        points = [(x(step), y(value)) for step, value in _thinned(each) if math.isfinite(value)]
        if points:
            curves.append(svg.polyline(points, "curve faint" if each.faint else "curve", each.colour))
    drawn = svg.window(x.start, y.end - 2, x.end - x.start, y.start - y.end + 4, curves)
    return svg.svg(width, HEIGHT, [*_axes(x, y, format_y), drawn], label)


def _axes(x: Scale, y: Scale, format_y: Callable[[float], str]) -> list[str]:
    content = []
    for value in svg.ticks(y.lo, y.hi, 5):
        content.append(svg.line(x.start, y(value), x.end, y(value)))
        content.append(svg.text(x.start - 8, y(value) + 4, format_y(value), anchor="end"))
    for value in svg.ticks(x.lo, x.hi, int((x.end - x.start) / 70), least=1):
        content.append(svg.line(x(value), HEIGHT - _BOTTOM, x(value), HEIGHT - _BOTTOM + 4, "axis"))
        content.append(svg.text(x(value), HEIGHT - _BOTTOM + 17, f"{value:,.0f}", anchor="middle"))
    content.append(svg.line(x.start, y.start, x.end, y.start, "axis"))
    content.append(svg.text((x.start + x.end) / 2, HEIGHT - 3, "optimizer step", anchor="middle"))
    return content


def _thinned(series: Series) -> list[Point]:
    points = list(series.points)
    if not series.faint or len(points) <= MOST_POINTS:
        return points
    size = math.ceil(len(points) / MOST_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(s for s, _ in group) / len(group), sum(v for _, v in group) / len(group)) for group in groups]
