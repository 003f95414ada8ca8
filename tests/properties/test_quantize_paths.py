"""Every instruction set rounds as the scalar loops do, on the values that separate its fast way from the general one.

The fast way takes blocks of 1024 elements whose values are neither huge nor tiny; one element decides for its block.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import fxsim as fx
from fxsim.rounding import OVERFLOWS, ROUNDINGS, TAILS

KEY = fx.Key(7, 1 << 40)
PLAIN = [r for r in ROUNDINGS if r != "stochastic"]
ROUNDINGS_AND_TAILS = [*PLAIN, *(fx.Stochastic(bits, tail) for bits in (1, 8, 16, 30, 31, 32) for tail in TAILS)]
FORMATS = ["<8,4>", "u<7,9>", "<1,0>", "<32,24>", "<64,10>", "<16,-20>", "<24,60>", "u<63,0>"]
SATURATING = [mode for mode in OVERFLOWS if mode.startswith("saturate")]


@pytest.fixture(autouse=True)
def _give_the_choice_back() -> Iterator[None]:
    yield
    fx.isa.force(None)


def _floats() -> np.ndarray:
    """Ordinary values with ties, then blocks with one unusual element each."""
    random = np.random.default_rng(3)
    values = random.standard_normal(6 * 1024 + 77) * 8
    values[: 2 * 1024] = np.round(values[: 2 * 1024] * 32) / 32
    unusual = [5e-324, -1e-250, 2.0**62, -(2.0**80)]
    for block, value in enumerate(unusual, start=2):
        values[block * 1024 + 5] = value
    values[-3:] = [0.0, -0.0, 2.0**31 - 0.5]
    return values


def _outcome(isa: str, x: torch.Tensor, quantizer: fx.Quantizer) -> tuple[list[int], tuple[int, ...]]:
    fx.isa.force(isa)
    with fx.count() as counts:
        raw = fx.quantize(x, quantizer.format, quantizer.rounding, quantizer.overflow, key=KEY, index_offset=3).raw
    total = counts.total
    return raw.tolist(), (total.output_overflows, total.inexact, total.round_to_zero, total.random_draws)


@pytest.mark.parametrize("overflow", [mode for mode in OVERFLOWS if mode != "error"])
@pytest.mark.parametrize("rounding", ROUNDINGS_AND_TAILS, ids=str)
def test_floats(rounding: str | fx.Stochastic, overflow: str) -> None:
    for form in FORMATS:
        quantizer = fx.Quantizer(form, rounding, overflow)
        for dtype in (torch.float64, torch.float32):
            x = torch.from_numpy(_floats()).to(dtype)
            if overflow in SATURATING:
                x[2000] = -torch.inf
            wanted = _outcome("reference", x, quantizer)
            for isa in fx.isa.available()[1:]:
                assert _outcome(isa, x, quantizer) == wanted, (isa, form, dtype)


@pytest.mark.parametrize("overflow", [mode for mode in OVERFLOWS if mode != "error"])
@pytest.mark.parametrize("rounding", ROUNDINGS_AND_TAILS, ids=str)
def test_raws(rounding: str | fx.Stochastic, overflow: str) -> None:
    random = np.random.default_rng(5)
    raw = torch.from_numpy(random.integers(-(2**63), 2**63 - 1, 3000, endpoint=True) >> random.integers(0, 63, 3000))
    for fl in (-30, 4, 12, 40, 68, 100):
        given = fx.FixedTensor(raw, fx.Format(64, fl))
        results = []
        for isa in fx.isa.available():
            fx.isa.force(isa)
            with fx.count() as counts:
                out = fx.requantize(given, "<12,4>", rounding, overflow, key=KEY)
            results.append((out.raw.tolist(), counts.total.output_overflows, counts.total.inexact))
        assert all(result == results[0] for result in results), fl
