"""Masks of a bit an element: packed, unpacked, written by the core and read by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fxsim as fx
from fxsim import _core
from fxsim.ops import _masks
from fxsim.ops._plan import word_plan_of
from fxsim.ops._publish import Site
from fxsim.ops._word_products import quantize_and_multiply
from fxsim.ops.records import Pass

SHAPES = [(1,), (63,), (64,), (3, 75), (2, 3, 5, 7), (5, 1, 33, 3), (3, 16, 16, 16), (0, 4), (2, 3, 0, 4)]


def bools(shape: tuple[int, ...], density: float = 0.3) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(len(shape))) < density


def layouts(shape: tuple[int, ...]) -> list[bool]:
    return [False, True] if len(shape) == 4 else [False]


@pytest.mark.parametrize("shape", SHAPES)
def test_bit_i_tells_of_element_i_in_the_order_of_indices(shape: tuple[int, ...]) -> None:
    for last in layouts(shape):
        where = bools(shape)
        mask = _masks.packed(where, channels_last=last)
        flat = (where.movedim(1, -1) if last else where).reshape(-1).tolist()
        assert len(mask) % 8 == 0
        assert [bool(mask[i // 8] >> (i % 8) & 1) for i in range(8 * len(mask))] == flat + [False] * (
            8 * len(mask) - len(flat)
        )
        assert torch.equal(_masks.unpacked(mask, shape, channels_last=last), where)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_clear_in_every_layout_of_values(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    for last in layouts(shape):
        for density in (0.0, 0.01, 1.0):
            where = bools(shape, density)
            mask = _masks.packed(where, channels_last=last)
            values = torch.arange(1.0, where.numel() + 1, dtype=dtype).view(shape)
            expected = torch.where(where, 0.0, values)
            for format_ in (torch.contiguous_format, torch.channels_last)[: 1 + (len(shape) == 4)]:
                own = values.clone(memory_format=format_)
                assert torch.equal(_masks.clear(own, mask, channels_last=last), expected)


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("shape", [(7, 3, 5, 5), (9, 1, 1, 3), (6, 16, 16, 16), (45, 8, 20, 21)])
def test_the_core_writes_the_bits_of_images_on_all_threads(isa: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)).mul_(6).movedim(-1, 1)
    plan = word_plan_of("<8,4>")
    for offset in (0, 5, 1000):
        site = Site("", Pass.QUANTIZE, "quantize", 1, 2, offset, 1, "x")
        fx.isa.force(isa)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            mask = quantize_and_multiply(x, plan, site, [], channels_last=True, mask=True)[0].clipped
            rounded = (x * 16).round()
            expected = (rounded < -128) | (rounded > 127)
            assert torch.equal(_masks.unpacked(mask, x.shape, channels_last=True), expected)
    assert expected.any()


def test_clear_where_says_what_it_takes() -> None:
    with pytest.raises(
        ValueError, match="a mask has 8 bytes for 65 elements; it takes a bit each, in whole words of 64"
    ):
        _core.clear_where(np.zeros(65, np.float32), np.zeros(8, np.uint8))
    with pytest.raises(TypeError, match="clear_where: values is an array of int8; it takes float32 or float64"):
        _core.clear_where(np.zeros(3, np.int8), np.zeros(8, np.uint8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="clear_where: values do not fill memory"):
        _core.clear_where(np.zeros((3, 4), np.float32)[:, :2], np.zeros(8, np.uint8))
    fixed = np.zeros(3, np.float32)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="clear_where: values is read-only"):
        _core.clear_where(fixed, np.zeros(8, np.uint8))
