"""Macs by what their operands are, against an element looked up for every row and k."""

from __future__ import annotations

import itertools

import pytest
import torch

import fxsim as fx
from fxsim import _core
from fxsim.formats import Format
from fxsim.ops import _bridge
from fxsim.ops._geometry import View, conv_shape, matrix
from fxsim.ops._operands import ONCE, Repeat, operand
from fxsim.ops._product import Batch, Product, repeat_of
from fxsim.rounding import Quantizer

FORMAT = Format(6, 2)
NAMES = ("valid", "a_met", "b_met", "both_met", "nnz_a", "nnz_b")


@pytest.fixture(params=fx.isa.available())
def isa(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    fx.isa.force(name)
    return name


def columns(view: View) -> list[list[int | None]]:
    """The elements of every row at each k, None for structural zeros."""
    pixels = list(itertools.product(*map(range, view.pixels)))
    taps = list(itertools.product(*map(range, view.taps)))
    if view.channel_major:
        taps.sort(key=lambda tap: (tap[2], tap[0], tap[1]))
    elements = view.data.untyped_storage()
    flat = torch.empty(0, dtype=view.data.dtype).set_(elements).tolist()
    if view.transposed:
        return [[element(view, flat, pixel, tap) for tap in taps] for pixel in pixels]
    return [[element(view, flat, pixel, tap) for pixel in pixels] for tap in taps]


def element(view: View, flat: list[int], pixel: tuple[int, ...], tap: tuple[int, ...]) -> int | None:
    place = [pixel[0]]
    for at, through, (pixel_mul, tap_mul, offset, div, size) in zip(pixel[1:], tap[:2], (view.y, view.x), strict=True):
        position, rest = divmod(at * pixel_mul + through * tap_mul + offset, div)
        if rest or not 0 <= position < size:
            return None
        place.append(position)
    return flat[view.data.storage_offset() + sum(i * s for i, s in zip((*place, tap[2]), view.strides, strict=True))]


def one_by_one(a: View, b: View) -> dict[str, int]:
    sums = dict.fromkeys(NAMES, 0)
    for x, y in zip(columns(a), columns(b), strict=True):
        valid = [sum(each is not None for each in column) for column in (x, y)]
        met = [sum(bool(each) for each in column) for column in (x, y)]
        for name, of_a, of_b in zip(NAMES, (valid, met, valid, met), (valid, valid, met, met), strict=False):
            sums[name] += of_a[0] * of_b[1]
    for name, view in (("nnz_a", a), ("nnz_b", b)):
        shape = (view.pixels[0], view.y[4], view.x[4], view.taps[2])
        sums[name] = int(torch.count_nonzero(view.data.as_strided(shape, view.strides)))
    return sums


def found(a: View, b: View, repeat: Repeat = ONCE, *of: _bridge.WordCounts | None) -> dict[str, int]:
    counts = _bridge.count_macs(operand(a), operand(b), repeat, *of)
    return {name: getattr(counts, name) for name in NAMES}


def counted(words: torch.Tensor) -> _bridge.WordCounts:
    """Counts of integers (N, C, H, W) as the quantizer makes them, of channels that are last."""
    images = words.permute(0, 2, 3, 1)
    counts = _bridge.WordCounts(images.shape)
    _bridge.quantize(
        images.float().numpy(),
        torch.empty(images.shape, dtype=torch.int8).numpy(),
        None,
        _bridge.quantizer(Quantizer(Format(8, 0))),
        seed=0,
        stream=0,
        index_offset=0,
        channels_last=True,
        count=True,
        words=counts,
        name="test",
    )
    return counts


def sparse(*shape: int, dtype: torch.dtype = torch.int8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(-1, 2, shape, generator=generator).to(dtype)


CASES = [(1, 0, 1, 1), (1, 1, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), (3, 2, 2, 2), (4, 0, 1, 2), (1, 1, 1, 3)]


@pytest.mark.parametrize("channels", [1, 2, 8, 16])
@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), CASES)
def test_every_product_of_a_convolution(
    isa: str, stride: int, padding: int, dilation: int, groups: int, channels: int
) -> None:
    pairs = ((stride, stride), (padding, padding), (dilation, dilation))
    conv = conv_shape("test", (3, channels * groups, 5, 6), (2 * groups, channels, 3, 2), *pairs, groups)
    w = sparse(conv.co, channels, 3, 2, dtype=torch.int16)
    for last in (True, False):
        x, g = sparse(3, 5, 6, conv.c), sparse(3, *conv.out, conv.co, dtype=torch.int32)
        x, g = x.permute(0, 3, 1, 2), g.permute(0, 3, 1, 2)
        if not last:
            x, g = x.contiguous(), g.contiguous()
        products = (
            lambda i, x=x: conv.forward(x, FORMAT, w, FORMAT, i, False),
            lambda i, x=x: conv.forward(x, FORMAT, w, FORMAT, i, True),
            lambda i, g=g: conv.dgrad(g, FORMAT, w, FORMAT, i),
            lambda i, g=g, x=x: conv.wgrad(g, FORMAT, x, FORMAT, i),
        )
        for views in products:
            batch = Batch(groups, lambda i, views=views, x=x: Product(*views(i), x, 0))
            alone = [one_by_one(*views(i)) for i in range(groups)]
            assert [found(*views(i)) for i in range(groups)] == alone
            together = found(*views(0), repeat_of(batch, batch.at(0)))
            assert together == {name: sum(each[name] for each in alone) for name in NAMES}
        if groups == 1:
            of_x, of_g = counted(x), counted(g)
            for views, of in zip(products, ((of_x, None), (of_x, None), (of_g, None), (of_g, of_x)), strict=True):
                assert found(*views(0), ONCE, *of) == one_by_one(*views(0))


def test_counts_of_other_words_are_not_used() -> None:
    conv = conv_shape("test", (3, 8, 5, 6), (4, 8, 3, 2), (1, 1), (1, 1), (1, 1), 1)
    x, w = sparse(3, 5, 6, 8).permute(0, 3, 1, 2), sparse(4, 8, 3, 2)
    a, b = conv.forward(x, FORMAT, w, FORMAT, 0, False)
    expected = one_by_one(a, b)
    for other in ((2, 8, 5, 6), (3, 8, 6, 5), (3, 8, 5, 7), (3, 16, 5, 6)):
        assert found(a, b, ONCE, counted(sparse(*other))) == expected
    of_x = counted(torch.zeros(3, 8, 5, 6))
    strided = torch.zeros(3, 5, 12, 8, dtype=torch.int8)[:, :, ::2].permute(0, 3, 1, 2).copy_(x)
    for same in (x.contiguous(), strided):
        assert found(*conv.forward(same, FORMAT, w, FORMAT, 0, False), ONCE, of_x) == expected
    repeat = Repeat(2, 0, 0, 0, 0, 0)
    assert found(a, b, repeat, of_x) == {name: 2 * value for name, value in expected.items()}


def test_taps_that_run_channel_by_channel_against_a_matrix() -> None:
    """K of both is one order, however each of them comes by it."""
    conv = conv_shape("test", (2, 3, 4, 5), (4, 3, 3, 2), (1, 1), (1, 1), (1, 1), 1)
    x, w = sparse(2, 3, 4, 5), sparse(4, 3, 3, 2)
    a, _ = conv.forward(x, FORMAT, w, FORMAT, 0, True)
    b = matrix(w.reshape(4, -1), FORMAT)
    assert found(a, b) == one_by_one(a, b)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64])
def test_matrices_of_any_strides(isa: str, dtype: torch.dtype) -> None:
    full = sparse(9, 14, dtype=dtype)
    for data in (full, full.t(), full[::2, 1::3], full[:0], full[:, :0], full[:1].expand(4, 14)):
        other = sparse(5, data.shape[1], dtype=torch.int16)
        a, b = matrix(data, FORMAT), matrix(other, FORMAT)
        assert found(a, b) == one_by_one(a, b)


def test_an_operand_that_every_product_shares() -> None:
    a, b = sparse(4, 3, 10), sparse(6, 10)
    repeat = Repeat(4, 30, 0, 18, 18, 0)
    alone = [found(matrix(a[i], FORMAT), matrix(b, FORMAT)) for i in range(4)]
    together = found(matrix(a[0], FORMAT), matrix(b, FORMAT), repeat)
    assert together == {name: sum(each[name] for each in alone) for name in NAMES}


def test_elements_of_broadcast_operands_count_once() -> None:
    form = Format(4, 0)
    a, b = sparse(4, 1, 3, 10), sparse(5, 10, 2)
    with fx.count(keep_order=True) as counts:
        fx.matmul(fx.FixedTensor(a, form), fx.FixedTensor(b, form))
    [record] = counts.ordered
    assert (record.nnz_a, record.nnz_b) == (int(torch.count_nonzero(a)), int(torch.count_nonzero(b)))
    assert record.nz_macs == int(((a != 0).long() @ (b != 0).long()).sum())
    assert record.macs == 4 * 5 * 3 * 10 * 2


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [63, 64, 255, 256, 700, 2040, 2048, 4100])
def test_more_rows_than_a_byte_counts_and_than_a_task_takes(isa: str, rows: int, threads: int) -> None:
    torch.set_num_threads(threads)
    data = torch.ones(rows, 300, dtype=torch.int8)
    data[:, 3] = 0
    expected = dict(zip(NAMES, (rows * 600, rows * 598, rows * 600, rows * 598, rows * 299, 600), strict=True))
    other = torch.ones(2, 300, dtype=torch.int8)
    for a in (data, data.t().contiguous().t()):
        assert found(matrix(a, FORMAT), matrix(other, FORMAT)) == expected


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("channels", [7, 24, 32, 64, 128, 255, 256, 300, 4096, 5000])
def test_more_channels_than_a_byte_counts_and_than_a_block_holds(isa: str, channels: int, threads: int) -> None:
    torch.set_num_threads(threads)
    conv = conv_shape("test", (33, channels, 1, 2), (channels, channels, 1, 1), (1, 1), (0, 0), (1, 1), 1)
    g, x = (torch.ones(33, channels, 1, 2, dtype=torch.int8) for _ in range(2))
    x[0, 0, 0, 1] = 0
    for last in (True, False):
        memory = torch.channels_last if last else torch.contiguous_format
        views = conv.wgrad(g.contiguous(memory_format=memory), FORMAT, x.contiguous(memory_format=memory), FORMAT, 0)
        all_macs, elements = channels * channels * 66, channels * 66
        met = all_macs - channels
        expected = dict(zip(NAMES, (all_macs, all_macs, met, met, elements, elements - 1), strict=True))
        assert found(*views) == expected


@pytest.mark.parametrize(("channels", "size"), [(2000, 32), (32767, 2), (32768, 2)])
def test_known_pixels_whose_products_fill_32_bits(isa: str, channels: int, size: int) -> None:
    """A pixel's counts take 15 bits or more, and sums of their products over an image more than 32."""
    conv = conv_shape("test", (1, channels, size, size), (channels, channels, 1, 1), (1, 1), (0, 0), (1, 1), 1)
    g, x = (torch.ones(1, size, size, channels, dtype=torch.int8).permute(0, 3, 1, 2) for _ in range(2))
    x[0, 0, 0, 1] = 0
    pixels = size * size
    macs, elements = channels * channels * pixels, channels * pixels
    met = macs - channels
    expected = dict(zip(NAMES, (macs, macs, met, met, elements, elements - 1), strict=True))
    assert found(*conv.wgrad(g, FORMAT, x, FORMAT, 0), ONCE, counted(g), counted(x)) == expected


def test_operands_of_different_products_are_refused() -> None:
    conv = conv_shape("test", (2, 3, 4, 4), (5, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1)
    g, x = sparse(2, 5, 4, 4), sparse(2, 3, 4, 4)
    a, b = conv.wgrad(g, FORMAT, x, FORMAT, 0)
    for other in (matrix(sparse(3, 32), FORMAT), b._replace(pixels=(1, 8, 4)), b._replace(pixels=(2, 4, 3))):
        with pytest.raises(ValueError, match="count_macs: k runs over other things in a than in b"):
            _core.count_macs(operand(a), operand(other), ONCE)
