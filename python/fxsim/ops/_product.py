"""What a call of the core multiplies: one product, or several that are alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from fxsim.ops._geometry import View
from fxsim.ops._operands import ONCE, Repeat


class Product(NamedTuple):
    """One GEMM of a call: rows of a times rows of b into `out`; `base` is the index of the first output."""

    a: View
    b: View
    out: Tensor
    base: int
    bias: Tensor | None = None


class Batch(NamedTuple):
    """`times` products that are alike: number i has everything i equal steps further in memory. `at` makes one."""

    times: int
    at: Callable[[int], Product]

    def all(self) -> tuple[Product, ...]:
        """Every product, in order."""
        return tuple(map(self.at, range(self.times)))


def repeat_of(batch: Batch, first: Product) -> Repeat:
    """How the core finds the products after the first."""
    if batch.times == 1:
        return ONCE
    second = batch.at(1)
    return Repeat(
        batch.times,
        _step(first.a.data, second.a.data),
        _step(first.b.data, second.b.data),
        _step(first.out, second.out),
        second.base - first.base,
        0 if first.bias is None or second.bias is None else _step(first.bias, second.bias),
    )


def _step(first: Tensor, second: Tensor) -> int:
    """Elements from the first of one view to the first of another view of the same tensor."""
    return int(second.storage_offset() - first.storage_offset())
