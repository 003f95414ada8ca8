"""Products too large for the second cache, and operands that are deeper than 32-bit sums of them: `==` with int64."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import pytest
import torch

import fxsim as fx
from fxsim.formats import Format
from fxsim.ops import keep

LIMIT = 1 << 20
"""Bytes from which on results go past the caches."""


def counting(counted: bool) -> AbstractContextManager[object]:
    """Where ops are counted, or not."""
    return fx.count() if counted else nullcontext()


def words(rows: int, columns: int, bits: int) -> fx.FixedTensor:
    """Random words of the whole range."""
    generator = torch.Generator().manual_seed(rows * columns + bits)
    form = Format(bits, 0)
    raw = torch.randint(form.raw_min, form.raw_max + 1, (rows, columns), generator=generator, dtype=torch.int64)
    return fx.FixedTensor(raw.to(form.dtype), form)


@pytest.mark.parametrize("isa", fx.isa.available()[1:])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        pytest.param(1031, 512, id="whole panels, rows that do not fill tiles"),
        pytest.param(1024, 528, id="rows of whole lines, a panel that is not full"),
        pytest.param(1024, 520, id="rows that end within a line"),
        pytest.param(512, 1040, id="more columns than rows"),
        pytest.param(511, 512, id="a row less than goes past the caches"),
    ],
)
def test_large_results_have_every_sum(
    isa: str, threads: int, counted: bool, bits: int, rows: int, columns: int
) -> None:
    a, b = words(rows, 9, bits), words(9, columns, bits)
    exact = a.raw.long() @ b.raw.long()
    fx.isa.force(isa)
    torch.set_num_threads(threads)
    with counting(counted):
        wrapped = fx.matmul(a, b, accumulator=fx.Accumulator(32, overflow="wrap")).raw
        whole = fx.matmul(a, b).raw
    assert (rows * columns * wrapped.element_size() >= LIMIT) == (rows > 511)
    assert torch.equal(wrapped, exact.to(torch.int32))
    assert torch.equal(whole.long(), exact)


def clamped(a: torch.Tensor, b: torch.Tensor, bits: int) -> torch.Tensor:
    """Sums of a (m, k) @ b (k, n) that are kept within so many bits after every step."""
    form = Format(bits, 0)
    held = torch.zeros((a.shape[0], b.shape[1]), dtype=torch.int64)
    for k in range(a.shape[1]):
        held = (held + a[:, k, None].long() * b[k].long()).clamp(form.raw_min, form.raw_max)
    return held


@pytest.mark.parametrize("isa", fx.isa.available()[1:])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bits", [15, 16, 20])
@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        pytest.param(519, 512, id="rows of whole lines"),
        pytest.param(512, 528, id="a group of columns that is not full"),
        pytest.param(512, 520, id="rows that end within a line"),
    ],
)
def test_large_results_are_clamped_after_every_step(isa: str, threads: int, bits: int, rows: int, columns: int) -> None:
    a, b = words(rows, 9, 8), words(9, columns, 8)
    expected = clamped(a.raw, b.raw, bits)
    assert torch.equal(expected, a.raw.long() @ b.raw.long()) == (bits == 20)
    fx.isa.force(isa)
    torch.set_num_threads(threads)
    assert rows * columns * torch.int32.itemsize >= LIMIT
    for counted in (False, True):
        with counting(counted):
            result = fx.matmul(a, b, accumulator=fx.Accumulator(bits)).raw
        assert torch.equal(result.long(), expected)


@pytest.mark.parametrize("isa", fx.isa.available()[1:])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("counted", [False, True])
def test_large_carriers_have_every_sum(isa: str, threads: int, counted: bool) -> None:
    form = Format(8, 4)
    layer = fx.nn.Linear(24, 512, bias=False, numerics=fx.Numerics(form, form))
    weight, x = words(512, 24, 8), words(1030, 24, 8)
    with torch.no_grad():
        layer.weight.copy_(weight.raw * form.step)
    fx.isa.force(isa)
    torch.set_num_threads(threads)
    with counting(counted):
        carriers = layer(x.raw * form.step)
    assert torch.equal(carriers.double(), (x.raw.double() @ weight.raw.double().t()) * form.step**2)


@pytest.mark.parametrize("isa", fx.isa.available()[1:])
@pytest.mark.parametrize("bits", [8, 9, 16])
@pytest.mark.parametrize("depth", [2, 3, 32_768, 32_769, 65_539])
@pytest.mark.parametrize("kept", [False, True])
def test_columns_side_by_side_are_paired_to_any_depth(isa: str, bits: int, depth: int, kept: bool) -> None:
    a, b = words(70, depth, bits), words(depth, 66, bits)
    b.raw[:, 1], a.raw[1], b.raw[:, 65] = b.format.raw_min, a.format.raw_min, 0
    if kept:
        keep(b.raw)
    fx.isa.force(isa)
    exact = a.raw.long() @ b.raw.long()
    assert torch.equal(fx.matmul(a, b).raw.long(), exact)
    assert torch.equal(fx.matmul(a, b, accumulator=fx.Accumulator(32, overflow="wrap")).raw.long(), exact.int().long())


@pytest.mark.parametrize("isa", fx.isa.available()[1:])
@pytest.mark.parametrize("depth", [65_534, 65_536, 65_539, 131_073])
def test_magnitudes_of_columns_may_leave_32_bits(isa: str, depth: int) -> None:
    form = Format(16, 0)
    a = fx.FixedTensor(torch.ones((66, depth), dtype=torch.int8), Format(2, 0))
    b = fx.FixedTensor(torch.full((depth, 64), form.raw_min, dtype=torch.int16), form)
    fx.isa.force(isa)
    assert torch.equal(fx.matmul(a, b).raw.long(), torch.full((66, 64), depth * form.raw_min))
