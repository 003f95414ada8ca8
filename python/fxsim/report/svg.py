"""Drawing in SVG: scales, ticks, and the few elements that plots are made of.

Colours are CSS variables of the page, so that one drawing serves light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, final


@final
@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map of values lo ... hi to coordinates start ... end."""

    lo: float
    hi: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.lo) / (self.hi - self.lo) * (self.end - self.start)


def ticks(lo: float, hi: float, count: int = 5, *, least: float = 0.0) -> tuple[float, ...]:
    """About `count` round numbers from lo to hi: multiples of 1, 2, 2.5 or 5 times a power of ten.

    least: what their distance is a multiple of; 1 for things that are counted.
    """
    raw = max((hi - lo) / max(count, 1), least)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    steps = [factor * magnitude for factor in (1, 2, 2.5, 5, 10)]
    step = next(each for each in steps if each >= raw * 0.999 and not (least and each % least))
    first = math.ceil(lo / step - 1e-9)
    last = math.floor(hi / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def text(x: float, y: float, content: str, css: str = "label", anchor: str = "start") -> str:
    """Text with its baseline at y."""
    return f'<text x="{number(x)}" y="{number(y)}" class="{css}" text-anchor="{anchor}">{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, css: str = "grid") -> str:
    """A straight line."""
    return f'<line x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}" class="{css}"/>'


def rect(x: float, y: float, width: float, height: float, *, fill: str, title: str = "", radius: float = 0) -> str:
    """A filled rectangle; its title shows when the pointer rests on it."""
    corner = f' rx="{number(radius)}"' if radius else ""
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    head = f'<rect {place} fill="{fill}"{corner}'
    return f"{head}><title>{escape(title)}</title></rect>" if title else f"{head}/>"


def dot(x: float, y: float, fill: str, title: str) -> str:
    """A filled circle; its title shows when the pointer rests on it."""
    head = f'<circle cx="{number(x)}" cy="{number(y)}" r="4.5" fill="{fill}" fill-opacity="0.75">'
    return f"{head}<title>{escape(title)}</title></circle>"


def polyline(points: Iterable[tuple[float, float]], css: str, colour: str) -> str:
    """A path through points."""
    path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
    return f'<polyline points="{path}" class="{css}" stroke="{colour}"/>'


def window(x: float, y: float, width: float, height: float, content: Sequence[str]) -> str:
    """Part of a drawing, in the same coordinates, of which nothing outside this rectangle is seen."""
    box = " ".join(map(number, (x, y, width, height)))
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f'<svg {place} viewBox="{box}">{"".join(content)}</svg>'


def placed(drawing: str, x: float, y: float, width: float, height: float) -> str:
    """A whole drawing as a part of another."""
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return drawing.replace("<svg ", f"<svg {place} ", 1)


def svg(width: float, height: float, content: Sequence[str], label: str) -> str:
    """The drawing. label: what it shows, for those who cannot see it."""
    head = f'<svg viewBox="0 0 {number(width)} {number(height)}" role="img" aria-label="{escape(label)}">'
    return f"{head}{''.join(content)}</svg>"


_STYLE: Final = """
svg { --ink: #16191d; --soft: #5b6470; --rule: #dfe3e8; --axis: #9aa3ad; --empty: #eceff3; background: #ffffff;
  --series-1: #2563c9; --series-2: #d2691e; --series-3: #3d8f7a; --series-4: #8a6bbf; }
.label { fill: var(--soft); font: 12px system-ui, "DejaVu Sans", sans-serif; }
.name { fill: var(--ink); } .value { fill: var(--ink); font-weight: 600; }
.grid { stroke: var(--rule); } .axis { stroke: var(--axis); } .curve { fill: none; stroke-width: 2.2; }
"""


def standalone(drawing: str) -> str:
    """A drawing as a file of its own, on white, with the colours and letters that the page would give it."""
    head, rest = drawing.split(">", 1)
    namespace = 'xmlns="http://www.w3.org/2000/svg"'
    return f"{head.replace('<svg', f'<svg {namespace}', 1)}><style>{_STYLE}</style>{rest}\n"
