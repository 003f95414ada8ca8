"""Events and shapes turned into records, for ops that somebody listens to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from torch import Tensor

from fxsim.ops import _bridge, records
from fxsim.ops.records import OpRecord, Pass

EVENTS: Final = (
    "product_overflows",
    "step_overflows",
    "outer_overflows",
    "preload_overflows",
    "output_overflows",
    "inexact",
    "round_to_zero",
    "random_draws",
    "inexact_carriers",
)


class EventCounts(Protocol):
    """What the core reports of one call."""

    def counts(self) -> Sequence[int]:
        """Numbers of EVENTS, in order."""
        ...


class EventSums(NamedTuple):
    """Sums over calls of the core; nothing, for an op that rounds nothing."""

    product_overflows: int = 0
    step_overflows: int = 0
    outer_overflows: int = 0
    preload_overflows: int = 0
    output_overflows: int = 0
    inexact: int = 0
    round_to_zero: int = 0
    random_draws: int = 0
    inexact_carriers: int = 0

    @classmethod
    def of(cls, events: Iterable[EventCounts]) -> EventSums:
        """Of several calls."""
        return cls(*map(sum, zip(cls(), *(each.counts() for each in events), strict=True)))

    def counts(self) -> Sequence[int]:
        """Numbers of EVENTS, in order."""
        return self


_NO_PRODUCT: Final = (0,) * 8
"""Counts of macs and of elements that are not 0, where nothing is multiplied: those of COUNTS before EVENTS."""

_NO_EVENTS: Final = EventSums()


class Site(NamedTuple):
    """Where a call stands: the layer's path, the pass, the op's name, and the stream of its random bits.

    index_offset: elements of the result before the first, where the call works on a slab of a batch.
    batch: samples in the call, for records.
    what: the tensor worked on, for errors.
    """

    layer: str
    pass_: Pass
    op: str
    seed: int = 0
    stream: int = 0
    index_offset: int = 0
    batch: int = 1
    what: str = ""

    @property
    def name(self) -> str:
        """The name errors begin with."""
        op = f"{self.op} {self.what}" if self.what else self.op
        return f"{self.layer}: {op}" if self.layer else op


def by_name(events: EventCounts) -> dict[str, Any]:
    """The events of a call, by field of OpRecord."""
    return dict(zip(EVENTS, events.counts(), strict=True))


def sort_macs(macs: int, counts: _bridge.MacCounts) -> dict[str, Any]:
    """`macs` of products by what their operands are, by field of OpRecord."""
    return {
        "macs": macs,
        "pad_macs": macs - counts.valid,
        "zero_a_macs": counts.valid - counts.a_met,
        "zero_b_macs": counts.valid - counts.b_met,
        "zero_macs": counts.valid - counts.both_met,
        "nz_macs": counts.both_met,
    }


def non_zeros(data: Tensor) -> int:
    """Elements of an integer tensor that are not 0."""
    return int(np.count_nonzero(data.numpy()))  # six times as fast as torch's


def publish_elementwise(
    site: Site, a: str, output: str, elements: int, events: EventCounts, *, b: str = "", read: int | None = None
) -> None:
    """A record of an op that makes elements without multiplying pairs; it reads as many, unless `read` says more."""
    records.publish_later(_elementwise, site, a, b, output, elements, events, elements if read is None else read)


def _elementwise(
    site: Site, a: str, b: str, output: str, elements: int, events: EventCounts, read: int
) -> records.Told:
    return (
        (site.layer, site.pass_, site.op, elements, 1, 0, site.batch, 1, 1, 1, 0, 0, a, b, "", output),
        (1, *_NO_PRODUCT, *events.counts(), read, elements),
        None,
    )


def publish_float_product(
    site: Site,
    shape: tuple[int, int, int],
    elements: tuple[int, int, int],
    *,
    groups: int = 1,
    pad_macs: int = 0,
    kernel: tuple[int, int] = (1, 1),
) -> None:
    """A record of a float32 product; `elements` are those of operands a and b, and those written."""
    records.publish_later(_float_product, site, shape, elements, groups, pad_macs, kernel)


def _float_product(
    site: Site,
    shape: tuple[int, int, int],
    elements: tuple[int, int, int],
    groups: int,
    pad_macs: int,
    kernel: tuple[int, int],
) -> records.Told:
    m, n, k = shape
    macs = m * n * k * groups
    (a, b, written), form = elements, records.FLOAT32
    return (
        (site.layer, site.pass_, site.op, m, n, k, site.batch, groups, *kernel, a, b, form, form, form, form),
        (1, macs, pad_macs, 0, 0, 0, macs - pad_macs, 0, 0, *_NO_EVENTS, a + b, written),
        None,
    )


def publish_float_sum(site: Site, summed: int, sums: int) -> None:
    """A record of a float32 sum of `summed` elements into `sums`, which multiplies nothing."""
    records.publish(
        OpRecord(
            layer=site.layer,
            pass_=site.pass_,
            op=site.op,
            m=sums,
            n=1,
            k=0,
            batch=site.batch,
            a=records.FLOAT32,
            accumulator=records.FLOAT32,
            output=records.FLOAT32,
            elements_read=summed,
            elements_written=sums,
        )
    )


def publish_update(
    layer: str, elements: int, random_draws: int = 0, *, op: str = "update", output: str = records.FLOAT32
) -> None:
    """A record of a weight update of pass UPDATE, for whoever trains; nothing happens if nobody listens.

    Args:
        layer: dotted path of the module whose weights change.
        elements: weights written.
        random_draws: values of the update that passed a stochastic rounding.
        op: what was done.
        output: format text of the weights as they are kept.
    """
    if records.listening():
        drawn = EventSums(random_draws=random_draws)
        publish_elementwise(Site(layer, Pass.UPDATE, op), records.FLOAT32, output, elements, drawn, read=2 * elements)
