"""Tensors too large for the caches are written past them: the same bits as on a path that has no such instructions."""

from __future__ import annotations

import pytest
import torch

import fxsim as fx
from fxsim.formats import Format
from fxsim.ops import _bridge
from fxsim.rounding import Quantizer, Rounding, Stochastic

LARGE = (1 << 20) + 77
"""Elements: words of a byte are streamed from 2^20 on, and the last block is not whole."""

STORED = {torch.int8: Format(8, 4), torch.int16: Format(16, 12), torch.float32: Format(8, 4)}


def quantized(
    x: torch.Tensor, dtype: torch.dtype, rounding: Rounding, skip: int, offset: int, count: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Words or carriers, and the mask; both begin `skip` elements into their memory."""
    out = torch.full((skip + len(x) + 1,), 99, dtype=dtype)
    clipped = torch.full((skip + len(x) + 1,), True)
    _bridge.quantize(
        x.numpy(),
        out[skip:-1].numpy(),
        clipped[skip:-1].numpy(),
        _bridge.quantizer(Quantizer(STORED[dtype], rounding)),
        seed=3,
        stream=4,
        index_offset=offset,
        channels_last=False,
        count=count,
        name="x",
    )
    return out, clipped


@pytest.mark.parametrize("isa", [name for name in fx.isa.available() if name not in ("reference", "portable")])
@pytest.mark.parametrize("dtype", STORED)
@pytest.mark.parametrize("rounding", ["nearest_even", Stochastic(16)])
@pytest.mark.parametrize(("skip", "offset"), [(0, 0), (0, 5), (64, 1024), (3, 0)])
def test_large_results_have_the_bits_of_the_portable_path(
    isa: str, dtype: torch.dtype, rounding: Rounding, skip: int, offset: int
) -> None:
    x = torch.randn(LARGE, generator=torch.Generator().manual_seed(offset)) * 4
    fx.isa.force("portable")
    expected, expected_mask = quantized(x, dtype, rounding, skip, offset, False)
    fx.isa.force(isa)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for count in (False, True):
            found, mask = quantized(x, dtype, rounding, skip, offset, count)
            assert torch.equal(found, expected)
            assert torch.equal(mask, expected_mask)
    assert expected_mask[skip:-1].any()
    assert not expected_mask[skip:-1].all()
