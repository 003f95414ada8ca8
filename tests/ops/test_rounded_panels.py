"""Results that are rounded as sums come to be: one panel of columns, several, and one that is not full."""

from __future__ import annotations

from functools import cache

import pytest
import torch

import fxsim as fx
from fxsim import ops
from fxsim.formats import Format
from fxsim.rounding import Quantizer, Stochastic

FORMAT = Format(8, 4)


def words(*shape: int) -> fx.FixedTensor:
    """Random words of the whole range."""
    generator = torch.Generator().manual_seed(sum(shape))
    return fx.FixedTensor(torch.randint(-128, 128, shape, generator=generator, dtype=torch.int8), FORMAT)


@cache
def results(channels: int, out: Quantizer, isa: str) -> tuple[fx.FixedTensor, ...]:
    """A forward, an input gradient and a product of matrices, made by that instruction set."""
    fx.isa.force(isa)
    x, w, g = words(2, 3, 9, 11), words(channels, 3, 3, 3), words(2, 6, 5, 6)
    forward = ops.conv2d(x, w, stride=2, padding=1, out=out, key=fx.Key(5, 7))
    back = ops.conv2d_dgrad(g, words(6, channels, 3, 3), (9, 11), stride=2, padding=1, out=out, key=fx.Key(5, 9))
    matrix = fx.matmul(words(17, 13), words(13, channels), out=out, key=fx.Key(5, 11))
    return forward, back, matrix


@pytest.mark.parametrize("isa", fx.isa.available()[1:])
@pytest.mark.parametrize("channels", [1, 16, 24, 32, 64, 72, 96])
@pytest.mark.parametrize(
    "out",
    [Quantizer(Format(9, 3)), Quantizer(Format(9, 3), Stochastic(16)), Quantizer(Format(8, 4), Stochastic(4), "wrap")],
)
def test_every_panel_is_rounded_as_the_reference_does(isa: str, channels: int, out: Quantizer) -> None:
    assert results(channels, out, isa) == results(channels, out, "reference")
