"""The hand-written Functions compute what the modules compute."""

from __future__ import annotations

import copy

import pytest
import torch

import fxsim as fx
from fxsim.autograd import Conv2dFunction, LinearFunction, Place

CHANCE = fx.Numerics("<6,3>,stochastic", "<6,3>,stochastic", "<9,4>,stochastic", grad_output="<8,5>,stochastic")
FLOAT = fx.Numerics("<6,3>", "<6,3>", "<9,4>", grad_weight="<9,4>")
PLACE = Place(seed=2**64 - 7, layer_id=2, call=5, step=3, first_sample=1, layer="here")


@pytest.mark.parametrize("numerics", [CHANCE, FLOAT], ids=["integer, chance", "float"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("kind", ["linear", "conv2d"])
def test_functions_are_the_modules(kind: str, bias: bool, numerics: fx.Numerics) -> None:
    rest = {"bias": bias, "numerics": numerics, "layer_id": PLACE.layer_id, "seed": PLACE.seed}
    if kind == "linear":
        module, shape = fx.nn.Linear(4, 3, **rest), (5, 4)  # type: ignore[arg-type]
    else:
        module, shape = fx.nn.Conv2d(4, 6, 3, (2, 1), 1, groups=2, **rest), (2, 4, 5, 5)  # type: ignore[arg-type]
    module.step, twin = PLACE.step, copy.deepcopy(module)
    module.calls.fill_(PLACE.call)
    x = torch.randn(shape).requires_grad_()
    z = x.detach().clone().requires_grad_()
    with fx.shard(PLACE.first_sample):
        y = module(x)
    settings = () if kind == "linear" else ((2, 1), (1, 1), (1, 1), 2)
    function = LinearFunction if kind == "linear" else Conv2dFunction
    same = function.apply(z, twin.weight, twin.bias, *settings, numerics, PLACE)
    assert torch.equal(same, y)
    grad = torch.randn(y.shape)
    y.backward(grad)
    same.backward(grad)
    assert torch.equal(z.grad, x.grad)
    for one, other in zip(twin.parameters(), module.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


def test_a_function_without_a_place_starts_at_zero() -> None:
    module = fx.nn.Linear(4, 3, numerics=CHANCE)
    x = torch.randn(5, 4)
    assert torch.equal(LinearFunction.apply(x, module.weight, module.bias, CHANCE), module(x))
