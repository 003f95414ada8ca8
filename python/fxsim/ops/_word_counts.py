"""Counts of words that are not 0: made as a quantizer writes the words, kept with them for the products they enter."""

from __future__ import annotations

import weakref
from typing import Final, NamedTuple

from torch import Tensor

from fxsim.ops import _bridge


class _Counted(NamedTuple):
    words: weakref.ref[Tensor]
    version: int
    counts: _bridge.WordCounts


_COUNTED: Final[dict[int, _Counted]] = {}
"""By the tensor's id; an entry goes with its tensor, before the id can be another's."""


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
    if words.is_inference():
        return
    key = id(words)
    _COUNTED[key] = _Counted(weakref.ref(words, lambda _: _COUNTED.pop(key, None)), words._version, counts)


def counts_of(words: Tensor) -> _bridge.WordCounts | None:
    """The counts of these words, if they are known."""
    kept = _COUNTED.get(id(words))
    if kept is None:
        return None
    if kept.version != words._version:
        del _COUNTED[id(words)]
        return None
    return kept.counts
