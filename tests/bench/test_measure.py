from __future__ import annotations

import statistics
import time
from functools import partial

import pytest
import torch

from fxsim.bench import measure
from fxsim.bench.measure import Row, Settings, Track, WrongBitsError


def track(*seconds: float) -> Track:
    return Track(seconds, tuple(2 * each for each in seconds))


def test_all_contenders_run_once_a_round_after_a_warm_up() -> None:
    order: list[str] = []
    seen: list[tuple[int, int]] = []
    settings = Settings(rounds=2, watch=lambda done, of: seen.append((done, of)))
    tracks = measure.interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, settings)
    assert order == ["a", "b"] * (2 + measure.WARMUP)
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert [len(tracks[name].seconds) for name in ("a", "b")] == [2, 2]
    assert [len(tracks[name].wall) for name in ("a", "b")] == [2, 2]


def test_contenders_called_over_and_over_are_timed_in_their_first_run_and_in_their_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0
    order: list[str] = []

    def run(name: str) -> None:
        nonlocal now
        order.append(name)
        now += len(order)

    monkeypatch.setattr(time, "thread_time", lambda: now)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    first, last = measure.steadily({name: partial(run, name) for name in "ab"}, Settings(rounds=1))
    repeats = measure.REPEATS
    assert order == (["a"] * repeats + ["b"] * repeats) * (1 + measure.WARMUP)
    warmed_up = 2 * repeats * measure.WARMUP
    assert (first["a"].seconds, last["a"].seconds) == ((warmed_up + 1,), (warmed_up + repeats,))
    assert (first["b"].seconds, last["b"].seconds) == ((warmed_up + repeats + 1,), (warmed_up + 2 * repeats,))


def test_one_thread_is_timed_by_its_own_clock_and_more_by_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "thread_time", iter(range(0, 1000, 3)).__next__)
    monkeypatch.setattr(time, "perf_counter", iter(range(0, 1000, 5)).__next__)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    (one,) = measure.interleaved({"a": lambda: None}, Settings(rounds=2)).values()
    assert (one.seconds, one.wall) == ((3, 3), (5, 5))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    (two,) = measure.interleaved({"a": lambda: None}, Settings(rounds=2)).values()
    assert (two.seconds, two.wall) == ((10, 10), (10, 10))  # the one clock is asked for both


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    ours, theirs = track(1.0, 2.0, 4.0), track(3.0, 4.0, 40.0)
    row = measure.row("ours", "theirs", ours, theirs, must=2.0, aim=4.0)
    assert row.ratio == row.wall_ratio == statistics.median([3.0, 2.0, 10.0])
    assert (row.low, row.high) == (2.5, 6.5)
    assert (row.seconds, row.against_seconds) == (2.0, 4.0)
    assert measure.row("ours", "theirs", track(1.0), track(3.0)).high == 3.0


def test_tracks_are_summed_round_by_round_and_the_fastest_is_the_one_of_the_lowest_median() -> None:
    assert measure.total([track(1.0, 2.0), track(10.0, 20.0)]) == track(11.0, 22.0)
    assert measure.fastest([track(9.0, 9.0, 1.0), track(2.0, 3.0, 100.0)]) == track(2.0, 3.0, 100.0)


@pytest.mark.parametrize(
    ("ratio", "must", "aim", "verdict"),
    [
        (3.0, None, None, None),
        (2.9, 3.0, 4.0, "below"),
        (3.0, 3.0, 4.0, "must"),
        (4.0, 3.0, 4.0, "aim"),
        (9.0, 3.0, None, "must"),
    ],
)
def test_a_row_says_whether_it_reaches_what_was_asked_for(
    ratio: float, must: float | None, aim: float | None, verdict: str | None
) -> None:
    assert Row("ours", "theirs", ratio, must, aim).verdict == verdict


def test_wrong_bits_are_refused() -> None:
    exact = torch.tensor([1, 2, 300])
    measure.require_equal("product", torch.tensor([1.0, 2.0, 300.0]), exact)
    with pytest.raises(WrongBitsError, match=r"^product: 2 of 3 elements have wrong bits; not timed$"):
        measure.require_equal("product", torch.tensor([1, 3, 301]), exact)
    with pytest.raises(WrongBitsError, match=r"^product: shape \(2,\) where \(3,\) is right; not timed$"):
        measure.require_equal("product", torch.tensor([1, 2]), exact)
