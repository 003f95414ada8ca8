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

from fxsim.ops.details import Detail, Look

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
    kernel_h, kernel_w: the taps among k, which is kernel_h * kernel_w * channels; 1 where k is not made so.
    a_elements, b_elements: distinct elements of the operand tensors, where a GEMM may meet one many times.
    a, b, accumulator, output: texts; a and b name formats ("<8,4>", "u<8,4>", "fp32"; b is "" where there
        is none), the other two may say more (modes, or "exact").
    calls: executions summed here, 1 when published.
    detail: what a closer look found, None where nobody asked for one.
    """

    layer: str
    pass_: Pass
    op: str
    m: int
    n: int
    k: int
    batch: int = 1
    groups: int = 1
    kernel_h: int = 1
    kernel_w: int = 1
    a_elements: int = 0
    b_elements: int = 0
    a: str
    b: str = ""
    accumulator: str = ""
    output: str = ""
    calls: int = 1
    detail: Detail | None = None

    @property
    def c_in(self) -> int:
        """Channels that make k together with the taps."""
        return self.k // (self.kernel_h * self.kernel_w)


COUNTS: Final = tuple(field.name for field in dataclasses.fields(OpCounts))
"""Names of the count fields, in order."""

IDENTITY: Final = tuple(
    field.name for field in dataclasses.fields(OpRecord) if field.name not in (*COUNTS, "calls", "detail")
)
"""Names of the fields that say what was executed, in order: records equal in these may be summed."""

Listener: TypeAlias = Callable[[OpRecord], None]


@final
class _Hub:
    """The listeners of this process. One for all threads: a backward pass may run on a thread of its own."""

    __slots__ = ("_lock", "listeners", "look", "looks")

    def __init__(self) -> None:
        self.listeners: tuple[Listener, ...] = ()
        self.looks: tuple[Look, ...] = ()
        self.look = Look()
        self._lock = threading.RLock()

    def publish(self, record: OpRecord) -> None:
        with self._lock:
            for listener in self.listeners:
                listener(record)

    def add(self, listener: Listener, look: Look) -> None:
        with self._lock:
            other = next((each for each in self.looks if each.level == look.level == 2 and each != look), None)
            if other is not None:
                raise ValueError(
                    f"count: group ({look.rows}, {look.lanes}) given inside a count of level 2 with group "
                    f"({other.rows}, {other.lanes}); give both the same"
                )
            self.listeners = (*self.listeners, listener)
            self._set_looks((*self.looks, look))

    def remove(self, listener: Listener) -> None:
        with self._lock:
            last = len(self.listeners) - 1 - self.listeners[::-1].index(listener)
            self.listeners = self.listeners[:last] + self.listeners[last + 1 :]
            self._set_looks(self.looks[:last] + self.looks[last + 1 :])

    def _set_looks(self, looks: tuple[Look, ...]) -> None:
        self.looks = looks
        self.look = max(looks, key=lambda each: each.level, default=Look())


_HUB: Final = _Hub()


def listening() -> bool:
    """Whether a record published now would be heard. Ask before counting anything."""
    return bool(_HUB.listeners)


def look() -> Look:
    """How closely a record published now has to look at its operands: as the most curious listener wants it."""
    return _HUB.look


def publish(record: OpRecord) -> None:
    """Hand a record to every listener, on the calling thread.

    Deliveries from different threads take turns, so a listener needs no lock of its own. What a listener
    raises reaches the caller.
    """
    _HUB.publish(record)


@contextmanager
def listen(listener: Listener, look: Look | None = None) -> Iterator[None]:
    """Let `listener` hear every record published inside the block, whichever thread publishes it.

    Blocks nest, and each listener hears everything. After the block the listener is never called again.

    look: how closely the operands of products are to be looked at; a listener may get more detail than it asked for.

    Raises:
        ValueError: another listener is at level 2 with groups of another shape.
    """
    _HUB.add(listener, look or Look())
    try:
        yield
    finally:
        _HUB.remove(listener)
