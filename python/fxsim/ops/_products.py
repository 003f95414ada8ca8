"""Integer products executed: every integer op, and every layer op, ends here."""

from __future__ import annotations

import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.ops import _bridge, executions, records
from fxsim.ops._geometry import Conv, Pair, View, matrix
from fxsim.ops._looks import look_at
from fxsim.ops._operands import ONCE, Repeat, operand
from fxsim.ops._plan import ONE, GemmPlan
from fxsim.ops._product import Batch, Product, Shape, repeat_of
from fxsim.ops._publish import Site, by_name, non_zeros, sort_macs
from fxsim.ops._word_counts import counts_of
from fxsim.ops.details import Detail
from fxsim.ops.executions import Execution
from fxsim.ops.records import OpRecord


def linear(
    x: Tensor,
    x_format: Format,
    weight: Tensor,
    weight_format: Format,
    bias: Tensor | None,
    plan: GemmPlan,
    site: Site,
    dtype: torch.dtype,
    *,
    transposed: bool = False,
) -> Tensor:
    """x (rows, K) times weight (N, K) transposed, plus int64 bias (N,): (rows, N) of raws or, if float, carriers.

    transposed: the weight is given as (K, N).
    """
    rows = matrix(weight.t() if transposed else weight, weight_format)._replace(data=weight)
    n = rows.pixels[0]
    out = torch.empty((x.shape[0], n), dtype=dtype)
    product = Product(matrix(x, x_format), rows, out, site.index_offset, bias)
    _execute(Batch(1, lambda _: product), plan, site, n, Shape(x.shape[0], n, x.shape[1], 1, x, weight, bias, out))
    return out


def linear_wgrad(
    grad: Tensor, grad_format: Format, x: Tensor, x_format: Format, plan: GemmPlan, site: Site, dtype: torch.dtype
) -> Tensor:
    """grad (rows, N) transposed times x (rows, K): (N, K)."""
    out = torch.empty((grad.shape[1], x.shape[1]), dtype=dtype)
    product = Product(matrix(grad.t(), grad_format), matrix(x.t(), x_format), out, site.index_offset)
    shape = Shape(grad.shape[1], x.shape[1], x.shape[0], 1, grad, x, None, out)
    _execute(Batch(1, lambda _: product), plan, site, x.shape[1], shape)
    return out


def matmul(
    a: Tensor,
    a_format: Format,
    b: Tensor,
    b_format: Format,
    bias: Tensor | None,
    plan: GemmPlan,
    site: Site,
    dtype: torch.dtype,
    operands: tuple[Tensor, Tensor],
) -> Tensor:
    """a (batch, M, K) times b (batch, K, N), plus int64 bias (N,): (batch, M, N).

    `operands` are a and b before they were broadcast: what a record counts the elements of.
    """
    batch, m, k = a.shape
    n = b.shape[2]
    out = torch.empty((batch, m, n), dtype=dtype)

    def at(i: int) -> Product:
        return Product(matrix(a[i], a_format), matrix(b[i].t(), b_format), out[i], site.index_offset + i * m * n, bias)

    _execute(Batch(batch, at), plan, site, n, Shape(m, n, k, batch, *operands, bias, out))
    return out


def conv2d(
    conv: Conv,
    x: Tensor,
    x_format: Format,
    weight: Tensor,
    weight_format: Format,
    bias: Tensor | None,
    channel_major: bool,
    plan: GemmPlan,
    site: Site,
    dtype: torch.dtype,
) -> Tensor:
    """x (N, C, H, W) with weight (C_out, C / groups, KH, KW): (N, C_out, OH, OW), channels last in memory."""
    out = torch.empty((conv.n, *conv.out, conv.co), dtype=dtype)
    rows, width = out.view(conv.pixels, conv.co), conv.co // conv.groups

    def at(group: int) -> Product:
        a, b = conv.forward(x, x_format, weight, weight_format, group, channel_major)
        columns = slice(group * width, (group + 1) * width)
        base = site.index_offset + group * width
        return Product(a, b, rows[:, columns], base, None if bias is None else bias[columns])

    shape = Shape(conv.pixels, width, conv.depth, conv.groups, x, weight, bias, out, conv.kernel)
    _execute(Batch(conv.groups, at), plan, site, conv.co, shape)
    return out.permute(0, 3, 1, 2)


def conv2d_dgrad(
    conv: Conv,
    grad: Tensor,
    grad_format: Format,
    weight: Tensor,
    weight_format: Format,
    plan: GemmPlan,
    site: Site,
    dtype: torch.dtype,
) -> Tensor:
    """The gradient of x, (N, C, H, W), channels last in memory."""
    out = torch.empty((conv.n, *conv.size, conv.c), dtype=dtype)
    m, width = conv.n * conv.size[0] * conv.size[1], conv.c // conv.groups
    rows = out.view(m, conv.c)

    def at(group: int) -> Product:
        a, b = conv.dgrad(grad, grad_format, weight, weight_format, group)
        base = site.index_offset + group * width
        return Product(a, b, rows[:, group * width : (group + 1) * width], base)

    depth = conv.co // conv.groups * conv.kernel[0] * conv.kernel[1]
    shape = Shape(m, width, depth, conv.groups, grad, weight, None, out, conv.kernel)
    _execute(Batch(conv.groups, at), plan, site, conv.c, shape)
    return out.permute(0, 3, 1, 2)


def conv2d_wgrad(
    conv: Conv,
    grad: Tensor,
    grad_format: Format,
    x: Tensor,
    x_format: Format,
    plan: GemmPlan,
    site: Site,
    dtype: torch.dtype,
) -> Tensor:
    """The gradient of weight, (C_out, C / groups, KH, KW), stored (C_out, KH, KW, C / groups)."""
    out = torch.empty((conv.co, *conv.kernel, conv.c // conv.groups), dtype=dtype)
    rows, height = out.view(conv.co, conv.depth), conv.co // conv.groups

    def at(group: int) -> Product:
        a, b = conv.wgrad(grad, grad_format, x, x_format, group)
        base = site.index_offset + group * height * conv.depth
        return Product(a, b, rows[group * height : (group + 1) * height], base)

    shape = Shape(height, conv.depth, conv.pixels, conv.groups, grad, x, None, out)
    _execute(Batch(conv.groups, at), plan, site, conv.depth, shape)
    return out.permute(0, 3, 1, 2)


def bias_grad(columns: View, grad: Tensor, plan: GemmPlan, site: Site, dtype: torch.dtype) -> Tensor:
    """The sum over k of a matrix (channels, k) made of grad's elements: (channels,). It has no macs."""
    channels, depth = columns.pixels[0], columns.taps[2]
    out = torch.empty((1, channels), dtype=dtype)
    ones = View(torch.ones(1, dtype=ONE.dtype), ONE, (1, 1, 1), (1, 1, depth), (0, 0, 0, 0))
    listening = records.listening()
    events = run(Product(ones, columns, out, site.index_offset), plan, site, channels, listening)
    if listening:
        records.publish(
            OpRecord(
                layer=site.layer,
                pass_=site.pass_,
                op=site.op,
                m=channels,
                n=1,
                k=0,
                batch=site.batch,
                a=plan.b_text,
                accumulator=plan.accumulator_text,
                output=plan.output_text,
                nnz_a=non_zeros(grad),
                elements_read=grad.numel(),
                elements_written=channels,
                **by_name(events),
            )
        )
    return out.view(channels)


def _execute(batch: Batch, plan: GemmPlan, site: Site, row_stride: int, shape: Shape) -> None:
    listening = records.listening()
    events, macs, seen = _bridge.Events(), _bridge.MacCounts(), (0, 0)
    if batch.times:
        first = batch.at(0)
        repeat = repeat_of(batch, first)
        a, b = operand(first.a), operand(first.b)
        if listening:  # before the product, which then finds its operands in the cache
            macs = _bridge.count_macs(a, b, repeat, counts_of(first.a.data), counts_of(first.b.data))
            seen = (first.a.elements * batch.times, first.b.elements * batch.times)
        events = _fill(first, a, b, plan, site, row_stride, listening, repeat)
    if executions.listening():
        executions.publish(Execution(batch.all(), plan, site, row_stride))
    if listening:
        look = records.look()
        detail = look_at([(each.a, each.b) for each in batch.all()], look) if look.level else None
        records.publish(_record(events, macs, seen, detail, plan, site, shape))


def run(product: Product, plan: GemmPlan, site: Site, row_stride: int, count: bool) -> _bridge.Events:
    """Fill `product.out`. Events are counted only with `count`, and no record is published."""
    return _fill(product, operand(product.a), operand(product.b), plan, site, row_stride, count, ONCE)


def _fill(
    product: Product,
    a: _bridge.Operand,
    b: _bridge.Operand,
    plan: GemmPlan,
    site: Site,
    row_stride: int,
    count: bool,
    repeat: Repeat,
) -> _bridge.Events:
    return _bridge.gemm(
        a,
        b,
        product.out,
        plan.accumulator,
        product.bias,
        bias_fl=plan.bias_fl,
        output=plan.output,
        output_rounds=plan.output_rounds,
        seed=site.seed,
        stream=site.stream,
        index_base=product.base,
        index_row_stride=row_stride,
        repeat=repeat,
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
