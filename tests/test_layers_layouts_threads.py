"""A layer's forward and integer gradients: the same bits for every layout, number of threads and split of the batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

import fxsim as fx

NUMERICS = fx.Numerics(
    weight="<6,4>,stochastic",
    activation="<6,3>,stochastic",
    output="<9,5>,stochastic",
    accumulator=fx.Accumulator("<12,8>", "stochastic"),
    grad_output="<7,5>,stochastic",
    grad_input="<8,5>,stochastic",
    accumulator_dgrad=fx.Accumulator("<11,7>", "floor"),
)
ROUNDED = fx.Numerics(
    weight="<6,4>", activation="<6,3>", grad_output="<7,5>,stochastic", grad_weight="<8,4>,stochastic"
)


class Step(NamedTuple):
    """What one forward and backward pass gives."""

    y: Tensor
    grad_x: Tensor
    grad_weight: Tensor
    grad_bias: Tensor


def equal(one: Step, other: Step) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def convolution(numerics: fx.Numerics) -> fx.nn.Conv2d:
    torch.manual_seed(1)
    return fx.nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2, numerics=numerics, layer_id=3, seed=9)


def linear(numerics: fx.Numerics) -> fx.nn.Linear:
    torch.manual_seed(1)
    return fx.nn.Linear(7, 5, numerics=numerics, layer_id=3, seed=9)


LAYERS = [pytest.param(convolution, (5, 4, 7, 6), id="Conv2d"), pytest.param(linear, (5, 3, 7), id="Linear")]
Make = Callable[[fx.Numerics], torch.nn.Module]


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def step(layer: torch.nn.Module, x: Tensor, layout: Callable[[Tensor], Tensor], first: int = 0, batch: int = 5) -> Step:
    """One pass of a copy of the layer over x, the samples of a batch from `first` on."""
    layer = copy.deepcopy(layer)
    x = layout(x).detach().requires_grad_()
    with fx.shard(first):
        y = layer(x)
    grad = random(batch, *y.shape[1:], seed=2)[first : first + len(x)]
    y.backward(layout(grad))
    grads = [x.grad, layer.weight.grad, layer.bias.grad]
    assert all(grad is not None for grad in grads)
    return Step(y.detach(), *(grad for grad in grads if grad is not None))


def plain(x: Tensor) -> Tensor:
    return x


def transposed(x: Tensor) -> Tensor:
    reverse = tuple(reversed(range(x.dim())))
    return x.permute(reverse).contiguous().permute(reverse)


def sliced(x: Tensor) -> Tensor:
    room = torch.full([2 * size + 3 for size in x.shape], torch.nan)
    return room[tuple(slice(3, 3 + 2 * size, 2) for size in x.shape)].copy_(x)


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else transposed(x)


@pytest.mark.parametrize("numerics", [NUMERICS, ROUNDED], ids=["stepwise", "exact"])
@pytest.mark.parametrize("layout", [transposed, sliced, channels_last])
@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_layers_do_not_see_the_layout(
    make: Make, shape: tuple[int, ...], layout: Callable[[Tensor], Tensor], numerics: fx.Numerics
) -> None:
    layer, x = make(numerics), random(*shape, seed=0)
    expected = step(layer, x, plain)
    assert equal(step(layer, x, layout), expected)
    layer.weight.data = layout(layer.weight.data)
    assert equal(step(layer, x, plain), expected)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("numerics", [NUMERICS, ROUNDED], ids=["stepwise", "exact"])
@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_layers_do_not_see_the_threads(
    make: Make, shape: tuple[int, ...], numerics: fx.Numerics, threads: Callable[[int], None]
) -> None:
    layer, x = make(numerics), random(40, *shape[1:], seed=0)
    results = []
    for count in (1, 2, 4):
        threads(count)
        results.append(step(layer, x, plain, batch=40))
    assert equal(results[0], results[1])
    assert equal(results[0], results[2])


@pytest.mark.parametrize("split", [[5], [1, 4], [2, 2, 1], [1] * 5], ids=str)
@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_shards_make_up_the_whole_batch(make: Make, shape: tuple[int, ...], split: list[int]) -> None:
    layer, x = make(NUMERICS), random(*shape, seed=0)
    whole = step(layer, x, plain)
    starts = [sum(split[:i]) for i in range(len(split))]
    parts = [step(layer, part, plain, first) for part, first in zip(x.split(split), starts, strict=True)]
    assert torch.equal(torch.cat([part.y for part in parts]), whole.y)
    assert torch.equal(torch.cat([part.grad_x for part in parts]), whole.grad_x)
    # accumulated exactly and returned whole, so float32 adds them without rounding
    assert torch.equal(sum(part.grad_weight for part in parts), whole.grad_weight)
    assert torch.equal(sum(part.grad_bias for part in parts), whole.grad_bias)


def test_shards_without_their_place_are_seen() -> None:
    layer, x = convolution(NUMERICS), random(5, 4, 7, 6, seed=0)
    whole = step(layer, x, plain)
    assert torch.equal(step(layer, x[:2], plain).y, whole.y[:2])
    assert not torch.equal(step(layer, x[2:], plain).y, whole.y[2:])


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_double_input_gives_the_same_words(make: Make, shape: tuple[int, ...]) -> None:
    layer, x = make(NUMERICS), random(*shape, seed=0)
    expected = copy.deepcopy(layer)(x)
    assert torch.equal(copy.deepcopy(layer).double()(x.double()), expected.double())
