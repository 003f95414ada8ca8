"""Stretches of k that are taken without a clamp, since the norms of their operands keep every prefix in the register.

Here prefixes are as long as norms allow: equal products, which meet the bound of Cauchy and Schwarz, and products that
are all rounded the same way. They end at the ends of the register, just before and just beyond, at either sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import fxsim as fx

WORD = fx.Format(24, 0)


@pytest.fixture(autouse=True)
def _give_the_choice_back() -> Iterator[None]:
    yield
    fx.isa.force(None)


def product_of(
    shared: Any, steps: list[tuple[int, int]], place: tuple[int, int], register: fx.Format, **modes: Any
) -> None:
    """One output of a tile takes these products, k after k; the others stay near zero."""
    a, b = np.zeros((11, len(steps)), np.int64), np.zeros((33, len(steps)), np.int64)
    a[:, ::3], b[:, ::5] = 1, -1
    a[place[0]], b[place[1]] = np.array(steps).T
    x, w = (fx.FixedTensor(torch.from_numpy(each).to(WORD.dtype), WORD) for each in (a, b))
    shared.same_everywhere(x, w, {"accumulator": fx.Accumulator(register, **modes)})


@pytest.mark.parametrize("overflow", ["saturate", "saturate_symmetric"])
@pytest.mark.parametrize("register", ["<24,0>", "<22,1>", "<20,-4>", "<40,0>", "<44,-6>", "u<19,-3>"])
@pytest.mark.parametrize("depth", [128, 300])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_equal_products_that_end_at_the_bound(
    shared: Any, beyond: int, sign: int, depth: int, register: str, overflow: Any
) -> None:
    """From the first stretch on, or from a start that leaves the second what it needs."""
    form = fx.Format.parse(register)
    reach = (form.raw_max + 1 + beyond) << max(-form.fl, 0) >> max(form.fl, 0)
    factor = max(int((reach / depth) ** 0.5), 1)
    other = reach // depth // factor
    first = reach - factor * other * (depth - 2)
    steps = [(sign * (first // factor), factor), (sign * (first % factor), 1), *[(sign * other, factor)] * (depth - 2)]
    product_of(shared, steps, (10, 32), form, overflow=overflow)
    product_of(shared, [*steps, *[(-x, y) for x, y in steps]], (3, 5), form, overflow=overflow)


@pytest.mark.parametrize("register", ["<20,-4>", "<21,-2>", "<36,-4>"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("room", [60, 71, 74, 100, 126, 128, 129, 135, 139, 200])
def test_roundings_lead_a_prefix_further_than_its_products(shared: Any, room: int, sign: int, register: str) -> None:
    """Products of a little more than half a step are a whole step each, 128 times after a start with that much room."""
    form = fx.Format.parse(register)
    step = 1 << -form.fl
    half = step // 2 + 1
    start = (form.raw_max - room) * step
    factor = 1 << (start.bit_length() // 2)
    steps = [(sign * (start // factor), factor), (sign * (start % factor), 1)]
    steps += [(0, 0)] * (128 - len(steps))
    product_of(shared, [*steps, *[(sign * half, 1)] * 128], (0, 1), form)
