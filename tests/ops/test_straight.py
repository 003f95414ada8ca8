"""Calls that spare the dispatcher are those that nobody could see, and give what the others give."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import fxsim as fx
from fxsim import ops
from fxsim.ops import executed, straight

CHANCE = fx.Numerics("<6,4>,stochastic", "<6,4>,stochastic", "<8,4>,stochastic", grad_output="<8,6>,stochastic")


class Watch(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


class Kind(Tensor):
    """A tensor of somebody's own kind."""


class Onlooker(ops.Onlooker):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(str(func.overloadpacket))
        return func(*args, **(kwargs or {}))


@contextmanager
def together(*modes: TorchDispatchMode) -> Iterator[None]:
    with ExitStack() as stack:
        for mode in modes:
            stack.enter_context(mode)
        yield


@contextmanager
def profiled() -> Iterator[None]:
    with torch.autograd.profiler.profile():
        yield


MODES: dict[str, tuple[Callable[[], AbstractContextManager[object]], bool, bool]] = {
    "nothing": (nullcontext, True, True),
    "no_grad": (torch.no_grad, True, True),
    "inference_mode": (torch.inference_mode, True, True),
    "autocast": (lambda: torch.autocast("cpu"), True, True),
    "a dispatch mode": (Watch, False, True),
    "an onlooker": (Onlooker, True, True),
    "onlookers": (lambda: together(Onlooker(), Onlooker()), True, True),
    "a mode and an onlooker": (lambda: together(Watch(), Onlooker()), False, True),
    "an onlooker and a mode": (lambda: together(Onlooker(), Watch()), False, True),
    "a function mode": (TorchFunctionMode, False, True),
    "a profiler": (profiled, False, True),
    "below autograd": (torch._C._AutoDispatchBelowAutograd, False, True),
}


@pytest.mark.parametrize(("mode", "goes_straight", "is_executed"), MODES.values(), ids=MODES)
def test_who_stands_between(
    mode: Callable[[], AbstractContextManager[object]], goes_straight: bool, is_executed: bool
) -> None:
    x = torch.ones(2)
    with mode():
        assert (straight(x), executed(x)) == (goes_straight, is_executed)
    assert (straight(x), executed(x)) == (True, True)


@pytest.mark.parametrize(
    "x",
    [
        torch.ones(2, device="meta"),
        torch.ones(2).to_sparse(),
        torch.ones(2).as_subclass(Kind),
        torch.view_as_complex(torch.ones(2, 2)).conj().imag,
    ],
    ids=["meta", "sparse", "subclass", "negative view"],
)
def test_tensors_of_another_kind(x: Tensor) -> None:
    assert not straight(x)


def traced(look: Callable[[Tensor], Tensor], x: Tensor) -> None:
    torch.jit.trace(look, x, check_trace=False)


def recorded(look: Callable[[Tensor], Tensor], x: Tensor) -> None:
    torch.fx.experimental.proxy_tensor.make_fx(look)(x)


@pytest.mark.parametrize(
    "transform",
    [
        traced,
        recorded,
        lambda look, x: torch.vmap(look)(x),
        lambda look, x: torch.func.grad(lambda z: look(z).sum())(x),
        lambda look, x: torch.func.jvp(look, (x,), (x,)),
    ],
    ids=["trace", "make_fx", "vmap", "grad", "jvp"],
)
def test_what_is_recorded_or_transformed(transform: Callable[[Callable[[Tensor], Tensor], Tensor], object]) -> None:
    found = []

    def look(x: Tensor) -> Tensor:
        found.append((straight(x), executed(x)))
        return x * 1

    transform(look, torch.ones(2))
    assert set(found) == {(False, False)}


def layers() -> list[tuple[nn.Module, Tensor]]:
    torch.manual_seed(0)
    return [
        (fx.nn.Linear(6, 4, numerics=CHANCE), torch.randn(5, 6)),
        (fx.nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, numerics=CHANCE), torch.randn(3, 4, 7, 7)),
    ]


def steps(layer: nn.Module, x: Tensor, forward: bool, backward: bool) -> list[Tensor]:
    """Two steps, the forwards and the backwards watched or not."""
    found = []
    for _ in range(2):
        data = x.clone().requires_grad_()
        with ExitStack() as stack:
            if forward:
                stack.enter_context(Watch())
            y = layer(data)
        with ExitStack() as stack:
            if backward:
                stack.enter_context(Watch())
            found += [y, *torch.autograd.grad(y.square().sum(), [data, layer.weight, layer.bias])]
    return [*found, layer.calls]


@pytest.mark.parametrize("number", range(2))
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("forward", [False, True])
def test_watched_or_not_the_bits_are_the_same(number: int, forward: bool, backward: bool) -> None:
    layer, x = layers()[number]
    expected = steps(copy.deepcopy(layer), x, False, False)
    assert not torch.equal(expected[0], expected[4])  # each call draws anew
    assert all(map(torch.equal, steps(layer, x, forward, backward), expected))


@pytest.mark.parametrize("number", range(2))
def test_an_onlooker_sees_nothing_of_what_goes_past_it(number: int) -> None:
    """Neither an op nor what the op computes inside, forward or backward; torch's own ops it sees."""
    layer, x = layers()[number]
    data = x.clone().requires_grad_()
    alone, past = copy.deepcopy(layer), Onlooker()
    expected = torch.autograd.grad(alone(data).sum(), [data, alone.weight, alone.bias])
    layer(data)
    layer.calls.fill_(0)
    with past:
        found = torch.autograd.grad(layer(data).sum(), [data, layer.weight, layer.bias])
    assert all(map(torch.equal, found, expected))
    assert set(past.seen) <= {"aten.sum", "aten.ones_like", "aten.expand", "aten.detach"}
    assert "aten.sum" in past.seen


@pytest.mark.parametrize("number", range(2))
def test_a_watch_sees_no_counting(number: int) -> None:
    layer, x = layers()[number]
    layer(x)
    for _ in range(2):
        with torch.no_grad():
            layer.weight.mul_(0.5)
        with Watch() as watch:
            layer(x)
        name = type(layer).__name__.lower()
        assert [each for each in watch.seen if each != "detach"] == ["quantize_raw", "quantize_raw", name]
    assert (layer.calls.item(), layer.step) == (3, 2)


def test_a_profiler_sees_the_ops() -> None:
    layer, x = layers()[0]
    with torch.autograd.profiler.profile() as profile:
        layer(x).sum().backward()
    names = {event.key for event in profile.key_averages()}
    assert {"fxsim::linear", "fxsim::linear_backward"} <= names


def test_compiled_autograd_draws_anew_every_call() -> None:
    """The graph of a backward pass is compiled once, and the number of the call is none of its constants."""
    layer, x = layers()[0]
    expected = steps(copy.deepcopy(layer), x, False, False)
    compiler = torch.compile(backend="eager", fullgraph=True)
    with warnings.catch_warnings(), torch._dynamo.compiled_autograd._enable(compiler):
        warnings.simplefilter("ignore")  # of torch's compiler about itself
        assert all(map(torch.equal, steps(layer, x, False, False), expected))
    torch._dynamo.reset()
