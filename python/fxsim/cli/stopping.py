"""Ctrl-C as a wish rather than a blow: the run ends after the step it is in, with a checkpoint."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stoppable(notice: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Inside, the first SIGINT or SIGTERM calls `notice` and makes the given function true; later ones act as ever."""
    asked = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        _restore(before)
        notice()

    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        _restore(before)


def _restore(handlers: dict[signal.Signals, signal.Handlers | int | Callable[..., object] | None]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
