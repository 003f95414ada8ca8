"""What an op tells about its own execution, and the way it is told.

An op asks `listening()` and, if somebody is, counts and hands an `OpRecord` to `publish`, or what makes one to
`publish_later`. Whoever wants to know opens `listen(callback)`, or `listen_later` if it can wait; nobody in between, so
ops know nothing of counters.
"""

from __future__ import annotations

import dataclasses
import enum
import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast, final

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

SUMS: Final = ("calls", *COUNTS)
"""Names of the fields that may be summed, in order."""

Values: TypeAlias = tuple[Any, ...]

identity_of: Final = cast(Callable[[OpRecord], Values], operator.attrgetter(*IDENTITY))
"""Values of IDENTITY."""

sums_of: Final = cast(Callable[[OpRecord], Values], operator.attrgetter(*SUMS))
"""Values of SUMS."""


Told: TypeAlias = tuple[Values, Values, Detail | None]
"""A record as the arguments of `record_of`, which are faster to make."""


def record_of(identity: Values, sums: Sequence[int], detail: Detail | None) -> OpRecord:
    """The record with these values of IDENTITY and of SUMS."""
    named = zip((*IDENTITY, *SUMS), (*identity, *sums), strict=True)
    return OpRecord(**dict(named), detail=detail)


def told_of(record: OpRecord) -> Told:
    """What `record_of` makes the record of."""
    return identity_of(record), sums_of(record), record.detail


Listener: TypeAlias = Callable[[OpRecord], None]
LateListener: TypeAlias = Callable[[Callable[..., Told], tuple[Any, ...]], None]
"""Hears of a record by a function and its arguments, which give the same whenever it is called."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """A block of a listener of either kind."""

    look: Look
    listener: Listener | None = None
    late_listener: LateListener | None = None


@final
class _Hub:
    """The listeners of this process. One for all threads: a backward pass may run on a thread of its own.

    late_listeners: each with the level of its look. open: the blocks open, outermost first.
    """

    __slots__ = ("_lock", "late_listeners", "listeners", "listening", "look", "open")

    def __init__(self) -> None:
        self.open: tuple[_Block, ...] = ()
        self._lock = threading.RLock()
        self._set()

    def publish(self, record: OpRecord) -> None:
        with self._lock:
            for listener in self.listeners:
                listener(record)

    def add(self, block: _Block) -> None:
        look = block.look
        with self._lock:
            looks = (each.look for each in self.open)
            other = next((each for each in looks if each.level == look.level == 2 and each != look), None)
            if other is not None:
                raise ValueError(
                    f"count: group ({look.rows}, {look.lanes}) given inside a count of level 2 with group "
                    f"({other.rows}, {other.lanes}); give both the same"
                )
            self.open = (*self.open, block)
            self._set()

    def remove(self, block: _Block) -> None:
        with self._lock:
            self.open = tuple(each for each in self.open if each is not block)
            self._set()

    def _set(self) -> None:
        self.listeners = tuple(each.listener for each in self.open if each.listener is not None)
        self.late_listeners = tuple(
            (each.late_listener, each.look.level) for each in self.open if each.late_listener is not None
        )
        self.listening = bool(self.open)
        self.look = max((each.look for each in self.open), key=lambda each: each.level, default=Look())


_HUB: Final = _Hub()


def listening() -> bool:
    """Whether a record published now would be heard. Ask before counting anything."""
    return _HUB.listening


def look() -> Look:
    """How closely a record published now has to look at its operands: as the most curious listener wants it."""
    return _HUB.look


def publish(record: OpRecord) -> None:
    """Hand a record to every listener, on the calling thread.

    Deliveries from different threads take turns, so a listener needs no lock of its own; one that hears later does.
    What a listener raises reaches the caller.
    """
    _publish_later(told_of, (record,))
    _HUB.publish(record)


def publish_later(tell: Callable[..., Told], *given: Any) -> None:
    """Hand to every listener, as `publish` does, the record of `tell(*given)`: made now only for those who cannot wait.

    Between two ops of a network the caches are emptied, so whatever can wait until many are told of costs less. What is
    given must neither change nor hold a tensor: that would live for as long.
    """
    _publish_later(tell, given)
    if _HUB.listeners:
        _HUB.publish(record_of(*tell(*given)))


def _publish_later(tell: Callable[..., Told], given: tuple[Any, ...]) -> None:
    for listener, level in _HUB.late_listeners:
        if level:
            listener(tell, given)
        else:
            listener(_without_detail, (tell, given))


def _without_detail(tell: Callable[..., Told], given: tuple[Any, ...]) -> Told:
    identity, sums, _ = tell(*given)
    return identity, sums, None


@contextmanager
def listen(listener: Listener, look: Look | None = None) -> Iterator[None]:
    """Let `listener` hear every record published inside the block, whichever thread publishes it.

    Blocks nest, and each listener hears everything. After the block the listener is never called again.

    look: how closely the operands of products are to be looked at; a listener may get more detail than it asked for.

    Raises:
        ValueError: another listener is at level 2 with groups of another shape.
    """
    with _opened(_Block(look or Look(), listener)):
        yield


@contextmanager
def listen_later(listener: LateListener, look: Look) -> Iterator[None]:
    """As `listen`, for a listener that any number of threads may call at once; it gets no detail at level 0.

    Raises:
        ValueError: as `listen`.
    """
    with _opened(_Block(look, late_listener=listener)):
        yield


@contextmanager
def _opened(block: _Block) -> Iterator[None]:
    _HUB.add(block)
    try:
        yield
    finally:
        _HUB.remove(block)
