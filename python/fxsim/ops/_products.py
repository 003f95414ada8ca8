"""Integer products of tensors: what each of them multiplies, settled once for tensors that are alike."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.ops import records
from fxsim.ops._execution import execute, run
from fxsim.ops._geometry import Conv, View, matrix
from fxsim.ops._plan import ONE, GemmPlan
from fxsim.ops._product import Product
from fxsim.ops._publish import Site, by_name, non_zeros
from fxsim.ops._settled import Place, Result, Settled, Strided, settle
from fxsim.ops.records import OpRecord

_KEPT: Final = 4096
"""Calls of each kind that are kept settled."""


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
    like = Strided.of(x), Strided.of(weight)
    settled = settle_linear(*like, x_format, weight_format, bias is not None, plan, dtype, transposed)
    return execute(settled, x, weight, bias, site)


@lru_cache(maxsize=_KEPT)
def settle_linear(
    x: Strided,
    weight: Strided,
    x_format: Format,
    weight_format: Format,
    with_bias: bool,
    plan: GemmPlan,
    dtype: torch.dtype,
    transposed: bool,
) -> Settled:
    """Settle `linear`."""

    def views(_: int, x: Tensor, weight: Tensor) -> tuple[View, View]:
        columns = matrix(weight.t() if transposed else weight, weight_format)
        return matrix(x, x_format), columns._replace(data=weight)

    m, n = x.shape[0], weight.shape[1 if transposed else 0]
    return settle(views, x, weight, Place(m, n, m, n), Result((m, n), dtype), plan, with_bias=with_bias)


def linear_wgrad(
    grad: Tensor, grad_format: Format, x: Tensor, x_format: Format, plan: GemmPlan, site: Site, dtype: torch.dtype
) -> Tensor:
    """grad (rows, N) transposed times x (rows, K): (N, K)."""
    settled = settle_linear_wgrad(Strided.of(grad), Strided.of(x), grad_format, x_format, plan, dtype)
    return execute(settled, grad, x, None, site)


@lru_cache(maxsize=_KEPT)
def settle_linear_wgrad(
    grad: Strided, x: Strided, grad_format: Format, x_format: Format, plan: GemmPlan, dtype: torch.dtype
) -> Settled:
    """Settle `linear_wgrad`."""

    def views(_: int, grad: Tensor, x: Tensor) -> tuple[View, View]:
        return matrix(grad.t(), grad_format), matrix(x.t(), x_format)

    m, n = grad.shape[1], x.shape[1]
    return settle(views, grad, x, Place(m, n, m, n), Result((m, n), dtype), plan)


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
    settled = settle_matmul(Strided.of(a), Strided.of(b), a_format, b_format, bias is not None, plan, dtype)
    return execute(settled, a, b, bias, site, operands)


@lru_cache(maxsize=_KEPT)
def settle_matmul(
    a: Strided, b: Strided, a_format: Format, b_format: Format, with_bias: bool, plan: GemmPlan, dtype: torch.dtype
) -> Settled:
    """Settle `matmul`."""

    def views(i: int, a: Tensor, b: Tensor) -> tuple[View, View]:
        return matrix(a[i], a_format), matrix(b[i].t(), b_format)

    batch, m, _ = a.shape
    n = b.shape[2]
    place = Place(batch * m, n, m, n, down=m)
    return settle(views, a, b, place, Result((batch, m, n), dtype), plan, times=batch, with_bias=with_bias)


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
    like = x.stride(), weight.stride()
    settled = settle_conv2d(conv, *like, x_format, weight_format, bias is not None, channel_major, plan, dtype)
    return execute(settled, x, weight, bias, site)


@lru_cache(maxsize=_KEPT)
def settle_conv2d(
    conv: Conv,
    x: tuple[int, ...],
    weight: tuple[int, ...],
    x_format: Format,
    weight_format: Format,
    with_bias: bool,
    channel_major: bool,
    plan: GemmPlan,
    dtype: torch.dtype,
) -> Settled:
    """Settle `conv2d` of an x and a weight of these strides."""

    def views(group: int, x: Tensor, weight: Tensor) -> tuple[View, View]:
        return conv.forward(x, x_format, weight, weight_format, group, channel_major)

    width = conv.co // conv.groups
    return settle(
        views,
        Strided(conv.x_shape, x),
        Strided(conv.weight_shape, weight),
        Place(conv.pixels, conv.co, conv.pixels, width, right=width),
        Result(conv.y_shape, dtype, channels_last=True),
        plan,
        times=conv.groups,
        with_bias=with_bias,
        kernel=conv.kernel,
    )


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
    settled = settle_conv2d_dgrad(conv, grad.stride(), weight.stride(), grad_format, weight_format, plan, dtype)
    return execute(settled, grad, weight, None, site)


@lru_cache(maxsize=_KEPT)
def settle_conv2d_dgrad(
    conv: Conv,
    grad: tuple[int, ...],
    weight: tuple[int, ...],
    grad_format: Format,
    weight_format: Format,
    plan: GemmPlan,
    dtype: torch.dtype,
) -> Settled:
    """Settle `conv2d_dgrad` of a gradient and a weight of these strides."""

    def views(group: int, grad: Tensor, weight: Tensor) -> tuple[View, View]:
        return conv.dgrad(grad, grad_format, weight, weight_format, group)

    m, width = conv.n * conv.size[0] * conv.size[1], conv.c // conv.groups
    return settle(
        views,
        Strided(conv.y_shape, grad),
        Strided(conv.weight_shape, weight),
        Place(m, conv.c, m, width, right=width),
        Result(conv.x_shape, dtype, channels_last=True),
        plan,
        times=conv.groups,
        kernel=conv.kernel,
    )


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
    settled = settle_conv2d_wgrad(conv, grad.stride(), x.stride(), grad_format, x_format, plan, dtype)
    return execute(settled, grad, x, None, site)


@lru_cache(maxsize=_KEPT)
def settle_conv2d_wgrad(
    conv: Conv,
    grad: tuple[int, ...],
    x: tuple[int, ...],
    grad_format: Format,
    x_format: Format,
    plan: GemmPlan,
    dtype: torch.dtype,
) -> Settled:
    """Settle `conv2d_wgrad` of a gradient and an x of these strides."""

    def views(group: int, grad: Tensor, x: Tensor) -> tuple[View, View]:
        return conv.wgrad(grad, grad_format, x, x_format, group)

    height = conv.co // conv.groups
    return settle(
        views,
        Strided(conv.y_shape, grad),
        Strided(conv.x_shape, x),
        Place(conv.co, conv.depth, height, conv.depth, down=height),
        Result(conv.weight_shape, dtype, channels_last=True),
        plan,
        times=conv.groups,
    )


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
