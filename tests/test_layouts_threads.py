"""The same bits for every memory layout, number of threads and split of the batch, on every instruction set."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from fxsim import isa, ops
from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.rng import Key
from fxsim.tensor import FixedTensor

KEY = Key(11, 7)
IMAGE, KERNEL, GRAD = (5, 4, 7, 6), (6, 2, 3, 2), (5, 6, 4, 4)
CONV = {"stride": 2, "padding": 1, "groups": 2}

# What draws, clips or depends on the order of k shows every element that is taken from the wrong place.
ACCUMULATORS = [
    Accumulator(),
    Accumulator("<10,6>", "stochastic", "saturate"),
    Accumulator("<9,6>", "floor", "wrap", product="<9,6>,stochastic", chunk=5, outer=Accumulator("<10,4>")),
]
OUT = "<7,3>,stochastic"


@pytest.fixture(params=isa.available(), autouse=True)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    isa.force(request.param)
    yield request.param
    isa.force(None)


def words(format: str, *shape: int, seed: int = 0) -> FixedTensor:
    f = Format.parse(format)
    generator = torch.Generator().manual_seed(seed)
    return FixedTensor(torch.randint(f.raw_min, f.raw_max + 1, shape, generator=generator), f)


def sliced(x: Tensor) -> Tensor:
    """Every second element of every dimension of a larger tensor, off its start, garbage between."""
    room = torch.full([2 * size + 3 for size in x.shape], 77, dtype=x.dtype)
    hole = room[tuple(slice(3, 3 + 2 * size, 2) for size in x.shape)]
    return hole.copy_(x)


def transposed(x: Tensor) -> Tensor:
    """Dimensions in reverse order in memory."""
    reverse = tuple(reversed(range(x.dim())))
    return x.permute(reverse).contiguous().permute(reverse)


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x.t().contiguous().t()


LAYOUTS = [sliced, transposed, channels_last]


def laid(t: FixedTensor, layout: Callable[[Tensor], Tensor]) -> FixedTensor:
    changed = layout(t.raw)
    assert torch.equal(changed, t.raw)
    return FixedTensor(changed, t.format)


Product = Callable[[FixedTensor, FixedTensor, Accumulator, int], FixedTensor]


def conv2d(x: FixedTensor, w: FixedTensor, accumulator: Accumulator, offset: int = 0) -> FixedTensor:
    bias = words("<9,5>", KERNEL[0])
    return ops.conv2d(x, w, bias, **CONV, accumulator=accumulator, out=OUT, key=KEY, index_offset=offset)


def conv2d_dgrad(g: FixedTensor, w: FixedTensor, accumulator: Accumulator, offset: int = 0) -> FixedTensor:
    return ops.conv2d_dgrad(g, w, IMAGE[2:], **CONV, accumulator=accumulator, out=OUT, key=KEY, index_offset=offset)


def conv2d_wgrad(g: FixedTensor, x: FixedTensor, accumulator: Accumulator, offset: int = 0) -> FixedTensor:
    return ops.conv2d_wgrad(g, x, KERNEL[2:], **CONV, accumulator=accumulator, out=OUT, key=KEY, index_offset=offset)


def linear(x: FixedTensor, w: FixedTensor, accumulator: Accumulator, offset: int = 0) -> FixedTensor:
    bias = words("<9,5>", len(w))
    return ops.linear(x, w, bias, accumulator=accumulator, out=OUT, key=KEY, index_offset=offset)


def linear_dgrad(g: FixedTensor, w: FixedTensor, accumulator: Accumulator, offset: int = 0) -> FixedTensor:
    return ops.linear_dgrad(g, w, accumulator=accumulator, out=OUT, key=KEY, index_offset=offset)


def linear_wgrad(g: FixedTensor, x: FixedTensor, accumulator: Accumulator, offset: int = 0) -> FixedTensor:
    return ops.linear_wgrad(g, x, accumulator=accumulator, out=OUT, key=KEY, index_offset=offset)


def matmul(a: FixedTensor, b: FixedTensor, accumulator: Accumulator, offset: int = 0) -> FixedTensor:
    return ops.matmul(a, b, accumulator=accumulator, out=OUT, key=KEY, index_offset=offset)


PRODUCTS = [
    pytest.param(conv2d, IMAGE, KERNEL, id="conv2d"),
    pytest.param(conv2d_dgrad, GRAD, KERNEL, id="conv2d_dgrad"),
    pytest.param(conv2d_wgrad, GRAD, IMAGE, id="conv2d_wgrad"),
    pytest.param(linear, (5, 3, 7), (4, 7), id="linear"),
    pytest.param(linear_dgrad, (5, 3, 4), (4, 7), id="linear_dgrad"),
    pytest.param(linear_wgrad, (5, 3, 4), (5, 3, 7), id="linear_wgrad"),
    pytest.param(matmul, (5, 3, 7), (7, 4), id="matmul"),
    pytest.param(matmul, (5, 3, 7), (5, 7, 4), id="matmul of a batch"),
]


@pytest.mark.parametrize("accumulator", ACCUMULATORS, ids=str)
@pytest.mark.parametrize("layout", [sliced, transposed])
@pytest.mark.parametrize(("product", "a_shape", "b_shape"), PRODUCTS)
def test_products_do_not_see_the_layout(
    product: Product,
    a_shape: tuple[int, ...],
    b_shape: tuple[int, ...],
    layout: Callable[[Tensor], Tensor],
    accumulator: Accumulator,
) -> None:
    a, b = words("<6,4>", *a_shape), words("u<5,3>", *b_shape, seed=1)
    expected = product(a, b, accumulator, 0)
    assert product(laid(a, layout), b, accumulator, 0) == expected
    assert product(a, laid(b, layout), accumulator, 0) == expected
    assert product(laid(a, layout), laid(b, layout), accumulator, 0) == expected


@pytest.mark.parametrize("accumulator", ACCUMULATORS, ids=str)
@pytest.mark.parametrize(("product", "a_shape", "b_shape"), PRODUCTS[:3])
def test_convolutions_do_not_see_channels_last_memory(
    product: Product, a_shape: tuple[int, ...], b_shape: tuple[int, ...], accumulator: Accumulator
) -> None:
    a, b = words("<6,4>", *a_shape), words("u<5,3>", *b_shape, seed=1)
    assert product(laid(a, channels_last), laid(b, channels_last), accumulator, 0) == product(a, b, accumulator, 0)


def test_an_expanded_operand_is_read_in_place() -> None:
    one = words("<6,4>", 1, *IMAGE[1:])
    many = FixedTensor(one.raw.expand(IMAGE), one.format)
    copied = FixedTensor(many.raw.contiguous(), one.format)
    kernel = words("u<5,3>", *KERNEL)
    assert conv2d(many, kernel, ACCUMULATORS[1]) == conv2d(copied, kernel, ACCUMULATORS[1])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("index_order", ["c", "channels_last"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quantize_does_not_see_the_layout(
    layout: Callable[[Tensor], Tensor], index_order: str, dtype: torch.dtype
) -> None:
    x = torch.randn(IMAGE, generator=torch.Generator().manual_seed(0), dtype=dtype)
    expected = ops.quantize(x, OUT, key=KEY, index_order=index_order)
    assert ops.quantize(layout(x), OUT, key=KEY, index_order=index_order) == expected
    wide = ops.quantize(x, "<20,15>")
    expected = ops.requantize(wide, OUT, key=KEY, index_order=index_order)
    assert ops.requantize(laid(wide, layout), OUT, key=KEY, index_order=index_order) == expected


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def each_thread_count(run: Callable[[], FixedTensor], threads: Callable[[int], None]) -> list[FixedTensor]:
    results = []
    for count in (1, 2, 4):
        threads(count)
        results.append(run())
    return results


@pytest.mark.parametrize("accumulator", ACCUMULATORS, ids=str)
@pytest.mark.parametrize(
    ("product", "a_shape", "b_shape"),
    [
        pytest.param(conv2d, (9, 4, 7, 6), KERNEL, id="conv2d"),
        pytest.param(conv2d_dgrad, (9, 6, 4, 4), KERNEL, id="conv2d_dgrad"),
        pytest.param(conv2d_wgrad, (9, 6, 4, 4), (9, 4, 7, 6), id="conv2d_wgrad"),
        pytest.param(linear, (67, 9), (41, 9), id="linear"),
        pytest.param(linear_dgrad, (67, 9), (9, 41), id="linear_dgrad"),
        pytest.param(linear_wgrad, (9, 67), (9, 41), id="linear_wgrad"),
    ],
)
def test_products_do_not_see_the_threads(
    product: Product,
    a_shape: tuple[int, ...],
    b_shape: tuple[int, ...],
    accumulator: Accumulator,
    threads: Callable[[int], None],
) -> None:
    a, b = words("<6,4>", *a_shape), words("u<5,3>", *b_shape, seed=1)
    one, two, four = each_thread_count(lambda: product(a, b, accumulator, 0), threads)
    assert one == two == four


def test_quantize_does_not_see_the_threads(threads: Callable[[int], None]) -> None:
    x = torch.randn(300_001, generator=torch.Generator().manual_seed(0))
    one, two, four = each_thread_count(lambda: ops.quantize(x, OUT, key=KEY), threads)
    assert one == two == four


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_first_overflow_is_the_same_for_every_number_of_threads(count: int, threads: Callable[[int], None]) -> None:
    threads(count)
    a = FixedTensor(torch.zeros(200, 3, dtype=torch.int8), "<8,0>")
    a.raw[150:, 1] = 100
    a.raw[190:, 0] = 100
    b = FixedTensor(torch.full((3, 50), 2, dtype=torch.int8), "<8,0>")
    accumulator = Accumulator("<8,0>", overflow="error")
    with pytest.raises(OverflowError, match=r"overflows at output index 7500, k = 1: 200 is outside <8,0>"):
        ops.matmul(a, b, accumulator=accumulator)
    x = torch.zeros(300_000)
    x[200_001:] = 1e9
    with pytest.raises(OverflowError, match=r"quantize: element \(200001,\) "):
        ops.quantize(x, "<8,0>", overflow="error")


SPLITS = [[5], [1, 4], [2, 2, 1], [1] * 5, [0, 5]]


def slabs(t: FixedTensor, split: list[int]) -> list[FixedTensor]:
    return [FixedTensor(part, t.format) for part in t.raw.split(split)]


def joined(parts: list[FixedTensor]) -> FixedTensor:
    return FixedTensor(torch.cat([part.raw for part in parts]), parts[0].format)


@pytest.mark.parametrize("split", SPLITS, ids=str)
@pytest.mark.parametrize("accumulator", ACCUMULATORS, ids=str)
@pytest.mark.parametrize(
    ("product", "a_shape", "b_shape"),
    [each for each in PRODUCTS if "wgrad" not in str(each.id) and "batch" not in str(each.id)],
)
def test_a_split_batch_gives_the_slabs_of_the_whole(
    product: Product, a_shape: tuple[int, ...], b_shape: tuple[int, ...], accumulator: Accumulator, split: list[int]
) -> None:
    a, b = words("<6,4>", *a_shape), words("u<5,3>", *b_shape, seed=1)
    whole = product(a, b, accumulator, 0)
    sample = whole.numel() // 5
    starts = [sum(split[:i]) for i in range(len(split))]
    parts = [product(part, b, accumulator, start * sample) for part, start in zip(slabs(a, split), starts, strict=True)]
    assert joined(parts) == whole


@pytest.mark.parametrize("split", SPLITS, ids=str)
@pytest.mark.parametrize("index_order", ["c", "channels_last"])
def test_a_split_quantization_gives_the_slabs_of_the_whole(index_order: str, split: list[int]) -> None:
    x = torch.randn(IMAGE, generator=torch.Generator().manual_seed(0))
    sample, start, parts = x[0].numel(), 0, []
    for part in x.split(split):
        parts.append(ops.quantize(part, OUT, key=KEY, index_order=index_order, index_offset=start))
        start += len(part) * sample
    assert joined(parts) == ops.quantize(x, OUT, key=KEY, index_order=index_order)


def test_the_split_is_seen_where_the_offset_is_forgotten() -> None:
    x = torch.full((2, 1000), 0.03)
    whole = ops.quantize(x, OUT, key=KEY)
    assert joined([ops.quantize(x[:1], OUT, key=KEY), ops.quantize(x[1:], OUT, key=KEY)]) != whole


WGRADS = [
    pytest.param(
        lambda g, x, accumulator, out: ops.conv2d_wgrad(
            g, x, KERNEL[2:], **CONV, accumulator=accumulator, out=out, key=KEY
        ),
        GRAD,
        IMAGE,
        "channels_last",
        id="conv2d",
    ),
    pytest.param(
        lambda g, x, accumulator, out: ops.linear_wgrad(g, x, accumulator=accumulator, out=out, key=KEY),
        (5, 3, 4),
        (5, 3, 7),
        "c",
        id="linear",
    ),
    pytest.param(
        lambda g, x, accumulator, out: ops.bias_grad(g, accumulator=accumulator, out=out, key=KEY, channels_last=False),
        GRAD,
        IMAGE,
        "c",
        id="bias",
    ),
]


@pytest.mark.parametrize("split", SPLITS[:4], ids=str)
@pytest.mark.parametrize(("wgrad", "g_shape", "x_shape", "index_order"), WGRADS)
def test_exact_weight_gradients_of_slabs_add_up_and_are_rounded_once(
    wgrad: Callable[..., FixedTensor],
    g_shape: tuple[int, ...],
    x_shape: tuple[int, ...],
    index_order: str,
    split: list[int],
) -> None:
    g, x = words("<6,4>", *g_shape), words("u<5,3>", *x_shape, seed=1)
    exact = Accumulator()
    parts = [wgrad(*slab, exact, None) for slab in zip(slabs(g, split), slabs(x, split), strict=True)]
    whole = wgrad(g, x, exact, None)
    total = FixedTensor(sum((part.raw.long() for part in parts), torch.zeros(())).long(), whole.format)
    assert total == whole
    assert ops.requantize(total, OUT, key=KEY, index_order=index_order) == wgrad(g, x, exact, OUT)


@pytest.mark.parametrize("split", SPLITS[:4], ids=str)
@pytest.mark.parametrize(("wgrad", "g_shape", "x_shape", "index_order"), WGRADS)
def test_wrapping_weight_gradients_of_slabs_add_up_and_wrap(
    wgrad: Callable[..., FixedTensor],
    g_shape: tuple[int, ...],
    x_shape: tuple[int, ...],
    index_order: str,
    split: list[int],
) -> None:
    g, x = words("<6,4>", *g_shape), words("u<5,3>", *x_shape, seed=1)
    wrapping = Accumulator(7, overflow="wrap")
    parts = [wgrad(*slab, wrapping, None) for slab in zip(slabs(g, split), slabs(x, split), strict=True)]
    total = FixedTensor(sum((part.raw.long() for part in parts), torch.zeros(())).long(), f"<32,{parts[0].format.fl}>")
    assert ops.requantize(total, parts[0].format, overflow="wrap") == wgrad(g, x, wrapping, None)
