"""Many products in one call: groups and batches give what each product gives alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fxsim as fx
from fxsim import _core, ops

FORM = fx.Format(8, 4)


def random(shape: tuple[int, ...], seed: int = 0, form: fx.Format = FORM) -> fx.FixedTensor:
    raw = np.random.default_rng(seed).integers(form.raw_min, form.raw_max, shape, endpoint=True)
    return fx.FixedTensor(torch.from_numpy(raw).to(form.dtype), form)


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_is_its_products(isa: str, threads: int) -> None:
    fx.isa.force(isa)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        a, b = random((70, 5, 33)), random((70, 33, 9), 1)
        out = fx.Quantizer("<8,3>", fx.Stochastic(16))
        whole = fx.matmul(a, b, out=out, key=fx.Key(3, 4))
    finally:
        torch.set_num_threads(before)
    for i in range(70):
        one = fx.matmul(a[i], b[i], out=out, key=fx.Key(3, 4), index_offset=i * 45)
        assert one == whole[i]


def test_a_batch_of_one_operand_repeated() -> None:
    a, b = random((6, 4, 8)), random((8, 3), 1)
    expected = a.raw.to(torch.int64) @ b.raw.to(torch.int64)
    assert torch.equal(fx.matmul(a, b).raw.to(torch.int64), expected)


@pytest.mark.parametrize("isa", fx.isa.available())
def test_the_first_refused_value_of_all_groups_is_named(isa: str) -> None:
    """Groups interleave in the output: here the second group's first value comes before the first group's second."""
    fx.isa.force(isa)
    x = torch.tensor([[1, 100], [100, 1]], dtype=torch.int8).reshape(2, 2, 1, 1)  # group 0 refuses at (1, 0)
    w = fx.FixedTensor(torch.full((2, 1, 1, 1), 2, dtype=torch.int8), fx.Format(8, 0))
    with pytest.raises(OverflowError, match="output index 1"):
        fx.conv2d(fx.FixedTensor(x, fx.Format(8, 0)), w, groups=2, out=fx.Quantizer("<8,0>", overflow="error"))


@pytest.mark.parametrize("channels", [5, 16, 40, 300])
@pytest.mark.parametrize("bits", [(8, 8), (16, 8), (16, 16), (24, 20)])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_depthwise_is_one_convolution_a_channel(
    channels: int, bits: tuple[int, int], memory: torch.memory_format
) -> None:
    forms = fx.Format(bits[0], 3), fx.Format(bits[1], 2)
    x, w = random((3, channels, 7, 9), 1, forms[0]), random((channels, 1, 3, 3), 2, forms[1])
    x = fx.FixedTensor(x.raw.contiguous(memory_format=memory), x.format)
    bias = random((channels,), 3, fx.Format(12, 5))
    geometry = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}
    y = fx.conv2d(x, w, bias, groups=channels, **geometry)
    g = random(tuple(y.shape), 4)
    dx, dw = (
        ops.conv2d_dgrad(g, w, (7, 9), groups=channels, **geometry),
        ops.conv2d_wgrad(g, x, (3, 3), groups=channels, **geometry),
    )
    for c in range(channels):
        one = slice(c, c + 1)
        assert y[:, one] == fx.conv2d(x[:, one], w[one], bias[one], **geometry)
        assert dx[:, one] == ops.conv2d_dgrad(g[:, one], w[one], (7, 9), **geometry)
        assert dw[one] == ops.conv2d_wgrad(g[:, one], x[:, one], (3, 3), **geometry)


def test_a_negative_number_of_products_is_refused() -> None:
    a = _core.Operand(np.zeros((1, 1), np.int8), 8, 0, True, pixels=(1, 1, 1), taps=(1, 1, 1), strides=(1, 0, 0, 1))
    quantizer = _core.Quantizer(8, 0, True, "floor", "wrap")
    exact = _core.Accumulator(
        product=None, inner=None, at_end=False, lanes=1, chunk=0, outer=None, outer_at_end=False, outer_lanes=1,
        preload=False,
    )  # fmt: skip
    with pytest.raises(ValueError, match="repeat begins with the number of products, and that is negative"):
        _core.gemm(
            a, a, np.zeros((1, 1), np.int64), exact, bias=None, bias_fl=0, output=quantizer, output_rounds=False,
            seed=0, stream=0, index_base=0, index_row_stride=1, repeat=(-1, 0, 0, 0, 0, 0), count=False,
        )  # fmt: skip
