"""What is packed of a layer's words is kept until they change, and never outlives them."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

import fxsim as fx
from fxsim import _core
from fxsim.ops import _operands

NUMERICS = fx.Numerics("<8,6>", "<8,4>", grad_output="<8,8>")


def layers() -> list[tuple[fx.nn.Conv2d | fx.nn.Linear, torch.Tensor]]:
    torch.manual_seed(0)
    return [
        (fx.nn.Conv2d(16, 24, 3, stride=2, padding=1, numerics=NUMERICS), torch.randn(4, 16, 9, 9)),
        (fx.nn.Conv2d(4, 8, 3, groups=2, numerics=NUMERICS), torch.randn(3, 4, 7, 7)),
        (fx.nn.Linear(33, 7, numerics=NUMERICS), torch.randn(5, 33)),
        (fx.nn.Conv2d(16, 8, 4, stride=2, padding=1, numerics=NUMERICS), torch.randn(2, 16, 10, 10)),
    ]


def step(layer: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    x = x.clone().requires_grad_()
    y = layer(x)
    y.sum().backward()
    return y.detach(), x.grad


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("number", range(4))
def test_every_call_gives_the_bits_of_the_first(isa: str, number: int) -> None:
    fx.isa.force(isa)
    layer, x = layers()[number]
    first = step(layer, x)
    for batch in (x, x[:2], x):
        again = step(layer, batch)
        for kept, fresh in zip(again, first, strict=True):
            assert kept is not None
            assert fresh is not None
            assert torch.equal(kept, fresh[: len(batch)])


@pytest.mark.parametrize("isa", fx.isa.available())
def test_inputs_that_need_other_elements_of_the_words(isa: str) -> None:
    """The same limbs serve narrow inputs; wide ones meet the sum of two limbs besides."""

    def layer() -> fx.nn.Linear:
        torch.manual_seed(0)
        made = fx.nn.Linear(70, 9, numerics=fx.Numerics("<20,18>", "<20,14>"))
        with torch.no_grad():
            made.weight.mul_(8)
        return made

    fx.isa.force(isa)
    kept, x = layer(), torch.randn(20, 70)
    for inputs in (x / 64, x * 6, x / 64):
        assert torch.equal(kept(inputs), layer()(inputs))


@pytest.mark.parametrize("number", range(4))
def test_an_update_is_seen(number: int) -> None:
    layer, x = layers()[number]
    step(layer, x)
    with torch.no_grad():
        layer.weight.mul_(0.5)
    fresh = layers()[number][0]
    with torch.no_grad():
        fresh.weight.mul_(0.5)
    assert all(map(torch.equal, step(layer, x), step(fresh, x)))


@pytest.mark.parametrize("number", range(4))
def test_another_instruction_set_packs_for_itself(number: int) -> None:
    """And all give what the scalar loops give, which keep nothing."""
    layer, x = layers()[number]
    found = []
    for isa in (*fx.isa.available(), *fx.isa.available()):
        fx.isa.force(isa)
        found.append(step(layer, x))
    assert all(all(map(torch.equal, each, found[0])) for each in found)


def test_words_that_torch_sees_changing_are_dropped() -> None:
    words = torch.tensor([[1, 2], [3, 4]], dtype=torch.int8)
    _operands.keep(words)
    form = fx.Format(8, 0)
    x = fx.FixedTensor(torch.eye(2, dtype=torch.int8), form)
    before = fx.linear(x, fx.FixedTensor._trusted(words, form)).raw.clone()
    words.add_(1)
    after = fx.linear(x, fx.FixedTensor._trusted(words, form)).raw
    assert torch.equal(after, before + 1)


def test_nothing_outlives_the_words() -> None:
    layer, x = layers()[0]
    step(layer, x)
    alive = weakref.ref(layer._words(training=False).weight)
    key = id(alive())
    assert key in _operands._KEPT
    with torch.no_grad():
        layer.weight.add_(1)
    step(layer, x)
    gc.collect()
    assert alive() is None
    assert key not in _operands._KEPT


def test_the_words_of_a_layer_are_its_own() -> None:
    """What int_weight gives may be written to: the layer goes on with its words."""
    layer, x = layers()[2]
    before = layer(x)
    layer.int_weight().raw.numpy()[:] = 0
    assert torch.equal(layer(x), before)


def test_the_core_keeps_what_wide_words_need() -> None:
    """Narrow values in wide words: how narrow is found once, and holds for every product."""
    data = np.arange(-8, 8, dtype=np.int32).reshape(4, 4)
    view = _core.View(20, 0, True, pixels=(4, 1, 1), taps=(1, 1, 4), strides=(4, 0, 0, 1))
    kept = _core.Operand(data, view, keep=True)
    other = _core.Operand(data, view)
    exact = _core.Accumulator(
        product=None, inner=None, at_end=False, lanes=1, chunk=0, outer=None, outer_at_end=False, outer_lanes=1,
        preload=False,
    )  # fmt: skip
    result = _core.Quantizer(63, 0, True, "floor", "wrap")
    for _ in range(3):
        out = np.zeros((4, 4), np.int64)
        _core.gemm(
            other, kept, out, exact, bias=None, bias_fl=0, output=result, output_rounds=False, seed=0, stream=0,
            index_base=0, index_row_stride=4, count=False,
        )  # fmt: skip
        assert (out == data.astype(np.int64) @ data.T.astype(np.int64)).all()
