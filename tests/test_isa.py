"""Instruction sets can be listed, asked for and forced, and give the same bits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import fxsim as fx


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    fx.isa.force(None)


def test_the_active_one_is_available() -> None:
    assert "portable" in fx.isa.available()
    assert fx.isa.active() in fx.isa.available()


@pytest.mark.parametrize("name", fx.isa.available())
def test_each_can_be_forced_and_gives_the_same_bits(name: str) -> None:
    numerics = fx.Numerics("<6,3>", "<6,3>", "<9,4>,stochastic", accumulator=fx.Accumulator(10))
    module = fx.nn.Linear(40, 30, numerics=numerics).eval()
    x = torch.randn(20, 40)
    expected = module(x)
    fx.isa.force(name)
    assert fx.isa.active() == name
    assert torch.equal(module(x), expected)


def test_an_unknown_one_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="abacus"):
        fx.isa.force("abacus")
