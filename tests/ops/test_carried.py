"""Quotients and sums that floats carry exactly, against fractions: next to every boundary, and next to the bounds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fxsim.formats import Format
from fxsim.ops import _carried
from fxsim.ops._carried import Patch, Quotients, column_sums, product_sums
from fxsim.ops._emit import emit_blocks
from fxsim.ops._plan import word_plan
from fxsim.ops._publish import Site
from fxsim.ops.records import Pass, listen
from fxsim.reference.counts import Counts
from fxsim.reference.quantize import draw, quantize_value
from fxsim.rng import Key
from fxsim.rounding import Quantizer

KEY = Key(5, 7)
ROUNDINGS = [
    "floor",
    "zero",
    "away",
    "nearest_even",
    "nearest_away",
    "nearest_odd",
    "stochastic",
    "stochastic(20,half)",
]
INT8 = Format(8, 0)


def given_quotients(
    raws: list[list[int]], slope: list[int], offset: list[int], divisor: list[int], fl: int, quantizer: Quantizer
) -> Quotients | None:
    def vector(values: list[int]) -> np.ndarray:
        return np.array(values, object)

    return _carried.quotients(
        np.array(raws, np.int8), INT8, vector(slope), vector(offset), vector(divisor), fl, quantizer
    )


def rounded(found: Quotients) -> tuple[list[list[int]], tuple[int, ...]]:
    heard = []
    plan = word_plan(found.quantizer)
    site = Site("", Pass.FWD, "test", KEY.seed, KEY.stream, 3)
    with listen(heard.append):
        raws = emit_blocks(found.blocks(), found.raws.shape, plan, site, plan.dtype, INT8, None, 0, channels_last=False)
    (record,) = heard
    return raws.tolist(), (record.output_overflows, record.inexact, record.round_to_zero, record.random_draws)


def exactly(
    raws: list[list[int]], slope: list[int], offset: list[int], divisor: list[int], fl: int, quantizer: Quantizer
) -> tuple[list[list[int]], tuple[int, ...]]:
    counts, index, result = Counts(), 3, []
    for row in raws:
        result.append([])
        for raw, a, b, d in zip(row, slope, offset, divisor, strict=True):
            u = draw(KEY, index, quantizer)
            outcome = quantize_value(Fraction(raw * a + b, d) / Fraction(2) ** fl, quantizer, u)
            index += 1
            counts.random_draws += u is not None
            counts.output_overflows += outcome.overflowed
            counts.inexact += outcome.inexact
            counts.round_to_zero += outcome.rounded_to_zero
            result[-1].append(outcome.raw)
    return result, (counts.output_overflows, counts.inexact, counts.round_to_zero, counts.random_draws)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_quotient_is_rounded_as_the_fraction_is(data: st.DataObject) -> None:
    channels = data.draw(st.integers(1, 3))

    def vector(values: st.SearchStrategy[int]) -> list[int]:
        return data.draw(st.lists(values, min_size=channels, max_size=channels))

    bits = data.draw(st.integers(1, 40))
    divisor = vector(st.integers(1, 1 << bits))
    near = vector(st.integers(-2, 2))
    halves = vector(st.integers(-600, 600))
    offset = [d * h // 2 + n for d, h, n in zip(divisor, halves, near, strict=True)]  # at ties and beside them
    slope = vector(st.sampled_from([0, 1, -1, 3, 1 << data.draw(st.integers(0, 20))]))
    raws = data.draw(
        st.lists(st.lists(st.integers(-128, 127), min_size=channels, max_size=channels), min_size=1, max_size=4)
    )
    form = Format(data.draw(st.integers(2, 18)), data.draw(st.integers(-3, 9)))
    quantizer = Quantizer.parse(f"{form},{data.draw(st.sampled_from(ROUNDINGS))}")
    fl = data.draw(st.integers(-4, 8))
    found = given_quotients(raws, slope, offset, divisor, fl, quantizer)
    if found is not None:
        assert rounded(found) == exactly(raws, slope, offset, divisor, fl, quantizer)


def test_the_way_depends_on_the_bounds_alone() -> None:
    stochastic, nearest = Quantizer.parse("<16,0>,stochastic"), Quantizer.parse("<16,0>")

    def way(offset: int, divisor: int, quantizer: Quantizer) -> str:
        found = given_quotients([[0]], [0], [offset], [divisor], 0, quantizer)
        return "none" if found is None else "two steps" if found.in_two_steps else "one"

    # N is the numerator times 2 for halves, times 2^17 for random bits
    assert way((1 << 52) - 1, 1 << 40, nearest) == "one"
    assert way(1 << 52, 1 << 40, nearest) == "none"
    assert way((1 << 36) - 1, 1 << 30, stochastic) == "one"
    assert way(1 << 36, 1 << 30, stochastic) == "two steps"
    assert way((1 << 51) - 1, (1 << 36) - 1, stochastic) == "two steps"
    assert way(1 << 52, (1 << 36) - 1, stochastic) == "none"
    assert way(1 << 40, 1 << 36, stochastic) == "none"  # the rest times 2^17 would pass 2^53
    assert way(1 << 50, 1, stochastic) == "none"  # q and its fraction would not fit together


@pytest.mark.parametrize("quantizer", ["<16,2>,stochastic", "<16,2>,stochastic(16,nearest_even)", "<12,-1>,stochastic"])
def test_two_steps_next_to_the_finest_boundaries(quantizer: str) -> None:
    settled = Quantizer.parse(quantizer)
    divisor = (1 << 33) - 9
    boundaries = [k * divisor * 2 ** max(0, -settled.format.fl) // (1 << 18) for k in (0, 1, 2, 3, 77, 1 << 17, 12345)]
    offset = [sign * (each + near) for each in boundaries for near in (-1, 0, 1) for sign in (1, -1)]
    offset += [(1 << 49) - 1, -(1 << 49) + 1]
    given = [[0] * len(offset)], [0] * len(offset), offset, [divisor] * len(offset), 0, settled
    found = given_quotients(*given)
    assert found is not None
    assert found.in_two_steps
    assert rounded(found) == exactly(*given)


def test_patches_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_carried, "_BLOCK", 10)
    drawn = np.random.default_rng(1)
    raws = drawn.integers(-128, 128, (23, 4)).astype(np.int8)
    rows = np.array([[0, 22, 5, 5], [9, 4, 6, 20]])
    patch = Patch(rows, raws[rows, np.arange(4)], drawn.integers(-9000, 9000, (2, 4)))
    slope, offset, divisor = (drawn.integers(1, 900, 4) for _ in range(3))
    quantizer = Quantizer.parse("<8,3>,nearest_away")
    found = _carried.quotients(raws, INT8, slope, offset, divisor, 1, quantizer, patch)
    assert found is not None
    assert [first for first, _ in found.blocks()] == list(range(0, 23, 10 * torch.get_num_threads() // 4))
    offsets = np.repeat(offset[None], 23, 0)
    offsets[rows, np.arange(4)] = patch.offset
    numerators = raws.astype(np.int64) * slope + offsets
    expected = [
        [quantize_value(Fraction(int(n), int(d)) / 2, quantizer, None).raw for n, d in zip(row, divisor, strict=True)]
        for row in numerators
    ]
    assert rounded(found)[0] == expected


@pytest.mark.parametrize("rows", [0, 1, 63, 1024, 5000])
@pytest.mark.parametrize(
    ("g_form", "x_form"), [("<8,0>", "<8,0>"), ("u<8,0>", "<9,0>"), ("<16,0>", "<16,0>"), ("<30,0>", "<30,0>")]
)
def test_sums_are_exact_in_every_width(rows: int, g_form: str, x_form: str) -> None:
    forms = Format.parse(g_form), Format.parse(x_form)
    drawn = np.random.default_rng(rows)
    g, x = (
        drawn.integers(form.raw_min, form.raw_max, (rows, 3), endpoint=True).astype(
            np.uint8 if form == Format.parse("u<8,0>") else f"int{8 if form.wl <= 8 else 16 if form.wl <= 16 else 32}"
        )
        for form in forms
    )
    g[:, 0], x[:, 0] = forms[0].raw_min, forms[1].raw_min  # the largest products
    g[:, 1], x[:, 1] = forms[0].raw_max, forms[1].raw_max
    exact = [sum(int(a) * int(b) for a, b in zip(g[:, c], x[:, c], strict=True)) for c in range(3)]
    totals = [sum(map(int, g[:, c])) for c in range(3)]
    assert product_sums(g, forms[0], x, forms[1]) == (totals, exact)
    assert column_sums(g, forms[0]) == totals
