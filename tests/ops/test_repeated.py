"""Many products in one call: groups and batches give what each product gives alone."""

from __future__ import annotations

from contextlib import nullcontext

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
    torch.set_num_threads(threads)
    a, b = random((70, 5, 33)), random((70, 33, 9), 1)
    out = fx.Quantizer("<8,3>", fx.Stochastic(16))
    whole = fx.matmul(a, b, out=out, key=fx.Key(3, 4))
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
@pytest.mark.parametrize("isa", [name for name in fx.isa.available() if name != "reference"])
@pytest.mark.parametrize(("threads", "counted", "stride"), [(1, False, (2, 1)), (2, True, (1, 3))])
def test_depthwise_is_one_convolution_a_channel(
    channels: int,
    bits: tuple[int, int],
    memory: torch.memory_format,
    isa: str,
    threads: int,
    counted: bool,
    stride: tuple[int, int],
) -> None:
    """All channels at once on a path, and each by itself through the scalar loops."""
    fx.isa.force(isa)
    torch.set_num_threads(threads)
    forms = fx.Format(bits[0], 3), fx.Format(bits[1], 2)
    x, w = random((3, channels, 7, 9), 1, forms[0]), random((channels, 1, 3, 3), 2, forms[1])
    x = fx.FixedTensor(x.raw.contiguous(memory_format=memory), x.format)
    bias = random((channels,), 3, fx.Format(12, 5))
    geometry = {"stride": stride, "padding": (1, 2), "dilation": (1, 2)}
    with fx.count() if counted else nullcontext():
        y = fx.conv2d(x, w, bias, groups=channels, **geometry)
        g = random(tuple(y.shape), 4)
        dx = ops.conv2d_dgrad(g, w, (7, 9), groups=channels, **geometry)
        dw = ops.conv2d_wgrad(g, x, (3, 3), groups=channels, **geometry)
    fx.isa.force("reference")
    for c in range(0, channels, max(channels // 8, 1)):
        one = slice(c, c + 1)
        assert y[:, one] == fx.conv2d(x[:, one], w[one], bias[one], **geometry)
        assert dx[:, one] == ops.conv2d_dgrad(g[:, one], w[one], (7, 9), **geometry)
        assert dw[one] == ops.conv2d_wgrad(g[:, one], x[:, one], (3, 3), **geometry)


def test_a_negative_number_of_products_is_refused() -> None:
    view = _core.View(8, 0, True, pixels=(1, 1, 1), taps=(1, 1, 1), strides=(1, 0, 0, 1))
    quantizer = _core.Quantizer(8, 0, True, "floor", "wrap")
    exact = _core.Accumulator(
        product=None, inner=None, at_end=False, lanes=1, chunk=0, outer=None, outer_at_end=False, outer_lanes=1,
        preload=False,
    )  # fmt: skip
    with pytest.raises(ValueError, match="Product: repeat begins with the number of products, and that is negative"):
        _core.Product(view, exact, 0, quantizer, False, 1, (-1, 0, 0, 0, 0, 0))


def test_what_is_packed_of_one_product_serves_no_other() -> None:
    """Operands that keep what is packed of them, in a call of several products."""
    a = np.arange(24, dtype=np.int8).reshape(3, 2, 4)
    b = np.arange(36, dtype=np.int8)[::-1].copy().reshape(3, 3, 4)
    rows = _core.View(8, 0, True, (2, 1, 1), (1, 1, 4), (4, 0, 0, 1))
    left = _core.Operand(a, rows, keep=True)
    right = _core.Operand(b, _core.View(8, 0, True, (3, 1, 1), (1, 1, 4), (4, 0, 0, 1)), keep=True)
    exact = _core.Accumulator(
        product=None, inner=None, at_end=False, lanes=1, chunk=0, outer=None, outer_at_end=False, outer_lanes=1,
        preload=False,
    )  # fmt: skip
    out = np.zeros((3, 2, 3), np.int64)
    result = _core.Quantizer(63, 0, True, "floor", "wrap")
    product = _core.Product(rows, exact, 0, result, False, 3, (3, 8, 12, 6, 6, 0))
    for _ in range(2):
        _core.multiply(product, left, right, out, None, 0, 0, 0, False, None, "products")
        assert (out == np.einsum("imk,ink->imn", a.astype(np.int64), b.astype(np.int64))).all()


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize(
    "end", [(-(2**15), -(2**7)), (2**15 - 1, 2**7 - 1), (-(2**15), 2**7 - 1), (-(2**15), -(2**15))]
)
@pytest.mark.parametrize("counted", [False, True])
def test_a_long_depthwise_weight_gradient_at_the_ends(isa: str, end: tuple[int, int], counted: bool) -> None:
    """More pixels than 32 bits sum, all products of one sign: sums are flushed before they could wrap."""
    fx.isa.force(isa)
    wl = 8 if -(2**7) <= end[1] < 2**7 else 16
    g = fx.FixedTensor(torch.full((3, 18, 40, 30), end[0], dtype=torch.int16), fx.Format(16, 0))
    x = fx.FixedTensor(torch.full((3, 18, 40, 30), end[1]).to(torch.int8 if wl == 8 else torch.int16), fx.Format(wl, 0))
    with fx.count() if counted else nullcontext():
        dw = ops.conv2d_wgrad(g, x, (1, 1), groups=18)
    assert dw.raw.unique().tolist() == [3 * 40 * 30 * end[0] * end[1]]
