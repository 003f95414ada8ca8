"""Counts of words that are not 0: made as a quantizer writes the words, kept with them for the products they enter."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from fxsim.ops import _bridge
from fxsim.ops._attached import Attached

_COUNTED: Final[Attached[_bridge.WordCounts]] = Attached()


def new_counts(shape: tuple[int, ...]) -> _bridge.WordCounts | None:
    """Counts for a quantizer to fill, of images (n, y, x, c); None where there is nothing to count, or too much."""
    if len(shape) != 4 or 0 in shape or not _bridge.WordCounts.holds(shape):
        return None
    return _bridge.WordCounts(shape)


def keep_counts(words: Tensor, counts: _bridge.WordCounts) -> None:
    """Let the products of these words, with channels last in memory, find their counts for as long as they live.

    A change that torch sees is noticed, and the counts are dropped; torch sees none of tensors of inference mode, so
    theirs are not kept.
    """
    if not words.is_inference():
        _COUNTED.attach(words, counts)


def counts_of(words: Tensor) -> _bridge.WordCounts | None:
    """The counts of these words, if they are known."""
    return _COUNTED.of(words)
