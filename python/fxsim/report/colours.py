"""Colours of networks and of magnitudes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

SERIES: Final = ("var(--series-1)", "var(--series-2)", "var(--series-3)", "var(--series-4)")
"""Of the networks of a run, in order; the page defines them for light and dark."""


def repeated() -> Iterator[str]:
    """SERIES, over and over."""
    return itertools.cycle(SERIES)


def series(count: int) -> tuple[str, ...]:
    """Colours of that many networks: SERIES as far as they go; beyond them, hues evenly apart for all."""
    if count <= len(SERIES):
        return SERIES[:count]
    return tuple(f"hsl({360 * index // count} 62% {(42, 56)[index % 2]}%)" for index in range(count))


_VIRIDIS: Final = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Five stops of viridis: even in lightness and safe for colour-blind eyes (van der Walt and Smith, 2015)."""

_MAGMA: Final = ((24, 15, 61), (114, 31, 129), (205, 64, 113), (253, 150, 104), (252, 253, 191))
"""Five stops of magma, by the same authors, from just above black."""

_EMPTY: Final = "var(--empty)"


def viridis(share: float) -> str:
    """The colour of a share 0 ... 1 of a scale."""
    return _ramp(_VIRIDIS, share)


def magma(share: float) -> str:
    """The colour of a share 0 ... 1 of another scale; nothing at all (0) has the colour of an empty cell."""
    return _ramp(_MAGMA, share) if share > 0 else _EMPTY


def _ramp(stops: tuple[tuple[int, int, int], ...], share: float) -> str:
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    index = min(int(place), len(stops) - 2)
    rest = place - index
    mixed = (round(a + (b - a) * rest) for a, b in zip(stops[index], stops[index + 1], strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)
