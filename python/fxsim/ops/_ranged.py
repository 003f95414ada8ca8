"""Products of codes: exact integer sums, and the real numbers they stand for.

With a = qa * sa + za and b = qb * sb + zb, a sum over the k that meet no padding is

    sum a * b  =  sa sb * sum qa qb  +  sa zb * sum qa  +  za sb * sum qb  +  za zb * count

The four sums are exact integers. The scales are float64, and so is this expression, evaluated from left to right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import torch
from torch import Tensor

from fxsim.accumulator import Accumulator
from fxsim.ops import _execution, _products
from fxsim.ops._codes import Codes
from fxsim.ops._geometry import Conv, View
from fxsim.ops._plan import ONE, gemm_plan
from fxsim.ops._product import Product
from fxsim.ops._publish import Site

Kind: TypeAlias = Literal["forward", "dgrad", "wgrad"]

_EXACT: Final = Accumulator()


def contract(kind: Kind, conv: Conv, a: Codes, b: Codes, site: Site) -> Tensor:
    """One of a convolution's three products in float64: of x and weight, grad and weight, or grad and x.

    Only the weight of the forward product may have a grid for each channel.
    """
    raw = _integers(kind, conv, a, b, site)
    matrix = _rows(kind, conv, raw)
    total = matrix.double() * (a.scale * b.scale)
    if a.affine or b.affine:
        for group in range(conv.groups):
            _add_corrections(kind, conv, group, a, b, total, site)
    return total.view(raw.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)


def _integers(kind: Kind, conv: Conv, a: Codes, b: Codes, site: Site) -> Tensor:
    depth = {
        "forward": conv.depth,
        "dgrad": conv.co // conv.groups * conv.kernel[0] * conv.kernel[1],
        "wgrad": conv.pixels,
    }[kind]
    plan = gemm_plan(site.name, _EXACT, a.format, b.format, depth)
    operands = (conv, a.raw, a.format, b.raw, b.format)
    match kind:
        case "forward":
            return _products.conv2d(*operands, None, False, plan, site, plan.dtype)
        case "dgrad":
            return _products.conv2d_dgrad(*operands, plan, site, plan.dtype)
        case "wgrad":
            return _products.conv2d_wgrad(*operands, plan, site, plan.dtype)


def _rows(kind: Kind, conv: Conv, raw: Tensor) -> Tensor:
    """A product, channels last in memory, as the matrix whose rows are rows of a; groups are blocks of it."""
    rows = conv.co if kind == "wgrad" else raw.shape[0] * raw.shape[2] * raw.shape[3]
    return raw.permute(0, 2, 3, 1).reshape(rows, -1)


def _add_corrections(kind: Kind, conv: Conv, group: int, a: Codes, b: Codes, total: Tensor, site: Site) -> None:
    view_a, view_b = _views(kind, conv, group, a, b)
    width = (conv.co if kind != "dgrad" else conv.c) // conv.groups
    block = slice(group * width, (group + 1) * width)
    part = total[block] if kind == "wgrad" else total[:, block]
    scale, zero = ((each[block] if len(each) > 1 else each) for each in (b.scale, b.zero))
    only_a, only_b = _ones(view_a), _ones(view_b)
    if b.affine:
        part += _spread_b(view_b, _sum(view_a, only_b, site)) * (a.scale * zero)
    if a.affine:
        part += _spread_a(view_a, _sum(only_a, view_b, site)) * (a.zero * scale)
    if a.affine and b.affine:
        part += _spread_a(view_a, _spread_b(view_b, _sum(only_a, only_b, site))) * (a.zero * zero)


def _views(kind: Kind, conv: Conv, group: int, a: Codes, b: Codes) -> tuple[View, View]:
    if kind == "forward":
        return conv.forward(a.raw, a.format, b.raw, b.format, group, False)
    make: Callable[..., tuple[View, View]] = conv.dgrad if kind == "dgrad" else conv.wgrad
    return make(a.raw, a.format, b.raw, b.format, group)


def _ones(view: View) -> View:
    """1 wherever a view has an element, with the rows left out that would repeat: samples, or channels of taps."""
    pixels, taps = view.pixels, view.taps
    if view.transposed:
        taps = (*taps[:2], 1)
    else:
        pixels = (1, *pixels[1:])
    one = torch.ones(1, dtype=ONE.dtype)
    return view._replace(data=one, format=ONE, strides=(0, 0, 0, 0), pixels=pixels, taps=taps)


def _spread_a(view: View, sums: Tensor) -> Tensor:
    return sums if view.transposed else sums.repeat(view.pixels[0], 1)


def _spread_b(view: View, sums: Tensor) -> Tensor:
    return sums.repeat_interleave(view.taps[2], dim=1) if view.transposed else sums.expand(-1, view.pixels[0])


def _sum(a: View, b: View, site: Site) -> Tensor:
    """A sum without products worth a record, float64 (rows of a, rows of b): exact, being below 2**53."""
    depth = _count(a.pixels if a.transposed else a.taps)
    plan = gemm_plan(site.name, _EXACT, a.format, b.format, depth)
    out = torch.empty((_rows_of(a), _rows_of(b)), dtype=plan.dtype)
    _execution.run(Product(a, b, out, 0), plan, site, out.shape[1], False)
    return out.double()


def _rows_of(view: View) -> int:
    return _count(view.taps if view.transposed else view.pixels)


def _count(sizes: tuple[int, int, int]) -> int:
    return sizes[0] * sizes[1] * sizes[2]
