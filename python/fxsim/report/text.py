"""Numbers as people read them."""

from __future__ import annotations

import math
from typing import Final

ABSENT: Final = "–"

_PREFIXES: Final = ((10**15, "P"), (10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def count_text(value: int | None) -> str:
    """A count in four figures: 12, 1,234, 12.35 M; a dash for None."""
    if value is None:
        return ABSENT
    if value < 100_000:
        return f"{value:,}"
    size, prefix = next((size, prefix) for size, prefix in _PREFIXES if value >= size)
    return f"{value / size:.4g} {prefix}"


_SMALL: Final = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))


def si_text(value: float, unit: str = "") -> str:
    """A quantity in four figures with a prefix from p to P: 1.243 M, 950, 3.1 ms; 0 is 0, nan a dash."""
    if math.isnan(value):
        return ABSENT
    if value == 0:
        return f"0 {unit}".strip()
    size, prefix = next(((size, prefix) for size, prefix in (*_PREFIXES, *_SMALL) if abs(value) >= size), _SMALL[-1])
    return f"{value / size:.4g} {prefix}{unit}".strip()


def percent_text(fraction: float, digits: int) -> str:
    """A fraction as a percentage; a dash for nan."""
    return ABSENT if math.isnan(fraction) else f"{100 * fraction:.{digits}f} %"


def duration_text(seconds: float) -> str:
    """Seconds as 12.3 s, 4 min 05 s or 2 h 03 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
