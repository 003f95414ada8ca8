"""What fxsim's ops publish, against plain loops over their integers and against the reference's counts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from fractions import Fraction

import pytest
import torch

from fxsim import ops, reference
from fxsim.accumulator import Accumulator
from fxsim.cost.counting import count
from fxsim.formats import Format
from fxsim.ops.records import OpRecord, Pass
from fxsim.rng import Key
from fxsim.tensor import FixedTensor

Triples = Callable[..., list[tuple[int, int, int]]]


def words(format: str, *shape: int, seed: int = 0) -> FixedTensor:
    """Random words of a format, about half of them 0."""
    f = Format.parse(format)
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randint(f.raw_min, f.raw_max + 1, shape, generator=generator)
    return FixedTensor(raw * torch.randint(0, 2, shape, generator=generator), f)


def only(call: Callable[[], object]) -> OpRecord:
    """The one record of a call."""
    with count(keep_order=True) as counts:
        call()
    counts.check()
    assert counts.uncounted == ()
    [record] = counts.ordered
    return record


def assert_macs(record: OpRecord, pairs: Iterable[tuple[int, int]], macs: int) -> None:
    met = list(pairs)
    assert record.macs == macs == record.m * record.n * record.k * record.groups
    assert record.pad_macs == macs - len(met)
    assert record.zero_a_macs == sum(a == 0 for a, _ in met)
    assert record.zero_b_macs == sum(b == 0 for _, b in met)
    assert record.zero_macs == sum(a == 0 or b == 0 for a, b in met)
    assert record.nz_macs == sum(a != 0 and b != 0 for a, b in met)


def assert_operands(record: OpRecord, a: FixedTensor, b: FixedTensor, result: FixedTensor, bias: int = 0) -> None:
    assert (record.a, record.b) == (str(a.format), str(b.format))
    assert record.nnz_a == sum(raw != 0 for raw in a.raw.flatten().tolist())
    assert record.nnz_b == sum(raw != 0 for raw in b.raw.flatten().tolist())
    assert (record.a_elements, record.b_elements) == (a.numel(), b.numel())
    assert record.elements_read == a.numel() + b.numel() + bias
    assert record.elements_written == result.numel()


CASES = [(1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), (2, 1, 1, 2), (3, 2, 2, 2)]


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), CASES)
def test_convolution_and_its_gradients(triples: Triples, stride: int, padding: int, dilation: int, groups: int) -> None:
    x, w, bias = words("<6,2>", 2, 4, 6, 5), words("u<3,1>", 6, 4 // groups, 3, 2), words("<8,0>", 6)
    shape = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    y = ops.conv2d(x, w, bias, **shape)  # type: ignore[arg-type]
    g = words("<5,3>", *y.shape, seed=1)
    met = triples(x.raw, w.raw, g.raw, stride, padding, dilation, groups)

    record = only(lambda: ops.conv2d(x, w, bias, **shape))  # type: ignore[arg-type]
    assert record.pass_ is Pass.FWD
    assert record.batch == 2
    assert (record.kernel_h, record.kernel_w, record.c_in) == (3, 2, 4 // groups)
    assert_macs(record, [(a, b) for a, b, _ in met], y.numel() * w[0].numel())
    assert_operands(record, x, w, y, bias.numel())

    record = only(lambda: ops.conv2d_dgrad(g, w, (6, 5), **shape))  # type: ignore[arg-type]
    assert record.pass_ is Pass.DGRAD
    assert (record.kernel_h, record.kernel_w, record.c_in) == (3, 2, 6 // groups)
    assert_macs(record, [(a, b) for _, b, a in met], x.numel() * w[:, 0].numel() // groups)
    assert_operands(record, g, w, x)

    record = only(lambda: ops.conv2d_wgrad(g, x, (3, 2), **shape))  # type: ignore[arg-type]
    assert record.pass_ is Pass.WGRAD
    assert_macs(record, [(a, b) for b, _, a in met], w.numel() * y[:, 0].numel())
    assert_operands(record, g, x, w)


def matrix_pairs(a: torch.Tensor, b: torch.Tensor) -> list[tuple[int, int]]:
    rows, columns = a.tolist(), b.t().tolist()
    return [pair for row, column in itertools.product(rows, columns) for pair in zip(row, column, strict=True)]


def test_linear_and_its_gradients() -> None:
    x, w, g = words("<6,2>", 2, 3, 7), words("<4,4>", 5, 7), words("u<5,3>", 2, 3, 5)
    y = ops.linear(x, w)
    flat_x, flat_g = x.raw.reshape(6, 7), g.raw.reshape(6, 5)

    record = only(lambda: ops.linear(x, w))
    assert (record.pass_, record.m, record.n, record.k, record.batch) == (Pass.FWD, 6, 5, 7, 2)
    assert_macs(record, matrix_pairs(flat_x, w.raw.t()), 6 * 5 * 7)
    assert_operands(record, x, w, y)

    record = only(lambda: ops.linear_dgrad(g, w))
    assert (record.pass_, record.m, record.n, record.k) == (Pass.DGRAD, 6, 7, 5)
    assert_macs(record, matrix_pairs(flat_g, w.raw), 6 * 5 * 7)
    assert_operands(record, g, w, x)

    record = only(lambda: ops.linear_wgrad(g, x))
    assert (record.pass_, record.m, record.n, record.k) == (Pass.WGRAD, 5, 7, 6)
    assert_macs(record, matrix_pairs(flat_g.t(), flat_x), 6 * 5 * 7)
    assert_operands(record, g, x, w)


def test_a_batch_of_matrices_is_groups() -> None:
    a, b = words("<6,2>", 2, 3, 7), words("<4,4>", 2, 7, 5)
    record = only(lambda: ops.matmul(a, b))
    assert (record.m, record.n, record.k, record.groups) == (3, 5, 7, 2)
    assert_macs(record, matrix_pairs(a.raw[0], b.raw[0]) + matrix_pairs(a.raw[1], b.raw[1]), 2 * 3 * 5 * 7)


def test_a_bias_gradient_multiplies_nothing() -> None:
    g = words("<6,2>", 2, 3, 4, 5)
    record = only(lambda: ops.bias_grad(g, channels_last=False))
    assert (record.pass_, record.macs, record.k) == (Pass.WGRAD, 0, 0)
    assert (record.elements_read, record.elements_written) == (120, 3)


@pytest.mark.parametrize("shape", [(0, 4, 6, 5), (2, 0, 6, 5)])
def test_empty_products_are_counted_as_nothing(shape: tuple[int, ...]) -> None:
    record = only(lambda: ops.conv2d(words("<6,2>", *shape), words("<6,2>", 3, shape[1], 3, 2)))
    assert (record.macs, record.pad_macs, record.zero_macs, record.nz_macs) == (0, 0, 0, 0)


def test_events_of_a_quantization() -> None:
    x = torch.tensor([0.0, -0.0, 0.25, 0.2, 0.1, -0.1, 1.75, 1.9, 5.0, -2.0, -2.2, float("inf")])
    record = only(lambda: ops.quantize(x, "<4,2>"))
    exact = [Fraction(value) * 4 for value in x[:-1].tolist()]
    assert (record.pass_, record.op, record.a, record.m) == (Pass.QUANTIZE, "quantize", "fp32", 12)
    assert record.inexact == sum(value.denominator > 1 for value in exact)
    assert record.round_to_zero == sum(value != 0 and round(value) == 0 for value in exact)
    assert record.output_overflows == sum(not -8 <= round(value) <= 7 for value in exact) + 1
    assert (record.random_draws, record.elements_read, record.elements_written) == (0, 12, 12)


def test_every_value_that_passes_a_stochastic_rounding_is_a_draw() -> None:
    x = torch.tensor([0.0, 0.25, 0.3, 100.0])
    assert only(lambda: ops.quantize(x, "<4,2>,stochastic", key=Key(1))).random_draws == 4
    a, b = words("<6,2>", 2, 7), words("<4,4>", 7, 3)
    accumulator = Accumulator("<12,5>", "stochastic", product="<9,5>,stochastic", lanes=2)
    record = only(lambda: ops.matmul(a, b, accumulator=accumulator, out="<6,2>,stochastic", key=Key(1)))
    assert record.random_draws == 6 * (7 + 4 + 1)  # products, steps of two, the output


ACCUMULATORS = [
    Accumulator(),
    Accumulator("<7,4>", "floor", "saturate"),
    Accumulator("<7,4>", "nearest_even", "wrap", lanes=3),
    Accumulator("<7,4>", at="end", overflow="saturate_symmetric"),
    Accumulator("<8,5>", product="<6,5>", chunk=4, outer=Accumulator("<7,4>", "stochastic", lanes=2)),
    Accumulator("<8,5>", "zero", "saturate_zero", bias="preload"),
]
EVENTS = (
    "product_overflows",
    "step_overflows",
    "outer_overflows",
    "preload_overflows",
    "output_overflows",
    "inexact",
    "round_to_zero",
    "random_draws",
    "macs",
    "pad_macs",
    "zero_a_macs",
    "zero_b_macs",
    "zero_macs",
    "nz_macs",
    "nnz_a",
    "nnz_b",
)


@pytest.mark.parametrize("accumulator", ACCUMULATORS, ids=str)
@pytest.mark.parametrize("out", [None, "<5,2>", "<4,1>,stochastic"])
def test_events_equal_the_references(accumulator: Accumulator, out: str | None) -> None:
    x, w, bias = words("<6,2>", 2, 3, 4, 4), words("<4,4>", 2, 3, 3, 3), words("<9,5>", 2)
    key = Key(5, 6)
    record = only(lambda: ops.conv2d(x, w, bias, padding=1, accumulator=accumulator, out=out, key=key))
    counts = reference.conv2d(
        x.raw.numpy(),
        x.format,
        w.raw.numpy(),
        w.format,
        bias=bias.raw.numpy(),
        bias_format=bias.format,
        padding=1,
        accumulator=accumulator,
        out=out,
        key=key,
    )[2]
    assert {name: getattr(record, name) for name in EVENTS} == {name: getattr(counts, name) for name in EVENTS}
