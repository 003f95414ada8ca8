"""Weight gradients whose 32-bit sums must be taken over into wider ones on the way: `==` with float64, exact here."""

from __future__ import annotations

from typing import Any

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


@pytest.mark.parametrize("isa", fx.isa.available())
def test_a_line_of_more_elements_than_32_bits_hold_the_sum_of(isa: str) -> None:
    fx.isa.force(isa)
    images, width = 4, 2_110_000  # 255, which 127 is kept as, as often: more than 2^31
    shape = (images, 1, 1, width)
    x, g = torch.full(shape, 127, dtype=torch.int8), torch.full(shape, -1, dtype=torch.int16)
    x[..., 5], g[..., 9] = 3, -20_000  # of more than a byte
    x_format, g_format = fx.Format(8, 0), fx.Format(16, 0)
    found = ops.conv2d_wgrad(fx.FixedTensor(g, g_format), fx.FixedTensor(x, x_format), (1, 3), padding=(0, 1))
    padded = torch.nn.functional.pad(x, (1, 1)).long()
    assert found.raw.flatten().tolist() == [int((padded[..., t : t + width] * g).sum()) for t in range(3)]


GEOMETRIES = {
    "window after window": {"stride": 3},
    "every other pixel": {"stride": 2, "padding": 1},
    "taps apart": {"dilation": 2, "padding": 2},
    "taps as far apart as windows": {"dilation": 2, "stride": 2, "padding": 2},
    "lines apart": {"dilation": (2, 1), "padding": (2, 1)},
    "lines skipped": {"stride": (2, 1), "padding": 1},
    "one line high": {"padding": (0, 1), "kernel": (7, 3)},
    "one pixel wide": {"padding": (1, 0), "kernel": (3, 7)},
}


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("channels", [3, 16, 40])
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
def test_what_windows_share_is_summed_for_each(isa: str, channels: int, geometry: dict[str, Any]) -> None:
    fx.isa.force(isa)
    place = dict(geometry)
    kernel = place.pop("kernel", (3, 3))
    generator = torch.Generator().manual_seed(channels)
    x = torch.randint(-128, 128, (5, channels, 7, 7), generator=generator)
    y_shape = torch.nn.functional.conv2d(x.double(), torch.zeros(9, channels, *kernel).double(), **place).shape
    g = torch.randint(-(1 << 15), 1 << 15, y_shape, generator=generator)
    x_format, g_format = fx.Format(8, 0), fx.Format(16, 0)
    found = ops.conv2d_wgrad(fx.FixedTensor(g, g_format), fx.FixedTensor(x, x_format), kernel, **place)
    exact = torch.nn.grad.conv2d_weight(x.double(), (9, channels, *kernel), g.double(), **place)
    assert torch.equal(found.raw, exact.long())
