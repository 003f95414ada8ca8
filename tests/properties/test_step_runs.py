"""Kernels that take many steps of a row at once, at the bounds of what they take: words, random bits, columns, depths.

They multiply 16-bit words, random bits among them, so operands, registers of products and bits to be dropped stand just
within those words and just beyond. Outputs that share random blocks lie in one row or in many.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import fxsim as fx

OVERFLOWS = ["saturate", "saturate_symmetric", "saturate_zero", "wrap"]


@pytest.fixture(autouse=True)
def _give_the_choice_back() -> Iterator[None]:
    yield
    fx.isa.force(None)


def words(form: fx.Format, rows: int, depth: int, *, seed: int, kind: str = "any") -> fx.FixedTensor:
    """Raws of any size, or long runs of one extreme and then of the other."""
    random = np.random.default_rng(seed)
    if kind == "any":
        raw = random.integers(form.raw_min, form.raw_max, (rows, depth), endpoint=True)
    else:
        turns = (np.arange(depth) // 11 + random.integers(0, 2, (rows, 1))) % 2
        raw = np.where(turns == 0, form.raw_min, form.raw_max)
    return fx.FixedTensor(torch.from_numpy(raw).to(form.dtype), form)


@pytest.mark.parametrize("random_bits", [1, 7, 8, 9, 15, 16, 17, 32])
@pytest.mark.parametrize("columns", [1, 10, 16, 31, 48, 64, 128, 130, 272])
@pytest.mark.parametrize("offset", [0, 5, 16, 2**40 - 3])
def test_outputs_find_their_random_bits(shared: Any, random_bits: int, columns: int, offset: int) -> None:
    """Rows that begin anywhere in a block and share it with their neighbours, and depths of more than one run."""
    form = fx.Format(8, 0)
    x, w = words(form, 11, 35, seed=1), words(form, columns, 35, seed=2)
    accumulator = fx.Accumulator(fx.Format(12, -4), fx.Stochastic(random_bits))
    options = {"accumulator": accumulator, "key": fx.Key(2**63 + 5, 2**48 + 9), "index_offset": offset}
    shared.same_everywhere(x, w, options)


@pytest.mark.parametrize("depth", [1, 2, 31, 32, 33, 64, 65])
@pytest.mark.parametrize("product", [None, fx.Quantizer("<9,-3>", fx.Stochastic(12)), "<10,-2>"])
def test_depths_of_whole_and_broken_runs(shared: Any, depth: int, product: Any) -> None:
    form = fx.Format(8, 0)
    accumulator = fx.Accumulator(fx.Format(13, -3), fx.Stochastic(16), product=product)
    x, w = words(form, 5, depth, seed=depth), words(form, 40, depth, seed=depth + 1)
    shared.same_everywhere(x, w, {"accumulator": accumulator, "key": fx.Key(3, 4)})


@pytest.mark.parametrize("tail", ["truncate", "half", "nearest_even"])
@pytest.mark.parametrize(
    ("random_bits", "dropped"),
    [(1, 1), (1, 15), (1, 16), (2, 16), (2, 17), (8, 14), (14, 14), (15, 15), (15, 16), (16, 15), (16, 16), (32, 15),
     (32, 16), (4, 18), (4, 19)],
)  # fmt: skip
@pytest.mark.parametrize("wl", [3, 12])
def test_as_many_bits_dropped_as_a_word_holds(shared: Any, wl: int, random_bits: int, dropped: int, tail: Any) -> None:
    form = fx.Format(16, 0)
    accumulator = fx.Accumulator(fx.Format(wl, -dropped), fx.Stochastic(random_bits, tail))
    x, w = words(form, 7, 40, seed=dropped), words(fx.Format(15, 0), 33, 40, seed=wl)
    shared.same_everywhere(x, w, {"accumulator": accumulator, "key": fx.Key(1, random_bits)})


@pytest.mark.parametrize("overflow", OVERFLOWS)
@pytest.mark.parametrize(
    "rounding", ["floor", "zero", "nearest_even", "away", fx.Stochastic(16), fx.Stochastic(3)], ids=str
)
@pytest.mark.parametrize(
    "register", ["<32,0>", "<31,0>", "<27,-3>", "<20,-11>", "<6,-4>", "<14,-4>", "<14,-6>", "u<26,-3>", "<24,2>"]
)
@pytest.mark.parametrize("forms", [("<16,0>", "<16,0>"), ("u<15,0>", "<16,0>"), ("u<16,0>", "<12,0>"),
                                   ("<12,0>", "u<16,0>"), ("<8,0>", "<8,0>"), ("<14,0>", "<3,0>")])  # fmt: skip
def test_the_longest_words_and_sums(
    shared: Any, forms: tuple[str, str], register: str, rounding: str | fx.Stochastic, overflow: Any
) -> None:
    """Any operands, then extreme ones, for as long as it takes to pass the ends of the register and of a lane."""
    accumulator = fx.Accumulator(fx.Format.parse(register), rounding, overflow)
    a, b = (fx.Format.parse(each) for each in forms)
    for kind in ("any", "extreme"):
        x, w = words(a, 4, 44, seed=1, kind=kind), words(b, 37, 44, seed=2, kind=kind)
        shared.same_everywhere(x, w, {"accumulator": accumulator, "key": fx.Key(5, 6)})


@pytest.mark.parametrize("product_overflow", OVERFLOWS)
@pytest.mark.parametrize("product_rounding", ["ceil", "zero", "nearest_even", fx.Stochastic(5, "half")], ids=str)
@pytest.mark.parametrize("product", ["<14,-2>", "<16,0>", "<17,0>", "<12,2>", "u<16,-1>", "u<15,-1>", "<4,-9>"])
@pytest.mark.parametrize("register", [18, "<17,-2>", "<18,-4>", "<27,0>", "u<15,-5>"])
def test_products_in_a_register_of_their_own(
    shared: Any, register: Any, product: str, product_rounding: str | fx.Stochastic, product_overflow: Any
) -> None:
    """Registers of products of a word, and of a bit more, before accumulators as wide as lanes can be scaled to."""
    form = fx.Format(8, 0)
    quantizer = fx.Quantizer(product, product_rounding, product_overflow)
    for rounding in ("nearest_even", fx.Stochastic(9)):
        accumulator = fx.Accumulator(register, rounding, product=quantizer)
        for kind in ("any", "extreme"):
            x, w = words(form, 4, 37, seed=1, kind=kind), words(form, 23, 37, seed=2, kind=kind)
            shared.same_everywhere(x, w, {"accumulator": accumulator, "key": fx.Key(8, 9)})


@pytest.mark.parametrize("rounding", ["floor", fx.Stochastic(16)], ids=str)
@pytest.mark.parametrize(("wl", "refused"), [(12, True), (19, False)])
@pytest.mark.parametrize("product", [None, 8, 17])
def test_the_first_overflow_is_named_wherever_it_falls(
    product: int | None, wl: int, refused: bool, rounding: str | fx.Stochastic
) -> None:
    """A register that reports overflows, of steps or of products, and one that has none to report."""
    form = fx.Format(8, 0)
    register = None if product is None else fx.Quantizer(fx.Format(product, 0), "floor", "error")
    accumulator = fx.Accumulator(fx.Format(wl, -3), rounding, "error", product=register)
    x, w = words(form, 40, 70, seed=3), words(form, 130, 70, seed=4)
    results = []
    for isa in fx.isa.available():
        fx.isa.force(isa)
        try:
            results.append(str(fx.linear(x, w, accumulator=accumulator, key=fx.Key(1, 2)).raw.tolist()))
        except OverflowError as error:
            results.append(str(error))
    assert len(set(results)) == 1
    assert results[0].startswith("[[") != (refused or product == 8)
