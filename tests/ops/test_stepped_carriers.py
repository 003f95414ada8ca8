"""Registers that are stepped and leave as floats: on every path the carriers that the scalar reference gives."""

from __future__ import annotations

import pytest
import torch

import fxsim as fx
from fxsim.formats import Format
from fxsim.rounding import Quantizer, Stochastic

ROWS, DEPTH, COLUMNS = 19, 40, 67

FINE, COARSE = Format(15, 11), Format(12, 8)
REGISTERS = {
    "as fine as products": fx.Accumulator(FINE),
    "coarser, to nearest even": fx.Accumulator(COARSE, rounding="nearest_even"),
    "coarser, to zero": fx.Accumulator(COARSE, rounding="zero"),
    "coarser, stochastic": fx.Accumulator(COARSE, rounding=Stochastic(8)),
    "symmetric": fx.Accumulator(FINE, overflow="saturate_symmetric"),
    "to zero where it overflows": fx.Accumulator(FINE, overflow="saturate_zero"),
    "of rounded products": fx.Accumulator(FINE, product=Quantizer(Format(12, 9))),
    "of lanes": fx.Accumulator(FINE, lanes=4),
    "of chunks": fx.Accumulator(FINE, chunk=16, outer=fx.Accumulator(Format(16, 11))),
    "at the end": fx.Accumulator(FINE, at="end"),
}


def layer_of(bits: int, accumulator: fx.Accumulator) -> fx.nn.Linear:
    """A layer with words of so many bits, no bias, and carriers of the register itself."""
    numerics = fx.Numerics(Format(bits, 6), Format(bits, 5), accumulator=accumulator)
    layer = fx.nn.Linear(DEPTH, COLUMNS, bias=False, numerics=numerics)
    with torch.no_grad():
        layer.weight.copy_(torch.randn((COLUMNS, DEPTH), generator=torch.Generator().manual_seed(bits)))
    return layer


def inputs(dtype: torch.dtype) -> torch.Tensor:
    """Rows that make sums leave the registers."""
    return torch.randn((ROWS, DEPTH), generator=torch.Generator().manual_seed(1)).to(dtype)


@pytest.mark.parametrize("isa", fx.isa.available()[1:])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bits", [8, 9, 12, 16, 20])
@pytest.mark.parametrize("register", REGISTERS.values(), ids=REGISTERS)
def test_carriers_of_saturated_registers(isa: str, dtype: torch.dtype, bits: int, register: fx.Accumulator) -> None:
    x = inputs(dtype)
    layer, free = (layer_of(bits, each).to(dtype).eval() for each in (register, fx.Accumulator(None)))
    fx.isa.force("reference")
    expected = layer(x)
    assert not torch.equal(expected, free(x))
    fx.isa.force(isa)
    assert torch.equal(layer(x), expected)
    with fx.count():
        assert torch.equal(layer(x), expected)
