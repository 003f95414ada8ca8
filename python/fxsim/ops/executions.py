"""Integer products as they were executed: their operands, and not only their counts, for whoever listens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, final

if TYPE_CHECKING:
    from fxsim.ops._plan import GemmPlan
    from fxsim.ops._product import Product
    from fxsim.ops._publish import Site


class Execution(NamedTuple):
    """One call of an integer product: a GEMM for each group, or for each matrix of a batch.

    row_stride: output (i, j) of a product has the index `product.base + i * row_stride + j`.
    """

    products: tuple[Product, ...]
    plan: GemmPlan
    site: Site
    row_stride: int


Listener: TypeAlias = Callable[[Execution], None]


@final
class _Hub:
    """The listeners of this process, as of records: one for all threads."""

    __slots__ = ("listeners", "lock")

    def __init__(self) -> None:
        self.listeners: tuple[Listener, ...] = ()
        self.lock = threading.RLock()


_HUB: Final = _Hub()


def listening() -> bool:
    """Whether an execution published now would be heard."""
    return bool(_HUB.listeners)


def publish(execution: Execution) -> None:
    """Tell every listener of a call that has just succeeded; its tensors are theirs only until they return.

    Listeners are called in turn, on the calling thread. What a listener raises reaches the caller.
    """
    with _HUB.lock:
        for listener in _HUB.listeners:
            listener(execution)


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Let `listener` hear of every integer product executed inside the block, whichever thread executes it."""
    with _HUB.lock:
        _HUB.listeners = (*_HUB.listeners, listener)
    try:
        yield
    finally:
        with _HUB.lock:
            kept = list(_HUB.listeners)
            kept.remove(listener)
            _HUB.listeners = tuple(kept)
