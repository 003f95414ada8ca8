"""Bytes whose norms decide whether steps are taken: columns that are neighbours in memory, at their ends."""

from __future__ import annotations

from functools import cache

import pytest
import torch

import fxsim as fx

BYTE = fx.Format(8, 0)


@cache
def product(a: int, b: int, depth: int, columns: int, bits: int, isa: str) -> fx.FixedTensor:
    """Rows that grow from zeros to nothing but a, against columns of b among which one is of small words."""
    fx.isa.force(isa)
    rows = torch.where(torch.arange(depth) < torch.arange(0, depth + 1, 3)[:, None], a, 0).to(torch.int8)
    against = torch.full((depth, columns), b, dtype=torch.int8)
    against[:, columns // 2] = torch.arange(depth).remainder(7).sub(3).to(torch.int8)
    words = (fx.FixedTensor(each, BYTE) for each in (rows, against))
    return fx.matmul(*words, accumulator=fx.Accumulator(fx.Format(bits, 0)))


@pytest.mark.parametrize("isa", fx.isa.available()[1:])
@pytest.mark.parametrize("columns", [64, 100, 128])
@pytest.mark.parametrize("depth", [60, 64, 66, 256, 292])
@pytest.mark.parametrize(("a", "b"), [(-1, -128), (1, -128), (-128, -128), (-128, 127), (127, 127), (3, -127)])
def test_a_sum_that_ends_at_the_bound_or_just_beyond(isa: str, columns: int, depth: int, a: int, b: int) -> None:
    bits = (abs(a * b) * depth).bit_length()
    for width in (bits, bits + 1):
        found, expected = (product(a, b, depth, columns, width, each) for each in (isa, "reference"))
        assert found == expected
