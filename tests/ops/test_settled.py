"""What is kept of a call serves calls that are alike and no others: whatever differs is part of the key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import fxsim as fx
from fxsim import ops
from fxsim.ops import _products, executions
from fxsim.ops._geometry import strides_of
from fxsim.ops._operands import core_view
from fxsim.ops.executions import Execution

KINDS = ("_linear", "_linear_wgrad", "_matmul", "_conv2d", "_conv2d_dgrad", "_conv2d_wgrad")


def forget() -> None:
    for kind in KINDS:
        getattr(_products, kind).cache_clear()


def words(seed: int, *shape: int, form: str = "<8,4>", last: bool = False) -> fx.FixedTensor:
    parsed = fx.Format.parse(form)
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randint(parsed.raw_min, parsed.raw_max + 1, shape, generator=generator).to(parsed.dtype)
    return fx.FixedTensor(raw.contiguous(memory_format=torch.channels_last) if last else raw, parsed)


X, W, G = words(1, 2, 4, 6, 6), words(2, 6, 4, 3, 3), words(3, 2, 6, 4, 4)
A, B = words(4, 5, 7), words(5, 7, 3)
LANES = fx.Accumulator("<32,8>", overflow="saturate", k_order="cin_kh_kw")
NARROW = fx.Accumulator("<12,8>", overflow="saturate")

CONVOLUTIONS: dict[str, Callable[[], fx.FixedTensor]] = {
    "as it is": lambda: fx.conv2d(X, W),
    "batch": lambda: fx.conv2d(words(1, 3, 4, 6, 6), W),
    "size": lambda: fx.conv2d(words(1, 2, 4, 5, 6), W),
    "memory of x": lambda: fx.conv2d(words(1, 2, 4, 6, 6, last=True), W),
    "memory of w": lambda: fx.conv2d(X, words(2, 6, 4, 3, 3, last=True)),
    "part of x": lambda: fx.conv2d(fx.FixedTensor(words(1, 2, 4, 9, 9).raw[..., :6, :6], "<8,4>"), W),
    "kernel": lambda: fx.conv2d(X, words(2, 6, 4, 3, 2)),
    "channels": lambda: fx.conv2d(X, words(2, 8, 4, 3, 3)),
    "groups": lambda: fx.conv2d(X, words(2, 6, 2, 3, 3), groups=2),
    "groups, bias": lambda: fx.conv2d(X, words(2, 6, 2, 3, 3), words(6, 6), groups=2),
    "stride": lambda: fx.conv2d(X, W, stride=2),
    "padding": lambda: fx.conv2d(X, W, padding=(1, 0)),
    "dilation": lambda: fx.conv2d(X, W, dilation=2),
    "format of x": lambda: fx.conv2d(words(1, 2, 4, 6, 6, form="<6,4>"), W),
    "format of w": lambda: fx.conv2d(X, words(2, 6, 4, 3, 3, form="u<8,4>")),
    "order": lambda: fx.conv2d(X, W, accumulator=LANES),
    "accumulator": lambda: fx.conv2d(X, W, accumulator=NARROW),
    "out": lambda: fx.conv2d(X, W, out="<8,2>"),
    "bias": lambda: fx.conv2d(X, W, words(6, 6)),
    "dgrad": lambda: ops.conv2d_dgrad(G, W, (6, 6)),
    "dgrad of another size": lambda: ops.conv2d_dgrad(words(3, 2, 6, 3, 3), W, (6, 6), stride=2, padding=1),
    "dgrad, format of g": lambda: ops.conv2d_dgrad(words(3, 2, 6, 4, 4, form="<16,4>"), W, (6, 6)),
    "dgrad, groups": lambda: ops.conv2d_dgrad(G, words(2, 6, 2, 3, 3), (6, 6), groups=2),
    "wgrad": lambda: ops.conv2d_wgrad(G, X, 3),
    "wgrad, memory of g": lambda: ops.conv2d_wgrad(words(3, 2, 6, 4, 4, last=True), X, 3),
    "wgrad, groups": lambda: ops.conv2d_wgrad(G, X, 3, groups=2),
    "wgrad, out": lambda: ops.conv2d_wgrad(G, X, 3, out="<8,2>"),
}
MATRICES: dict[str, Callable[[], fx.FixedTensor]] = {
    "as it is": lambda: fx.matmul(A, B),
    "rows": lambda: fx.matmul(words(4, 6, 7), B),
    "columns": lambda: fx.matmul(A, words(5, 7, 4)),
    "transposed": lambda: fx.matmul(A, words(5, 3, 7).permute(1, 0)),
    "batch": lambda: fx.matmul(words(4, 2, 5, 7), words(5, 2, 7, 3)),
    "broadcast": lambda: fx.matmul(words(4, 2, 5, 7), words(5, 1, 7, 3)),
    "format": lambda: fx.matmul(words(4, 5, 7, form="<16,4>"), B),
    "out": lambda: fx.matmul(A, B, out="<8,2>"),
    "bias": lambda: fx.matmul(A, B, bias=words(6, 3)),
    "linear": lambda: fx.linear(A, words(5, 3, 7)),
    "linear, memory": lambda: fx.linear(A, words(5, 7, 3).permute(1, 0)),
    "linear, square": lambda: fx.linear(A, words(5, 7, 7)),
    "dgrad, square": lambda: ops.linear_dgrad(A, words(5, 7, 7)),
    "linear, bias": lambda: fx.linear(A, words(5, 3, 7), words(6, 3)),
    "wgrad": lambda: ops.linear_wgrad(A, words(5, 5, 3)),
    "wgrad, format": lambda: ops.linear_wgrad(A, words(5, 5, 3, form="<4,4>")),
}


@pytest.mark.parametrize("calls", [CONVOLUTIONS, MATRICES], ids=["convolutions", "matrices"])
def test_kept_calls_give_what_calls_settled_anew_give(calls: dict[str, Callable[[], fx.FixedTensor]]) -> None:
    anew = {}
    for name, call in calls.items():
        forget()
        anew[name] = call()
    forget()
    for _ in range(2):
        assert {name: call() for name, call in calls.items()} == anew


@pytest.mark.parametrize("call", [*CONVOLUTIONS.values(), *MATRICES.values()], ids=[*CONVOLUTIONS, *MATRICES])
def test_the_core_is_told_what_listeners_hear(
    call: Callable[[], fx.FixedTensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Views and steps come from tensors without memory: those of the tensors themselves are the same."""
    heard: list[Execution] = []
    settled = []

    def note(given: object, *rest: object) -> Tensor:
        settled.append(given)
        return execute(given, *rest)  # type: ignore[arg-type]

    execute = _products.execute
    monkeypatch.setattr(_products, "execute", note)
    with executions.listen(heard.append):
        call()
    products = heard[0].products
    first, last, kept = products[0], products[-1], settled[0]
    assert (core_view(*first.a[1:]), core_view(*first.b[1:])) == (kept.a, kept.b)
    assert all(each.a[1:] == first.a[1:] and each.b[1:] == first.b[1:] for each in products)
    repeat, steps = kept.repeat, len(products) - 1
    assert repeat.times == len(products)

    def apart(one: Tensor, other: Tensor) -> int:
        return (other.data_ptr() - one.data_ptr()) // one.element_size()

    assert apart(first.a.data, last.a.data) == steps * repeat.a
    assert apart(first.b.data, last.b.data) == steps * repeat.b
    assert apart(first.out, last.out) == steps * repeat.out
    assert last.base - first.base == steps * repeat.base
    assert first.bias is None or last.bias is None or apart(first.bias, last.bias) == steps * repeat.bias


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (2, 1, 3, 1), (0, 3, 4, 5), (2, 3, 0, 5), (2, 3, 4)])
def test_strides_are_those_of_torch(shape: tuple[int, ...]) -> None:
    assert strides_of(shape, False) == torch.empty(shape).stride()
    last = torch.empty((shape[0], *shape[2:], shape[1])).movedim(-1, 1)
    assert strides_of(shape, True) == last.stride()
