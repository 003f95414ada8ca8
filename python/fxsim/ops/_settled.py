"""A call of the core settled but for its tensors: what shapes, strides and formats decide is worked out once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, final

import torch
from torch import Tensor

from fxsim.ops import _core_products
from fxsim.ops._geometry import Pair, View, strides_of
from fxsim.ops._operands import ONCE, CoreView, Repeat, core_view
from fxsim.ops._plan import GemmPlan
from fxsim.ops._product import Batch, Product, repeat_of

Views: TypeAlias = Callable[[int, Tensor, Tensor], tuple[View, View]]
"""The operands of product number i, as views of the whole tensors a and b."""

_NHWC = (0, 2, 3, 1)


class Strided(NamedTuple):
    """What of a tensor decides its views."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, data: Tensor) -> Strided:
        """Of a tensor."""
        return cls(data.shape, data.stride())


class Place(NamedTuple):
    """Where products stand in their result, which is in memory a matrix of `rows` and `columns`.

    The first product is (m, n); each of the others begins `down` rows and `right` columns after the last one.
    """

    rows: int
    columns: int
    m: int
    n: int
    down: int = 0
    right: int = 0


class Result(NamedTuple):
    """The tensor that a call makes."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    channels_last: bool = False


class Cores(NamedTuple):
    """Products that are alike as the core takes them, but for their tensors: all there is, and the first's operands."""

    product: _core_products.Product
    a: CoreView
    b: CoreView


@final
@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """`times` products that are alike; cores is None where there is none.

    kernel: taps in k. seen: elements of a and b that the products meet, once each product. Both are for records.
    """

    times: int
    views: Views
    place: Place
    result: Result
    strides: tuple[int, ...]
    plan: GemmPlan
    kernel: Pair
    repeat: Repeat
    seen: Pair
    cores: Cores | None

    def unwritten(self) -> Tensor:
        """A tensor for the result."""
        return torch.empty_strided(self.result.shape, self.strides, dtype=self.result.dtype)

    def products(self, a: Tensor, b: Tensor, out: Tensor, bias: Tensor | None, base: int) -> tuple[Product, ...]:
        """Every product of the call, in order; `base` is the index of the result's first element."""
        return _batch(self, a, b, out, bias, base).all()


def settle(
    views: Views,
    a: Strided,
    b: Strided,
    place: Place,
    result: Result,
    plan: GemmPlan,
    *,
    times: int = 1,
    with_bias: bool = False,
    kernel: Pair = (1, 1),
) -> Settled:
    """Settle a call of `times` products of tensors that are like a and b, and perhaps of a bias."""
    strides = strides_of(result.shape, result.channels_last)
    bare = Settled(times, views, place, result, strides, plan, kernel, ONCE, (0, 0), None)
    if not times:
        return bare
    stand_ins = [_stand_in(each) for each in (a, b, Strided(result.shape, strides))]
    bias = _stand_in(Strided((place.columns,), (1,))) if with_bias else None
    batch = _batch(bare, stand_ins[0], stand_ins[1], stand_ins[2], bias, 0)
    first = batch.at(0)
    a_view, b_view, repeat = core_view(*first.a[1:]), core_view(*first.b[1:]), repeat_of(batch, first)
    product = _core_products.Product(
        a_view, plan.accumulator, plan.bias_fl, plan.output, plan.output_rounds, place.columns, repeat
    )
    seen = first.a.elements * times, first.b.elements * times
    cores = Cores(product, a_view, b_view)
    return Settled(times, views, place, result, strides, plan, kernel, repeat, seen, cores)


def _stand_in(like: Strided) -> Tensor:
    """A tensor without elements in memory: views of it tell where theirs would be."""
    return torch.empty_strided(like.shape, like.strides, device="meta")


def _batch(settled: Settled, a: Tensor, b: Tensor, out: Tensor, bias: Tensor | None, base: int) -> Batch:
    place = settled.place
    whole = (out.permute(_NHWC) if settled.result.channels_last else out).view(place.rows, place.columns)

    def at(i: int) -> Product:
        down, right = i * place.down, i * place.right
        columns = slice(right, right + place.n)
        part = whole[down : down + place.m, columns]
        index = base + down * place.columns + right
        return Product(*settled.views(i, a, b), part, index, None if bias is None else bias[columns])

    return Batch(settled.times, at)
