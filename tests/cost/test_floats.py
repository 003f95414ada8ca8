"""Torch's own float products, against plain loops."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fxsim.cost.counting import count
from fxsim.ops.records import OpRecord, Pass

Triples = Callable[..., list[tuple[float, float, float]]]


def sparse(*shape: int) -> Tensor:
    """Floats of which about half are 0."""
    return torch.randn(shape) * torch.randint(0, 2, shape)


def assert_counts(record: OpRecord, pairs: list[tuple[float, float]], macs: int) -> None:
    assert record.macs == macs == record.m * record.n * record.k * record.groups
    assert record.pad_macs == macs - len(pairs)
    assert record.zero_a_macs == sum(a == 0 for a, _ in pairs)
    assert record.zero_b_macs == sum(b == 0 for _, b in pairs)
    assert record.zero_macs == sum(a == 0 or b == 0 for a, b in pairs)
    assert record.nz_macs == sum(a != 0 and b != 0 for a, b in pairs)
    assert (record.a, record.b) == ("fp32", "fp32")


CASES = [(1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), (2, 1, 1, 2), (3, 2, 2, 2)]


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), CASES)
def test_convolution_and_its_gradients(triples: Triples, stride: int, padding: int, dilation: int, groups: int) -> None:
    torch.manual_seed(0)
    x, w = sparse(2, 4, 6, 5).requires_grad_(), sparse(6, 4 // groups, 3, 2).requires_grad_()
    with count(keep_order=True, float_zeros=True) as counts:
        y = F.conv2d(x, w, None, stride, padding, dilation, groups)
        grad = sparse(*y.shape)
        y.backward(grad)
    forward, dgrad, wgrad = counts.ordered
    counts.check()
    assert [record.pass_ for record in counts.ordered] == [Pass.FWD, Pass.DGRAD, Pass.WGRAD]
    met = triples(x, w, grad, stride, padding, dilation, groups)
    assert_counts(forward, [(a, b) for a, b, _ in met], y.numel() * w[0].numel())
    assert_counts(dgrad, [(g, b) for _, b, g in met], x.numel() * w[:, 0].numel() // groups)
    assert_counts(wgrad, [(g, a) for a, _, g in met], w.numel() * y[:, 0].numel())
    assert [(r.kernel_h, r.kernel_w, r.c_in) for r in (forward, dgrad, wgrad)] == [
        (3, 2, 4 // groups),
        (3, 2, 6 // groups),
        (1, 1, wgrad.k),
    ]
    elements = [(r.a_elements, r.b_elements, r.elements_written) for r in (forward, dgrad, wgrad)]
    assert elements == [tuple(t.numel() for t in each) for each in ((x, w, y), (y, w, x), (y, x, w))]
    assert forward.nnz_a == int((x != 0).sum())
    assert forward.nnz_b == int((w != 0).sum())
    assert (forward.elements_read, forward.elements_written) == (x.numel() + w.numel(), y.numel())


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), [case for case in CASES if case[0] < 3])
def test_transposed_convolution_is_the_other_way_round(
    triples: Triples, stride: int, padding: int, dilation: int, groups: int
) -> None:
    torch.manual_seed(1)
    x, w = sparse(2, 4, 3, 4).requires_grad_(), sparse(4, 3, 3, 2).requires_grad_()
    with count(keep_order=True, float_zeros=True) as counts:
        y = F.conv_transpose2d(x, w, None, stride, padding, 0, groups, dilation)
        grad = sparse(*y.shape)
        y.backward(grad)
    forward, dgrad, wgrad = counts.ordered
    counts.check()
    met = triples(grad, w, x, stride, padding, dilation, groups)
    assert_counts(forward, [(a, b) for _, b, a in met], y.numel() * w[:, 0].numel() // groups)
    assert_counts(dgrad, [(g, b) for g, b, _ in met], x.numel() * w[0].numel())
    assert_counts(wgrad, [(a, g) for g, _, a in met], w.numel() * x[:, 0].numel())


def matrix_pairs(a: Tensor, b: Tensor) -> list[tuple[float, float]]:
    return [
        (float(a[m, k]), float(b[k, n]))
        for m, n, k in itertools.product(range(a.shape[0]), range(b.shape[1]), range(a.shape[1]))
    ]


def test_matrix_products() -> None:
    torch.manual_seed(2)
    a, b, bias = sparse(3, 5), sparse(5, 4), torch.randn(4)
    with count(keep_order=True, float_zeros=True) as counts:
        _ = a @ b
        torch.addmm(bias, a, b)
        F.linear(a, b.t(), bias)
        _ = a @ b[:, 0]
        torch.dot(a[0], b[:, 0])
    for record, n, m in zip(counts.ordered, (4, 4, 4, 1, 1), (3, 3, 3, 3, 1), strict=True):
        assert_counts(record, matrix_pairs(a[:m], b[:, :n]), m * n * 5)
        assert record.pass_ is Pass.FWD


def test_batched_products_are_groups() -> None:
    torch.manual_seed(3)
    a, b = sparse(2, 3, 5), sparse(2, 5, 4)
    with count(float_zeros=True) as counts:
        torch.bmm(a, b)
    [record] = counts.records
    assert (record.m, record.n, record.k, record.groups) == (3, 4, 5, 2)
    assert_counts(record, matrix_pairs(a[0], b[0]) + matrix_pairs(a[1], b[1]), 120)


def test_a_matrix_product_in_a_backward_pass_is_named_other() -> None:
    layer = torch.nn.Linear(5, 4)
    with count() as counts:
        layer(torch.randn(3, 5, requires_grad=True)).sum().backward()
    assert [(total.calls, total.macs) for total in counts.by("pass_").values()] == [(1, 60), (2, 120)]
    assert set(counts.by("pass_")) == {"fwd", "other"}


def test_nested_blocks_do_not_count_twice() -> None:
    with count() as outer, count() as inner:
        _ = torch.ones(2, 3) @ torch.ones(3, 2)
    assert outer.total.macs == inner.total.macs == 12


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_composite_ops_are_seen_without_gradients_too(mode: type) -> None:
    with mode(), count() as counts:
        F.linear(torch.ones(2, 3), torch.ones(4, 3))
        F.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3))
    assert [record.macs for record in counts.records] == [24, 36]


def test_empty_batches_count_nothing() -> None:
    with count() as counts:
        F.conv2d(torch.ones(0, 4, 4, 4), torch.ones(2, 2, 3, 3), groups=2)
        _ = torch.ones(0, 3) @ torch.ones(3, 2)
    assert [record.macs for record in counts.records] == [0, 0]
    counts.check()


def test_other_float_arithmetic_is_listed_and_data_movement_is_not() -> None:
    x = torch.randn(2, 6)
    with count() as counts:
        F.relu(x)
        F.relu(x)
        x.reshape(3, 4).t().contiguous().clone()
        torch.cat([x, torch.zeros(2, 6)])
        torch._foreach_mul_([x, x.clone()], 2.0)
        torch.arange(5) + 1
    assert [(each.op, each.calls, each.elements_written) for each in counts.uncounted] == [
        ("aten.relu", 2, 24),
        ("aten._foreach_mul_", 1, 24),
    ]
    assert counts.records == ()


def test_floats_need_not_be_watched() -> None:
    with count(floats=False) as counts:
        F.relu(torch.ones(2, 3) @ torch.ones(3, 2))
    assert counts.records == ()
    assert counts.uncounted == ()


def test_zeros_are_looked_for_on_request_only() -> None:
    x, w = torch.zeros(2, 3, 5, 5), torch.zeros(4, 3, 3, 3)
    with count() as counts, count(float_zeros=True) as exact:
        F.conv2d(x, w, padding=1)
    [record] = counts.records
    [looked] = exact.records
    assert (record.zero_macs, record.nz_macs, record.nnz_a) == (0, looked.zero_macs, 0)
    assert (looked.zero_macs, looked.nz_macs, looked.nnz_a) == (record.nz_macs, 0, 0)
    assert record.pad_macs == looked.pad_macs > 0


def test_integer_products_of_torch_are_no_float_records() -> None:
    with count() as counts:
        _ = torch.ones(2, 3, dtype=torch.int64) @ torch.ones(3, 2, dtype=torch.int64)
    assert counts.records == ()
    assert counts.uncounted == ()
