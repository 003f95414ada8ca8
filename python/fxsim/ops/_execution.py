"""Integer products executed: every integer op, and every layer op, ends here."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from fxsim.ops import _bridge, _core_products, _masks, executions, records
from fxsim.ops._geometry import Pair
from fxsim.ops._looks import look_at
from fxsim.ops._operands import bound, operand
from fxsim.ops._plan import GemmPlan
from fxsim.ops._product import Product, Shape
from fxsim.ops._publish import Site, by_name, non_zeros, sort_macs
from fxsim.ops._settled import Settled
from fxsim.ops._word_counts import counts_of
from fxsim.ops.details import Detail
from fxsim.ops.executions import Execution
from fxsim.ops.records import OpRecord

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
    plan, place = settled.plan, settled.place
    look = records.look()
    products: tuple[Product, ...] = ()
    if look.level or executions.listening():
        products = settled.products(a, b, out, bias, site.index_offset)
    if executions.listening():
        executions.publish(Execution(products, plan, site, place.columns))
    if records.listening():
        detail = look_at([(each.a, each.b) for each in products], look) if look.level else None
        shape = Shape(place.m, place.n, plan.asked.k, settled.times, *counted, bias, out, settled.kernel)
        records.publish(_record(events, macs, settled.seen, detail, plan, site, shape))


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


def _record(
    events: _bridge.Events,
    macs: _bridge.MacCounts,
    seen: Pair,
    detail: Detail | None,
    plan: GemmPlan,
    site: Site,
    shape: Shape,
) -> OpRecord:
    """seen: elements of a and b that the products met, once each product."""
    a_elements, b_elements = shape.a.numel(), shape.b.numel()
    return OpRecord(
        layer=site.layer,
        pass_=site.pass_,
        op=site.op,
        m=shape.m,
        n=shape.n,
        k=shape.k,
        batch=site.batch,
        groups=shape.groups,
        kernel_h=shape.kernel[0],
        kernel_w=shape.kernel[1],
        a_elements=a_elements,
        b_elements=b_elements,
        a=plan.a_text,
        b=plan.b_text,
        accumulator=plan.accumulator_text,
        output=plan.output_text,
        nnz_a=macs.nnz_a if seen[0] == a_elements else non_zeros(shape.a),
        nnz_b=macs.nnz_b if seen[1] == b_elements else non_zeros(shape.b),
        elements_read=a_elements + b_elements + (0 if shape.bias is None else shape.bias.numel()),
        elements_written=shape.out.numel(),
        detail=detail,
        **sort_macs(shape.m * shape.n * shape.k * shape.groups, macs),
        **by_name(events),
    )
