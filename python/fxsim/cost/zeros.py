"""Zeros among the multiply-accumulates of float products, from sums instead of an inner loop.

A pair of operands meets at every k, so the products without a zero are the sum over k of the non-zeros of a
at k times those of b at k. For a convolution the sums over images and channels come first, and what is left
is a small convolution of counts; all numbers stay below 2^53, so float64 holds them exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final

import torch
from torch import Tensor


@final
@dataclass(frozen=True, slots=True)
class Zeros:
    """Macs, structural ones left out, with operand a, operand b, either equal to 0; non-zero elements of each."""

    zero_a_macs: int
    zero_b_macs: int
    zero_macs: int
    nnz_a: int
    nnz_b: int


NOT_LOOKED_FOR: Final = Zeros(0, 0, 0, 0, 0)
"""What a record says of operands whose zeros nobody counted."""


def find_zeros(a: Tensor, b: Tensor, pairs: Callable[[Tensor, Tensor], Tensor]) -> Zeros:
    """Zeros of the product of a and b.

    pairs: from two bool tensors of a's and b's shape, the number of macs where both are true.
    """
    true = torch.ones((), dtype=torch.bool)
    any_a, any_b = true.expand(a.shape), true.expand(b.shape)
    non_zero_a, non_zero_b = a != 0, b != 0
    valid = int(pairs(any_a, any_b))
    return Zeros(
        zero_a_macs=valid - int(pairs(non_zero_a, any_b)),
        zero_b_macs=valid - int(pairs(any_a, non_zero_b)),
        zero_macs=valid - int(pairs(non_zero_a, non_zero_b)),
        nnz_a=int(non_zero_a.sum()),
        nnz_b=int(non_zero_b.sum()),
    )


def matmul_pairs(a: Tensor, b: Tensor) -> Tensor:
    """Pairs of (..., M, K) @ (..., K, N)."""
    return (a.sum(-2).double() * b.sum(-1).double()).sum()


@final
@dataclass(frozen=True, slots=True)
class Geometry:
    """A convolution of (N, C_in, ...) with (C_out, C_in / groups, ...); spatial sizes in x, kernel and y."""

    x: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def valid_positions(self) -> int:
        """(output pixel, tap) pairs of one image that do not fall on padding."""
        return math.prod(map(_valid_positions, self.x, self.kernel, self.stride, self.padding, self.dilation))

    def forward_pairs(self, x: Tensor, weight: Tensor) -> Tensor:
        """Pairs of input (N, C_in, ...) and weight (C_out, C_in / groups, ...)."""
        return self._convolve(x.sum(0, keepdim=True), self._group_sum(weight, 0)).sum()

    def dgrad_pairs(self, grad_y: Tensor, weight: Tensor) -> Tensor:
        """Pairs of output gradient (N, C_out, ...) and weight (C_out, C_in / groups, ...)."""
        taps = self._convolve(torch.ones(1, self.groups, *self.x), weight.sum(1, keepdim=True))
        return (taps * grad_y.sum(0)).sum()

    def wgrad_pairs(self, grad_y: Tensor, x: Tensor) -> Tensor:
        """Pairs of output gradient (N, C_out, ...) and input (N, C_in, ...)."""
        images = self._convolve(self._group_sum(x, 1), torch.ones(self.groups, 1, *self.kernel))
        return (images * self._group_sum(grad_y, 1)).sum()

    def _group_sum(self, tensor: Tensor, dim: int) -> Tensor:
        before, channels, after = tensor.shape[:dim], tensor.shape[dim], tensor.shape[dim + 1 :]
        return tensor.reshape(*before, self.groups, channels // self.groups, *after).sum(dim + 1)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        return torch.convolution(
            x.double(),
            weight.double(),
            None,
            self.stride,
            self.padding,
            self.dilation,
            False,
            [0] * len(self.x),
            self.groups,
        )


@lru_cache(maxsize=1024)
def _valid_positions(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return sum(
        0 <= pixel * stride + tap * dilation - padding < size for pixel in range(outputs) for tap in range(kernel)
    )
