"""Which slab of the batch modules work on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, final


@final
class _Slab:
    """A plain object, because torch.compile guards its attribute; it cannot trace a ContextVar."""

    __slots__ = ("first_sample",)

    def __init__(self) -> None:
        self.first_sample = 0


_SLAB: Final = _Slab()


def first_sample() -> int:
    """Samples of the batch before the first one that modules see now."""
    return _SLAB.first_sample


@contextmanager
def shard(first_sample: int) -> Iterator[None]:
    """Let modules inside work on the part of a batch that starts at sample `first_sample`.

    Random bits then belong to the samples of the whole batch, so that a batch split in parts, or over workers,
    is rounded as if it were whole. Backward passes may run outside.

    Raises:
        ValueError: `first_sample` is negative.
    """
    if first_sample < 0:
        raise ValueError(f"shard: first_sample = {first_sample}: samples are numbered from 0")
    outer = _SLAB.first_sample
    _SLAB.first_sample = first_sample
    try:
        yield
    finally:
        _SLAB.first_sample = outer
