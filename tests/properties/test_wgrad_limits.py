"""Weight gradients whose 32-bit sums must be taken over into wider ones on the way: `==` with float64, exact here."""

from __future__ import annotations

import pytest
import torch

import fxsim as fx
from fxsim import ops

BATCH, SIZE, CHANNELS, FILTERS = 9, 121, 3, 5
"""More than 131,071 products a sum: a sum of 65,793 of unsigned by signed bytes, or of 131,071, may leave 32 bits."""


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("ends", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_every_product_may_be_as_large_as_it_can_be(isa: str, threads: int, bits: int, ends: tuple[int, int]) -> None:
    fx.isa.force(isa)
    torch.set_num_threads(threads)
    x_format, g_format = fx.Format(8, 0), fx.Format(bits, 0)
    x_end, g_end = (
        form.raw_max if high else form.raw_min for form, high in zip((x_format, g_format), ends, strict=True)
    )
    x = torch.full((BATCH, CHANNELS, SIZE, SIZE), x_end).contiguous(memory_format=torch.channels_last)
    g = torch.full((BATCH, FILTERS, SIZE, SIZE), g_end).contiguous(memory_format=torch.channels_last)
    x[-1, :, 7] = 1
    g[-1, :, :, 11] = -3
    found = ops.conv2d_wgrad(fx.FixedTensor(g, g_format), fx.FixedTensor(x, x_format), (3, 3), padding=1)
    weight = torch.zeros((FILTERS, CHANNELS, 3, 3), dtype=torch.float64)
    place = [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False]
    _, exact, _ = torch.ops.aten.convolution_backward(g.double(), x.double(), weight, None, *place)
    assert torch.equal(found.raw, exact.long())
