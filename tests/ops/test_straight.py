"""Calls that spare the dispatcher are those that nobody could see, and give what the others give."""

from __future__ import annotations

import copy
import dataclasses
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
from fxsim.ops._straight import watched

CHANCE = fx.Numerics("<6,4>,stochastic", "<6,4>,stochastic", "<8,4>,stochastic", grad_output="<8,6>,stochastic")

NORM = fx.Numerics(
    "<6,4>,stochastic",
    "<6,4>,stochastic",
    "<8,4>,stochastic",
    grad_output="<8,6>,stochastic",
    grad_weight="<8,4>,stochastic",
    grad_input="<8,6>,stochastic",
)


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


class Twice(nn.Module):
    """Fork and Add in one."""

    def __init__(self) -> None:
        super().__init__()
        self.fork = fx.nn.Fork(numerics=CHANCE)
        self.add = fx.nn.Add(numerics=CHANCE)

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.fork(x)
        return self.add(one * 0.5, other)  # type: ignore[no-any-return]


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: fx.nn.Linear(7, 4, numerics=CHANCE),
    "conv2d": lambda: fx.nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, numerics=CHANCE),
    "avg_pool2d": lambda: fx.nn.AvgPool2d(2, numerics=CHANCE),
    "clip": lambda: fx.nn.Clip(-0.5, 1.0, numerics=CHANCE),
    "fork, add": Twice,
    "range_norm": lambda: fx.nn.RangeBatchNorm2d(4, numerics=NORM),
    "quantize_layer": lambda: fx.nn.Quantized(nn.Tanh(), CHANCE),
    "batch_norm_relu": lambda: fx.nn.BatchNormReLU2d(4),
}


def case(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return LAYERS[name](), torch.randn(20, 4, 8, 7).contiguous(memory_format=torch.channels_last)


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
            found += [y, *torch.autograd.grad(y.square().sum(), [data, *layer.parameters()])]
    return [*found, *layer.buffers()]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("forward", [False, True])
def test_watched_or_not_the_bits_are_the_same(name: str, forward: bool, backward: bool) -> None:
    layer, x = case(name)
    twin = copy.deepcopy(layer)
    expected = steps(twin, x, False, False)
    if name != "batch_norm_relu":
        middle = (len(expected) - len(list(layer.buffers()))) // 2
        assert not torch.equal(expected[0], expected[middle])  # each call draws anew
    found = steps(layer, x, forward, backward)
    watches = [i for i, (key, _) in enumerate(layer.named_buffers()) if key.endswith("watch")]  # holds an address
    alike = [i for i in range(len(found)) if i - (len(found) - len(list(layer.buffers()))) not in watches]
    assert all(torch.equal(found[i], expected[i]) for i in alike)


@pytest.mark.parametrize("name", ["linear", "conv2d"])
def test_an_onlooker_sees_nothing_of_what_goes_past_it(name: str) -> None:
    """Neither an op nor what the op computes inside, forward or backward; torch's own ops it sees."""
    layer, x = case(name)
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


def test_what_is_unseen() -> None:
    """By onlookers alone: where another mode stands, all see it."""
    x = torch.ones(2)
    double = ops.unseen(lambda: x.mul(2))
    with Onlooker() as alone:
        assert double().tolist() == [2, 2]
    with Onlooker() as other, Watch() as watch:
        double()
    assert (alone.seen, other.seen, watch.seen) == ([], ["aten.mul"], ["mul"])
    assert [watched(), *map(watched_in, (Onlooker, Watch, lambda: together(Watch(), Onlooker())))] == [
        False,
        False,
        True,
        True,
    ]


def watched_in(mode: Callable[[], AbstractContextManager[object]]) -> bool:
    with mode():
        return watched()


def quantized(mode: AbstractContextManager[object]) -> list[Tensor]:
    """What a module between two quantizers gives, and the carriers of a weight, with the gradients of both."""
    numerics = dataclasses.replace(CHANCE, output=CHANCE.activation, ste="clipped")
    torch.manual_seed(0)
    x, layer = torch.randn(4, 3, requires_grad=True), fx.nn.Linear(3, 2, numerics=numerics)
    module = fx.nn.Quantized(nn.Identity(), numerics)
    with mode:
        y, w = module(x), layer.weight_carrier()
        return [y, w, *torch.autograd.grad(y.sum() + w.sum(), [x, layer.weight])]


def test_quantizers_go_past_onlookers() -> None:
    onlooker, watch = Onlooker(), Watch()
    plain, past, seen = map(quantized, (nullcontext(), onlooker, watch))
    assert all(map(torch.equal, past, plain))
    assert all(map(torch.equal, seen, plain))
    assert {"quantize_layer", "carrier"} <= set(watch.seen)
    assert "aten.sum" in onlooker.seen
    assert set(onlooker.seen) <= {"aten.sum", "aten.add", "aten.ones_like", "aten.expand", "aten.detach"}


@pytest.mark.parametrize("name", ["linear", "conv2d"])
def test_a_watch_sees_no_counting(name: str) -> None:
    layer, x = case(name)
    layer(x)
    for _ in range(2):
        with torch.no_grad():
            layer.weight.mul_(0.5)
        with Watch() as watch:
            layer(x)
        assert [each for each in watch.seen if each != "detach"] == ["quantize_raw", "quantize_raw", name]
    assert (layer.calls.item(), layer.step) == (3, 2)


def test_an_input_of_another_kind_goes_through_torch() -> None:
    """Whichever of two inputs it is."""
    layer, x = fx.nn.Add(numerics=CHANCE), torch.ones(2)
    assert [type(layer(*pair)) for pair in ((x, x), (x.as_subclass(Kind), x), (x, x.as_subclass(Kind)))] == [
        Tensor, Kind, Kind,
    ]  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
def test_a_traced_layer_gives_what_the_layer_gives(training: bool) -> None:
    layer, x = case("conv2d")
    layer.train(training)
    twin = copy.deepcopy(layer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about the tracer itself
        module = torch.jit.trace(layer, x, check_trace=False)
    twin(x)  # tracing is a forward
    for _ in range(2):
        assert torch.equal(module(x), twin(x))


def test_an_output_may_be_changed_in_place() -> None:
    layer, x = case("conv2d")
    twin = copy.deepcopy(layer)
    twin(x).relu().sum().backward()
    layer(x).relu_().sum().backward()
    assert torch.equal(layer.weight.grad, twin.weight.grad)


def test_a_profiler_sees_the_ops() -> None:
    layer, x = case("linear")
    with torch.autograd.profiler.profile() as profile:
        layer(x).sum().backward()
    names = {event.key for event in profile.key_averages()}
    assert {"fxsim::linear", "fxsim::linear_backward"} <= names


def test_compiled_autograd_draws_anew_every_call() -> None:
    """The graph of a backward pass is compiled once, and the number of the call is none of its constants."""
    layer, x = case("linear")
    expected = steps(copy.deepcopy(layer), x, False, False)
    compiler = torch.compile(backend="eager", fullgraph=True)
    with warnings.catch_warnings(), torch._dynamo.compiled_autograd._enable(compiler):
        warnings.simplefilter("ignore")  # of torch's compiler about itself
        assert all(map(torch.equal, steps(layer, x, False, False)[:-3], expected[:-3]))
    torch._dynamo.reset()


@pytest.mark.parametrize("contiguous", [True, False])
def test_a_gradient_that_lies_as_its_weight_is_not_copied_in_sight(contiguous: bool) -> None:
    layer = fx.nn.Conv2d(3, 4, 3, numerics=fx.Numerics("<8,4>", "<8,4>", grad_output="<8,6>"))
    if not contiguous:
        layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    x = torch.arange(300.0).reshape(1, 3, 10, 10) / 64
    gradients = []
    for sight in (None, Onlooker()):
        layer.weight.grad = None
        with sight or nullcontext():
            layer(x).sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.stride() == layer.weight.stride()
        gradients.append(layer.weight.grad)
    assert torch.equal(*gradients)
    assert sight is not None
    assert "aten.detach" in sight.seen  # what autograd takes of each gradient
    assert not {"aten.copy_", "aten.clone", "aten.contiguous", "aten.new_empty_strided"} & set(sight.seen)
