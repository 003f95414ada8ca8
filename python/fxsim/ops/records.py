"""What an op tells about its own execution, and the way it is told.

An op asks `listening()` and, if somebody is, counts and hands an `OpRecord` to `publish`. Whoever wants
to know opens `listen(callback)`; nobody in between, so ops know nothing of counters.
"""

from __future__ import annotations

import dataclasses
import enum
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias, final

FLOAT32: Final = "fp32"
"""Format text of operands that were float32 rather than fixed point."""


class Pass(enum.StrEnum):
    """The part of a training step an op belongs to."""

    FWD = "fwd"
    DGRAD = "dgrad"
    WGRAD = "wgrad"
    UPDATE = "update"
    QUANTIZE = "quantize"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpCounts:
    """Exact integer counts of something executed; the base of everything that has such counts.

    macs: multiply-accumulates, m * n * k * groups of a GEMM, structural zeros included.
    pad_macs: those whose operand is a structural zero: a tap on padding or between strides.
    zero_a_macs, zero_b_macs, zero_macs: of the rest, those with operand a, operand b, either equal to 0.
    nz_macs: macs - pad_macs - zero_macs.
    nnz_a, nnz_b: non-zero elements of the operand tensors.
        A float op need not look for zeros: its macs off the padding are all nz_macs then, and nnz_a = nnz_b = 0.
    *_overflows: values that the overflow mode changed, by the place where it happened.
    inexact: outputs whose rounding dropped a non-zero fraction.
    round_to_zero: outputs that were not 0 before rounding and 0 after it.
    random_draws: values that passed a stochastic rounding, on the grid or not.
    inexact_carriers: elements the float tensor they were returned in could not hold exactly.
    elements_read, elements_written: elements of the operand (bias included) and result tensors, each once.
    """

    macs: int = 0
    pad_macs: int = 0
    zero_a_macs: int = 0
    zero_b_macs: int = 0
    zero_macs: int = 0
    nz_macs: int = 0
    nnz_a: int = 0
    nnz_b: int = 0
    product_overflows: int = 0
    step_overflows: int = 0
    outer_overflows: int = 0
    preload_overflows: int = 0
    output_overflows: int = 0
    inexact: int = 0
    round_to_zero: int = 0
    random_draws: int = 0
    inexact_carriers: int = 0
    elements_read: int = 0
    elements_written: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OpRecord(OpCounts):
    """One executed op, or the sum of `calls` executions that agree in everything but their counts.

    layer: dotted module path, "" outside a module.
    op: the op's name: "linear", "conv2d", "quantize" ...
    m, n, k: the shape of one GEMM; an elementwise op has m elements, n = 1 and k = 0.
    batch: samples of the batch the op covered; they are part of m or k already, so no factor of macs.
    groups: independent GEMMs of that shape (convolution groups, leading dimensions of a matmul).
    a, b, accumulator, output: texts; a and b name formats ("<8,4>", "u<8,4>", "fp32"; b is "" where there
        is none), the other two may say more (modes, or "exact").
    calls: executions summed here, 1 when published.
    """

    layer: str
    pass_: Pass
    op: str
    m: int
    n: int
    k: int
    batch: int = 1
    groups: int = 1
    a: str
    b: str = ""
    accumulator: str = ""
    output: str = ""
    calls: int = 1


COUNTS: Final = tuple(field.name for field in dataclasses.fields(OpCounts))
"""Names of the count fields, in order."""

IDENTITY: Final = tuple(field.name for field in dataclasses.fields(OpRecord) if field.name not in (*COUNTS, "calls"))
"""Names of the fields that say what was executed, in order: records equal in these may be summed."""

Listener: TypeAlias = Callable[[OpRecord], None]


@final
class _Hub:
    """The listeners of this process. One for all threads: a backward pass may run on a thread of its own."""

    __slots__ = ("_lock", "listeners")

    def __init__(self) -> None:
        self.listeners: tuple[Listener, ...] = ()
        self._lock = threading.RLock()

    def publish(self, record: OpRecord) -> None:
        with self._lock:
            for listener in self.listeners:
                listener(record)

    def add(self, listener: Listener) -> None:
        with self._lock:
            self.listeners = (*self.listeners, listener)

    def remove(self, listener: Listener) -> None:
        with self._lock:
            last = len(self.listeners) - 1 - self.listeners[::-1].index(listener)
            self.listeners = self.listeners[:last] + self.listeners[last + 1 :]


_HUB: Final = _Hub()


def listening() -> bool:
    """Whether a record published now would be heard. Ask before counting anything."""
    return bool(_HUB.listeners)


def publish(record: OpRecord) -> None:
    """Hand a record to every listener, on the calling thread.

    Deliveries from different threads take turns, so a listener needs no lock of its own. What a listener
    raises reaches the caller.
    """
    _HUB.publish(record)


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Let `listener` hear every record published inside the block, whichever thread publishes it.

    Blocks nest, and each listener hears everything. After the block the listener is never called again.
    """
    _HUB.add(listener)
    try:
        yield
    finally:
        _HUB.remove(listener)
