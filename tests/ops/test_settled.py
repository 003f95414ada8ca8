"""What is kept of a call serves calls that are alike and no others: whatever differs is part of the key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import fxsim as fx
from fxsim import ops
from fxsim.ops import _conv2d_plan, _products, executions
from fxsim.ops._geometry import strides_of
from fxsim.ops._operands import core_view
from fxsim.ops.executions import Execution

KINDS = ("linear", "linear_wgrad", "matmul", "conv2d", "conv2d_dgrad", "conv2d_wgrad")


def forget() -> None:
    for kind in KINDS:
        getattr(_products, f"settle_{kind}").cache_clear()


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
    assert (core_view(*first.a[1:]), core_view(*first.b[1:])) == kept.cores[1:]
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


NUMERICS = fx.Numerics("<8,6>", "<8,4>", "<16,6>", grad_output="<8,6>", grad_weight="<16,6>", grad_input="<16,6>")
OTHER = fx.Numerics("<8,6>", "<8,4>", "<12,4>", grad_output="<8,6>", grad_weight="<12,4>", grad_input="<12,4>")


def layer_case(**change: Any) -> tuple[Tensor, ...]:
    """Output and gradients of the ops of a layer, whose arguments are those of a common case but for `change`."""
    given: dict[str, Any] = {
        "x": (2, 4, 6, 6), "dtype": torch.float32, "w": (6, 4, 3, 3), "w_last": True, "bias": False, "stride": [1, 1],
        "padding": [1, 1], "dilation": [1, 1], "groups": 1, "numerics": NUMERICS, "layer": "", "x_last": True,
        "needs": [True, True, False],
    } | change  # fmt: skip
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(given["x"], generator=generator).to(given["dtype"])
    w = words(2, *given["w"], form="<8,6>", last=given["w_last"]).raw
    bias = words(3, given["w"][0], form="<8,6>").raw if given["bias"] else None
    outside, call = w > 100, torch.tensor(3)
    window = (given["stride"], given["padding"], given["dilation"], given["groups"])
    settings = (given["numerics"].to_text(), 5, 2)
    y, x_raw, clipped = torch.ops.fxsim.conv2d(
        x, w.to(x.dtype), None, w, outside, bias, None, *window, *settings, call, False, 0, given["layer"], True,
    )  # fmt: skip
    grad = torch.randn(y.shape, generator=generator).to(y.dtype)
    if not given["x_last"]:
        x_raw = x_raw.contiguous()
    gradients = torch.ops.fxsim.conv2d_backward(
        grad, x_raw, clipped, w, outside, None, given["needs"], *window, *settings, call, 0, given["layer"]
    )
    return (y, x_raw, *gradients)


LAYERS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "batch": {"x": (3, 4, 6, 6)},
    "size": {"x": (2, 4, 6, 5)},
    "dtype": {"dtype": torch.float64},
    "weight": {"w": (8, 4, 3, 3)},
    "memory of the weight": {"w_last": False},
    "memory of x": {"x_last": False},
    "bias": {"bias": True, "needs": [True, True, True]},
    "stride": {"stride": [2, 1]},
    "padding": {"padding": [1, 0]},
    "dilation": {"dilation": [1, 2]},
    "groups": {"w": (6, 2, 3, 3), "groups": 2},
    "numerics": {"numerics": OTHER},
    "name": {"layer": "conv1"},
    "x needs none": {"needs": [False, True, False]},
    "the weight needs none": {"needs": [True, False, False]},
}


def test_kept_calls_of_layers_give_what_calls_settled_anew_give() -> None:
    anew = {}
    for name, change in LAYERS.items():
        forget()
        _conv2d_plan.forward_call.cache_clear()
        _conv2d_plan.backward_call.cache_clear()
        anew[name] = layer_case(**change)
    for _ in range(2):
        for name, change in LAYERS.items():
            found = layer_case(**change)
            assert [each.stride() for each in found] == [each.stride() for each in anew[name]], name
            assert all(map(torch.equal, found, anew[name])), name


def test_a_refusal_is_not_kept() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="has no place in an image"):
            layer_case(x=(2, 4, 1, 1), padding=[0, 0])
        with pytest.raises(TypeError, match="float32 does not carry the output format <30,4> exactly"):
            layer_case(numerics=fx.Numerics("<8,6>", "<8,4>", "<30,4>"))
