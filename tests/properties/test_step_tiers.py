"""Steps of a saturating accumulator, whichever kernel takes them: sums at, just inside and just outside the bounds.

Kernels skip the steps of a block where a bound shows that no prefix leaves the register. So prefixes are led exactly to
its ends and back, within, across and at the ends of such blocks, in one output of many or in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fxsim as fx
from fxsim.ops import records

Matrix = npt.NDArray[np.int64]


@pytest.fixture(autouse=True)
def _give_the_choice_back() -> Iterator[None]:
    yield
    fx.isa.force(None)


def stepped(a: Matrix, b: Matrix, low: int, high: int) -> tuple[Matrix, int]:
    """Rows of a times rows of b, clamped after every k, and how many steps were clamped."""
    held = np.zeros((len(a), len(b)), dtype=np.int64)
    clamped = 0
    for k in range(a.shape[1]):
        held += np.multiply.outer(a[:, k], b[:, k])
        kept = np.clip(held, low, high)
        clamped += int(np.count_nonzero(kept != held))
        held = kept
    return held, clamped


def tensor(raw: Matrix, form: fx.Format) -> fx.FixedTensor:
    return fx.FixedTensor(torch.from_numpy(raw).to(form.dtype), form)


def check(a: Matrix, b: Matrix, forms: tuple[fx.Format, fx.Format], register: fx.Format, overflow: str) -> None:
    low = -register.raw_max if overflow == "saturate_symmetric" and register.signed else register.raw_min
    wanted, clamped = stepped(a, b, low, register.raw_max)
    accumulator = fx.Accumulator(register, overflow=overflow)
    x, w = tensor(a, forms[0]), tensor(b, forms[1])
    for isa in fx.isa.available()[1:]:
        fx.isa.force(isa)
        got = fx.linear(x, w, accumulator=accumulator).raw.numpy()
        assert np.array_equal(got, wanted), isa
        heard: list[records.OpRecord] = []
        with records.listen(heard.append):
            counted = fx.linear(x, w, accumulator=accumulator).raw.numpy()
        assert np.array_equal(counted, wanted), isa
        assert heard[0].step_overflows == clamped, isa


def path_to(target: int, most: int) -> list[tuple[int, int]]:
    """Factors of at most `most` whose products add up to `target`, one step after the other."""
    sign, left = (1 if target >= 0 else -1), abs(target)
    steps = []
    while left > 0:
        first = min(left, most)
        second = min(left // first, most)
        steps.append((sign * first, second))
        left -= first * second
    return steps


@pytest.mark.parametrize("start", [0, 1, 50, 63, 64, 127, 250, 255, 256, 300])
@pytest.mark.parametrize("beyond", [-1, 0, 1, 2])
@pytest.mark.parametrize(
    ("wl", "overflow"), [*((wl, "saturate") for wl in (15, 16, 18, 20, 24)), (18, "saturate_symmetric")]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_prefix_that_reaches_the_bound_and_returns(
    wl: int, overflow: str, beyond: int, sign: int, start: int
) -> None:
    register = fx.Format(wl, 0)
    bound = register.raw_max if sign > 0 else -register.raw_min
    there = path_to(sign * (bound + beyond), 127)
    back = [(-a, b) for a, b in reversed(there)]
    depth = start + len(there) + len(back) + 3
    a, b = np.zeros((9, depth), np.int64), np.zeros((70, depth), np.int64)
    for i, (x, y) in enumerate(there + back):
        a[4, start + i], b[33, start + i] = x, y
    a[8, : depth // 2], b[69, : depth // 2] = 3, -2  # neighbours that stay far from the bound
    form = fx.Format(8, 0)
    check(a, b, (form, form), register, overflow)


@pytest.mark.parametrize("forms", [("<8,0>", "<8,0>"), ("u<8,0>", "<8,0>"), ("<8,0>", "u<8,0>"), ("<4,0>", "<3,0>"),
                                   ("<12,0>", "<8,0>"), ("<16,0>", "<16,0>"), ("<24,0>", "<17,0>"),
                                   ("u<16,0>", "<9,0>")])  # fmt: skip
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_walks_near_the_bound(forms: tuple[str, str], data: st.DataObject) -> None:
    """Random walks of about the register's size: some prefixes clip, in some outputs, and most blocks do not."""
    a_form, b_form = (fx.Format.parse(text) for text in forms)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    m, n = data.draw(st.sampled_from([(1, 1), (7, 16), (25, 17), (50, 65), (13, 130)]))
    depth = data.draw(st.sampled_from([1, 3, 64, 65, 200, 257, 520, 700]))
    spread = data.draw(st.sampled_from([0.02, 0.15, 0.3, 1.0]))

    def operand(rows: int, form: fx.Format) -> Matrix:
        values = np.rint(random.normal(size=(rows, depth)) * spread * form.raw_max).astype(np.int64)
        return np.clip(values, form.raw_min, form.raw_max)

    a, b = operand(m, a_form), operand(n, b_form)
    reach = int(np.abs(np.cumsum(a[0] * b[0])).max()) + 1
    wl = min(max(reach.bit_length() + data.draw(st.integers(-2, 2)), 1), 60)
    register = fx.Format(wl, 0, data.draw(st.sampled_from([True, True, True, False])))
    check(a, b, (a_form, b_form), register, data.draw(st.sampled_from(["saturate", "saturate_symmetric"])))


@pytest.mark.parametrize("wl", [16, 17, 18, 20, 22, 24, 25, 32])
@pytest.mark.parametrize("value", [-128, 127])
def test_extreme_operands_climb_for_long(wl: int, value: int) -> None:
    """Sums that pass the bound of 24 bits and more, all lanes together."""
    depth = 2100
    a, b = np.full((26, depth), value), np.full((66, depth), -128)
    b[:, depth // 2 :] = 127
    form = fx.Format(8, 0)
    check(a.astype(np.int64), b.astype(np.int64), (form, form), fx.Format(wl, 0), "saturate")


def test_the_choice_of_blocks_settles_without_changing_a_bit() -> None:
    """Enough groups of rows and columns for every stretch of k to go through all its choices."""
    random = np.random.default_rng(5)
    a, b = (np.rint(random.normal(size=(rows, 600)) * 35).astype(np.int64).clip(-128, 127) for rows in (150, 640))
    form = fx.Format(8, 0)
    for wl in (16, 17, 18, 19):
        check(a, b, (form, form), fx.Format(wl, 0), "saturate")


ROUNDINGS = ["floor", "ceil", "zero", "away", "nearest_up", "nearest_down", "nearest_zero", "nearest_away",
             "nearest_even", "nearest_odd"]  # fmt: skip


@pytest.mark.parametrize("rounding", [*ROUNDINGS, fx.Stochastic(3), fx.Stochastic(16, "half"),
                                      fx.Stochastic(5, "nearest_even"), fx.Stochastic(32)], ids=str)  # fmt: skip
@pytest.mark.parametrize("overflow", ["saturate", "saturate_symmetric", "saturate_zero", "wrap"])
@pytest.mark.parametrize("wl", [5, 14, 22, 23, 40, 52])
def test_rounding_at_every_step(shared: Any, rounding: str | fx.Stochastic, overflow: str, wl: int) -> None:
    """A coarser register, on tiles with edges; half of the products stand on ties."""
    random = np.random.default_rng(wl)
    form = fx.Format(8, 4) if wl <= 23 else fx.Format(28, 4)
    a = random.integers(form.raw_min, form.raw_max, (9, 40), endpoint=True)
    b = random.integers(form.raw_min, form.raw_max, (37, 40), endpoint=True) // 4 * 4
    fl = 8 - (4 if wl <= 23 else 9)
    accumulator = fx.Accumulator(fx.Format(wl, fl), rounding=rounding, overflow=overflow)
    shared.same_everywhere(tensor(a, form), tensor(b, form), {"accumulator": accumulator, "key": fx.Key(7, 3)})


@pytest.mark.parametrize("options", [
    {"lanes": 3}, {"product": fx.Quantizer("<10,2>", "floor", "wrap")}, {"chunk": 7}, {"chunk": 16, "lanes": 4},
    {"chunk": 9, "outer": fx.Accumulator(14, rounding="zero", lanes=2)}, {"at": "end", "chunk": 11},
    {"product": fx.Quantizer("<9,1>", fx.Stochastic(8)), "lanes": 2, "chunk": 13,
     "outer": fx.Accumulator("<12,0>", fx.Stochastic(9), at="end")},
    {"bias": "preload", "overflow": "wrap"}, {"bias": "preload", "chunk": 8, "outer": fx.Accumulator("<13,1>")},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("form", ["<8,4>", "u<8,0>", "<16,3>", "<32,2>"])
@pytest.mark.parametrize("register", ["<15,3>", "<28,6>", "u<20,2>", "<44,5>"])
def test_every_register_in_its_place(shared: Any, options: dict[str, Any], form: str, register: str) -> None:
    random = np.random.default_rng(11)
    forms = fx.Format.parse(form), fx.Format(8, 4)
    a = random.integers(forms[0].raw_min, forms[0].raw_max, (21, 41), endpoint=True)
    b = random.integers(-128, 127, (300, 41), endpoint=True)
    accumulator = fx.Accumulator(register, **options)
    start = tensor(random.integers(-900, 900, 300), fx.Format(16, 3))
    given = {"accumulator": accumulator, "bias": start, "key": fx.Key(1, 2)}
    shared.same_everywhere(tensor(a, forms[0]), tensor(b, forms[1]), given)
