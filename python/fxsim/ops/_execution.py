"""Integer products executed: every integer op, and every layer op, ends here."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from fxsim.ops import _bridge, _core_products, _masks, executions, records
from fxsim.ops._looks import look_at
from fxsim.ops._operands import bound, operand
from fxsim.ops._plan import GemmPlan
from fxsim.ops._product import Product
from fxsim.ops._publish import Site, non_zeros
from fxsim.ops._settled import Settled
from fxsim.ops._word_counts import counts_of
from fxsim.ops.details import Detail
from fxsim.ops.executions import Execution

_NO_EVENTS: Final = _bridge.Events()
_NO_MACS: Final = _bridge.MacCounts()


def execute(
    settled: Settled,
    a: Tensor,
    b: Tensor,
    bias: Tensor | None,
    site: Site,
    counted: tuple[Tensor, Tensor] | None = None,
    *,
    clear: Tensor | None = None,
) -> Tensor:
    """The result of a settled call; `counted` are what a record counts the elements of, if not a and b.

    clear: a mask of elements of a float result that become 0. The core does so while it has them at hand, unless
    somebody wants the product itself.
    """
    out, cores = settled.unwritten(), settled.cores
    at_once = clear if settled.times == 1 and not executions.listening() else None
    listening = records.listening()
    events, macs = _NO_EVENTS, _NO_MACS
    if cores is not None:
        left, right = bound(a, cores.a), bound(b, cores.b)
        if listening:  # before the product, which then finds its operands in the cache
            macs = _bridge.count_macs(left, right, settled.repeat, counts_of(a), counts_of(b))
        events = _core_products.multiply(cores.product, left, right, out, bias, site, at_once, count=listening)
    if listening or executions.listening():
        tell(settled, a, b, bias, out, site, events, macs, counted or (a, b))
    if clear is None or at_once is not None:
        return out
    return _masks.clear(out, clear, channels_last=settled.result.channels_last)


def tell(
    settled: Settled,
    a: Tensor,
    b: Tensor,
    bias: Tensor | None,
    out: Tensor,
    site: Site,
    events: _bridge.Events,
    macs: _bridge.MacCounts,
    counted: tuple[Tensor, Tensor],
) -> None:
    """Publish a call that has just succeeded to whoever listens; `counted` as in `execute`."""
    look = records.look()
    detail = None
    if look.level or executions.listening():
        products = settled.products(a, b, out, bias, site.index_offset)
        if executions.listening():
            executions.publish(Execution(products, settled.plan, site, settled.place.columns))
        detail = look_at([(each.a, each.b) for each in products], look) if look.level else None
    if records.listening():
        _publish(settled, site, counted, bias, out, events, macs, detail)


def _publish(
    settled: Settled,
    site: Site,
    counted: tuple[Tensor, Tensor],
    bias: Tensor | None,
    out: Tensor,
    events: _bridge.Events,
    counts: _bridge.MacCounts,
    detail: Detail | None,
) -> None:
    a, b = counted
    elements = a.numel(), b.numel()
    nnz_a = counts.nnz_a if settled.seen[0] == elements[0] else non_zeros(a)
    nnz_b = counts.nnz_b if settled.seen[1] == elements[1] else non_zeros(b)
    biases = 0 if bias is None else bias.numel()
    records.publish_later(_told, settled, site, elements, (nnz_a, nnz_b), biases, out.numel(), events, counts, detail)


def _told(
    settled: Settled,
    site: Site,
    elements: tuple[int, int],
    non_zero: tuple[int, int],
    biases: int,
    written: int,
    events: _bridge.Events,
    counts: _bridge.MacCounts,
    detail: Detail | None,
) -> records.Told:
    place, plan, groups = settled.place, settled.plan, settled.times
    m, n, k = place.m, place.n, plan.asked.k
    shape = (m, n, k, site.batch, groups, *settled.kernel, *elements)
    texts = plan.a_text, plan.b_text, plan.accumulator_text, plan.output_text
    macs, valid, both = m * n * k * groups, counts.valid, counts.both_met
    sorted_macs = macs, macs - valid, valid - counts.a_met, valid - counts.b_met, valid - both, both
    return (
        (site.layer, site.pass_, site.op, *shape, *texts),
        (1, *sorted_macs, *non_zero, *events.counts(), sum(elements) + biases, written),
        detail,
    )


def run(product: Product, plan: GemmPlan, site: Site, row_stride: int, count: bool) -> _bridge.Events:
    """Fill `product.out`. Events are counted only with `count`, and no record is published."""
    return _bridge.gemm(
        operand(product.a),
        operand(product.b),
        product.out.numpy(),
        plan.accumulator,
        product.bias,
        bias_fl=plan.bias_fl,
        output=plan.output,
        output_rounds=plan.output_rounds,
        seed=site.seed,
        stream=site.stream,
        index_base=product.base,
        index_row_stride=row_stride,
        count=count,
        name=site.name,
    )
