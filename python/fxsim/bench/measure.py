"""What every benchmark shares: bits checked first, contenders interleaved, ratios of pairs.

All contenders run in each round, one after the other, so that a slow moment of the machine meets every one. A ratio is
the median of the rounds' own ratios.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeVar, final

import torch
from torch import Tensor

WARMUP: Final = 1
"""Rounds before the first that is timed."""

REPEATS: Final = 5
"""Runs of a contender in its turn, where it is timed when called over and over; a product at 512 is steady by then."""

Name = TypeVar("Name", bound=Hashable)

Verdict = Literal["aim", "must", "below"]


class WrongBitsError(ArithmeticError):
    """A contender's result is not the exact one: there is nothing to time."""


def _silent(_done: int, _of: int) -> None:
    """Watch nothing."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a benchmark is to run.

    rounds: timed repetitions. toy: the smallest sizes that still go through everything, for tests; the figures then
    mean nothing. watch: told after each round how many of how many are done.
    """

    rounds: int
    toy: bool = False
    watch: Callable[[int, int], None] = _silent


@final
@dataclass(frozen=True, slots=True)
class Track:
    """What one contender took, one entry a round.

    seconds: of CPU time of this thread where torch has one thread, else of wall time, unless the benchmark chose
    another clock. wall: of wall time.
    """

    seconds: tuple[float, ...]
    wall: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of `seconds`."""
        return statistics.median(self.seconds)


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result.

    what: the contender of interest. against: its peer. ratio: how often the peer's time holds its own, the median of
    the rounds' ratios; above 1 it is the faster one. must, aim: the ratio asked for, and the one hoped for. low, high:
    the quartiles of the rounds' ratios. wall_ratio: `ratio` by wall time. seconds, against_seconds: medians.
    """

    what: str
    against: str
    ratio: float
    must: float | None = None
    aim: float | None = None
    low: float | None = None
    high: float | None = None
    wall_ratio: float | None = None
    seconds: float | None = None
    against_seconds: float | None = None

    @property
    def verdict(self) -> Verdict | None:
        """Whether aim or must is reached; None where nothing was asked for."""
        if self.must is None:
            return None
        if self.aim is not None and self.ratio >= self.aim:
            return "aim"
        return "must" if self.ratio >= self.must else "below"


@final
@dataclass(frozen=True, slots=True)
class Note:
    """A line instead of rows: what was not measured, why, and what to do about it."""

    text: str


Outcome = Iterator[Row | Note]
"""What a benchmark yields, row by row."""


def interleaved(
    contenders: Mapping[Name, Callable[[], object]], settings: Settings, *, clock: Callable[[], float] | None = None
) -> dict[Name, Track]:
    """The track of each contender, all of them run once a round after a warm-up.

    clock: what gives seconds, where CPU time of this thread, or wall time under several threads, would not be fair.
    """
    clock = clock or (time.thread_time if torch.get_num_threads() == 1 else time.perf_counter)
    seconds: dict[Name, list[float]] = {name: [] for name in contenders}
    wall: dict[Name, list[float]] = {name: [] for name in contenders}
    for turn in range(-WARMUP, settings.rounds):
        for name, run in contenders.items():
            begun, begun_wall = clock(), time.perf_counter()
            run()
            ended, ended_wall = clock(), time.perf_counter()
            if turn >= 0:
                seconds[name].append(ended - begun)
                wall[name].append(ended_wall - begun_wall)
        settings.watch(turn + 1, settings.rounds)
    return {name: Track(tuple(seconds[name]), tuple(wall[name])) for name in contenders}


def in_turns(
    contenders: Mapping[Name, Callable[[], object]], settings: Settings, runs: int
) -> dict[Name, tuple[Track, ...]]:
    """The track of each of so many runs that a contender has in a row in its turn, the first one first."""
    tracks = interleaved({(name, i): run for name, run in contenders.items() for i in range(runs)}, settings)
    return {name: tuple(tracks[name, i] for i in range(runs)) for name in contenders}


def steadily(
    contenders: Mapping[Name, Callable[[], object]], settings: Settings
) -> tuple[dict[Name, Track], dict[Name, Track]]:
    """What each contender takes right after the others, and what it takes when it is called over and over.

    Each runs REPEATS times in its turn. The first run finds operands, code and memory where the others left them, the
    last finds them in the caches, as a loop over one product does.
    """
    turns = in_turns(contenders, settings, REPEATS)
    return {name: turn[0] for name, turn in turns.items()}, {name: turn[-1] for name, turn in turns.items()}


def fastest(tracks: Iterable[Track]) -> Track:
    """The track with the lowest median: a peer at its best."""
    return min(tracks, key=lambda track: track.median)


def total(tracks: Iterable[Track]) -> Track:
    """The sum of tracks, round by round."""
    kept = list(tracks)
    return Track(
        tuple(map(sum, zip(*(track.seconds for track in kept), strict=True))),
        tuple(map(sum, zip(*(track.wall for track in kept), strict=True))),
    )


def row(
    what: str, against: str, ours: Track, theirs: Track, *, must: float | None = None, aim: float | None = None
) -> Row:
    """A line of the result from two tracks of the same rounds."""
    ratios = _ratios(theirs.seconds, ours.seconds)
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Row(
        what=what,
        against=against,
        ratio=statistics.median(ratios),
        must=must,
        aim=aim,
        low=low,
        high=high,
        wall_ratio=statistics.median(_ratios(theirs.wall, ours.wall)),
        seconds=ours.median,
        against_seconds=theirs.median,
    )


def require_equal(what: str, got: Tensor, exact: Tensor) -> None:
    """Refuse to go on where a result is not bit for bit the exact one.

    Raises:
        WrongBitsError: shapes or elements differ.
    """
    if got.shape != exact.shape:
        raise WrongBitsError(f"{what}: shape {tuple(got.shape)} where {tuple(exact.shape)} is right; not timed")
    wrong = int((got.to(exact.dtype) != exact).sum())
    if wrong:
        raise WrongBitsError(f"{what}: {wrong} of {exact.numel()} elements have wrong bits; not timed")


def _ratios(theirs: Iterable[float], ours: Iterable[float]) -> list[float]:
    """Of each round; a clock too coarse for a toy counts one nanosecond."""
    return [max(a, 1e-9) / max(b, 1e-9) for a, b in zip(theirs, ours, strict=True)]
