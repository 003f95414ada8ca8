"""Single dot products worked by hand: products, steps, lanes, chunks, bias, output, events and errors."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.reference import Counts, matmul, round_real
from fxsim.rng import Key, random_bits
from fxsim.rounding import Quantizer, Stochastic

INT = Format(8, 0)


def dot(a: list[int], b: list[int], *, bias: int | None = None, **options: Any) -> tuple[int, Format, Counts]:
    raw, result, counts = matmul(
        np.array([a], np.int64).reshape(1, -1),
        options.pop("a_format", INT),
        np.array(b, np.int64).reshape(-1, 1),
        options.pop("b_format", INT),
        bias=None if bias is None else np.array([bias]),
        **options,
    )
    assert raw.shape == (1, 1)
    return int(raw[0, 0]), result, counts


def summed(values: list[int], accumulator: Accumulator, **options: Any) -> int:
    return dot(values, [1] * len(values), accumulator=accumulator, **options)[0]


def test_the_exact_default() -> None:
    raw, result, counts = dot([1, -2, 0], [3, 4, 5])
    assert (raw, result) == (-5, Format(18, 0))
    assert counts == Counts(macs=3, zero_a_macs=1, zero_macs=1, nz_macs=2, nnz_a=2, nnz_b=3)


@pytest.mark.parametrize(
    ("overflow", "at", "expected", "overflows"),
    [
        # 5 + 5 clips at 7; then -5 and -5; the exact sum is 0
        ("saturate", "step", -3, 1),
        ("saturate", "end", 0, 0),
        ("saturate_zero", "step", 0, 2),
        ("wrap", "step", 0, 2),
        ("wrap", "end", 0, 0),
    ],
)
def test_every_step_overflows_on_its_own(overflow: str, at: str, expected: int, overflows: int) -> None:
    raw, result, counts = dot([5, 5, -5, -5], [1] * 4, accumulator=Accumulator(4, overflow=overflow, at=at))
    assert (raw, result) == (expected, Format(4, 0))
    assert counts.step_overflows == overflows


def test_the_order_of_steps_matters() -> None:
    acc = Accumulator(4)
    assert summed([5, -5, 5, -5], acc) == 0
    assert summed([5, 5, -5, -5], acc) == -3
    assert summed([-5, -5, 5, 5], acc) == 2


def test_lanes_are_summed_exactly() -> None:
    assert summed([5, 5, -5, -5], Accumulator(4, lanes=4)) == 0
    assert summed([5, 5, -5, -5], Accumulator(4, lanes=2)) == -3
    assert summed([1, 5, 5, -5, -5], Accumulator(4, lanes=3)) == -3
    assert summed([5, 5, -5], Accumulator(4, lanes=2)) == 2  # the last step is short


def test_only_the_sum_is_rounded() -> None:
    # in units of 1/4 into steps of 1: 1.25 -> 1, 1 + 1.25 -> 2, 2 + 1.5 -> 4 (ties to even)
    quarter = Format(8, 2)
    acc = Accumulator("<8,0>")
    assert dot([5, 5, 6], [1, 1, 1], a_format=quarter, accumulator=acc)[0] == 4
    assert dot([5, 5, 6], [1, 1, 1], a_format=quarter, accumulator=Accumulator("<8,0>", at="end"))[0] == 4
    assert dot([2, 2, 2], [1, 1, 1], a_format=quarter, accumulator=acc)[0] == 0
    assert dot([2, 2, 2], [1, 1, 1], a_format=quarter, accumulator=Accumulator("<8,0>", at="end"))[0] == 2
    assert dot([2, 2, 2], [1, 1, 1], a_format=quarter, accumulator=Accumulator("<8,0>", lanes=2))[0] == 2


def test_a_finer_accumulator_rounds_nothing() -> None:
    raw, result, _ = dot([3, 5], [1, 1], accumulator=Accumulator("<12,4>"))
    assert (raw, result) == (8 * 16, Format(12, 4))


def test_a_product_register_and_a_fused_step_differ() -> None:
    # 1 + 0.5: the fused step rounds 1.5 to 2, the register rounds 0.5 to 0 before it enters
    half = Format(8, 1)
    assert dot([2, 1], [1, 1], a_format=half, accumulator=Accumulator("<8,0>"))[0] == 2
    assert dot([2, 1], [1, 1], a_format=half, accumulator=Accumulator("<8,0>", product="<8,0>"))[0] == 1
    # 0.5 + 0.5 exactly, after each was rounded up
    coarse = Accumulator("<8,1>", product="<8,0>,ceil")
    assert dot([1, 1], [1, 1], a_format=half, accumulator=coarse)[0] == 4


def test_product_overflows_are_counted_apart() -> None:
    raw, result, counts = dot([3, 4, -3], [3, 1, 3], accumulator=Accumulator(product="<4,0>"))
    assert (raw, result) == (7 + 4 - 8, Format(6, 0))
    assert (counts.product_overflows, counts.step_overflows) == (2, 0)


def test_chunks_start_at_zero_and_enter_an_outer_accumulator() -> None:
    values = [5, 5, -5, -5, 6]
    exact_outer = Accumulator(4, chunk=2)
    raw, result, counts = dot(values, [1] * 5, accumulator=exact_outer)
    assert (raw, result) == (7 - 8 + 6, Format(6, 0))
    assert (counts.step_overflows, counts.outer_overflows) == (2, 0)
    narrow_outer = Accumulator(4, chunk=2, outer=Accumulator("<3,0>"))
    raw, result, counts = dot(values, [1] * 5, accumulator=narrow_outer)
    assert (raw, result) == (2, Format(3, 0))  # 7 -> 3, 3 - 8 -> -4, -4 + 6 = 2
    assert (counts.step_overflows, counts.outer_overflows) == (2, 2)


def test_steps_do_not_straddle_chunks() -> None:
    assert summed([5, 5, -5, -5], Accumulator(4, chunk=3, lanes=2)) == 2 - 5


def test_lanes_of_the_outer_accumulator_count_chunk_results() -> None:
    values = [3, 3, -3, -3]
    assert summed(values, Accumulator(4, chunk=1, outer=Accumulator("<3,0>"))) == -3
    assert summed(values, Accumulator(4, chunk=1, outer=Accumulator("<3,0>", lanes=3))) == 0
    assert summed(values, Accumulator(4, chunk=1, outer=Accumulator("<3,0>", lanes=4))) == 0
    assert summed(values, Accumulator(4, chunk=1, outer=Accumulator("<3,0>", at="end"))) == 0
    values = [1, 3, 3, -3]
    assert summed(values, Accumulator(4, chunk=1, outer=Accumulator("<3,0>"))) == 0
    assert summed(values, Accumulator(4, chunk=1, outer=Accumulator("<3,0>", lanes=2))) == 3


def test_a_bias_comes_after() -> None:
    fine = Format(8, 2)
    raw, result, counts = dot([5, 5], [1, 1], bias=3, bias_format=fine, accumulator=Accumulator(4))
    assert (raw, result) == (7, Format(4, 0))  # 7 + 0.75, rounded to 8, overflowed to 7
    assert (counts.step_overflows, counts.output_overflows, counts.inexact) == (1, 1, 1)
    raw, result, _ = dot([5, 5], [1, 1], bias=3, bias_format=fine, accumulator=Accumulator(4), out=Quantizer("<8,2>"))
    assert (raw, result) == (31, fine)
    raw, result, _ = dot([5, 5], [1, 1], bias=3, bias_format=fine)
    assert (raw, result) == (43, Format(20, 2))


def test_a_preloaded_bias_is_rounded_first() -> None:
    fine = Format(8, 2)
    acc = Accumulator(4, bias="preload")
    raw, result, counts = dot([1, 1], [1, 1], bias=6, bias_format=fine, accumulator=acc)
    assert (raw, result) == (2 + 2, Format(4, 0))
    assert (counts.preload_overflows, counts.inexact) == (0, 0)
    raw, _, counts = dot([-1, -1], [1, 1], bias=100, bias_format=fine, accumulator=acc)
    assert (raw, counts.preload_overflows) == (5, 1)
    chunked = Accumulator("<6,0>", chunk=1, outer=Accumulator("<4,0>"), bias="preload")
    raw, _, counts = dot([-1, -1], [1, 1], bias=100, bias_format=fine, accumulator=chunked)
    assert (raw, counts.preload_overflows, counts.step_overflows) == (5, 1, 0)
    exact = Accumulator(bias="preload")
    assert dot([1, 1], [1, 1], bias=6, bias_format=fine, accumulator=exact)[0] == 14


def test_the_output_is_rounded_once() -> None:
    out = Quantizer("<4,-2>")
    raw, result, counts = dot([3, 3], [1, 1], out=out)
    assert (raw, result) == (2, Format(4, -2))  # 6 / 4 = 1.5
    assert (counts.inexact, counts.round_to_zero, counts.output_overflows) == (1, 0, 0)
    _, _, counts = dot([1, 1], [1, 1], out=out)
    assert (counts.inexact, counts.round_to_zero) == (1, 1)
    _, _, counts = dot([127, 127], [1, 1], out=out)
    assert (counts.inexact, counts.output_overflows) == (1, 1)


def test_accumulator_steps_are_not_inexact_outputs() -> None:
    _, _, counts = dot([5, 5], [1, 1], a_format=Format(8, 2), accumulator=Accumulator("<8,0>"))
    assert (counts.inexact, counts.round_to_zero) == (0, 0)


@pytest.mark.parametrize(
    "acc", [Accumulator(), Accumulator(9), Accumulator(9, at="end", chunk=2), Accumulator(9, lanes=3)]
)
def test_no_products(acc: Accumulator) -> None:
    raw, _, counts = dot([], [], accumulator=acc)
    assert (raw, counts) == (0, Counts())
    assert dot([], [], bias=5, bias_format=INT, accumulator=acc)[0] == 5


def test_rounding_at_the_end_happens_once_even_to_nothing() -> None:
    options = {"at": "end", "chunk": 2, "outer": Accumulator(9, "stochastic", at="end")}
    assert dot([], [], accumulator=Accumulator(9, "stochastic", at="end"), key=Key(0))[2].random_draws == 1
    assert dot([], [], accumulator=Accumulator(9, "stochastic", **options), key=Key(0))[2].random_draws == 1
    assert dot([], [], accumulator=Accumulator(9, "stochastic"), key=Key(0))[2].random_draws == 0
    assert dot([1] * 5, [1] * 5, accumulator=Accumulator(9, "stochastic", **options), key=Key(0))[2].random_draws == 4


def test_an_exact_result_beyond_64_bits() -> None:
    wide = Format(32, 0)
    least = -(2**31)
    assert dot([least] * 2, [least, 0], a_format=wide, b_format=wide)[0] == 2**62
    with pytest.raises(
        OverflowError,
        match=r"matmul: the exact result at output index 0 does not fit <64,0> \(-9.*\); name an output format",
    ):
        dot([least] * 2, [least] * 2, a_format=wide, b_format=wide)
    # inside, nothing is too wide
    assert dot([least] * 2, [least] * 2, a_format=wide, b_format=wide, out=Quantizer("<8,-60>"))[0] == 8
    assert dot([least, least, 2**31 - 1], [least, least, least], a_format=wide, b_format=wide)[0] == 2**62 + 2**31


def test_unsigned_and_mixed_operands() -> None:
    byte = Format(8, 0, False)
    raw, result, _ = dot([255, 255], [255, 255], a_format=byte, b_format=byte)
    assert (raw, result) == (2 * 255 * 255, Format(17, 0, False))
    raw, result, _ = dot([255, 255], [-128, -128], a_format=byte)
    assert (raw, result) == (-2 * 255 * 128, Format(17, 0))


class TestErrors:
    """Which overflow is the first, and where it is said to be."""

    def test_steps(self) -> None:
        acc = Accumulator(4, overflow="error")
        with pytest.raises(
            OverflowError,
            match=r"matmul: the accumulator overflows at output index 0, k = 2: 8 is outside <4,0> \(-8\.\.7\); ",
        ):
            summed([3, 4, 1, 5], acc)
        with pytest.raises(
            OverflowError, match="the accumulator overflows at output index 0, k = 2: 12 is outside <4,0>"
        ):
            summed([3, 4, 1, 4], Accumulator(4, overflow="error", lanes=2))
        with pytest.raises(OverflowError, match="the accumulator overflows at output index 0, k = 0"):
            summed([3, 4, 1, 4], Accumulator(4, overflow="error", at="end"))
        with pytest.raises(OverflowError, match="the accumulator overflows at output index 0, k = 4"):
            summed([3, 4, 1, 1, 8], Accumulator(4, overflow="error", chunk=2))

    def test_products_come_before_steps(self) -> None:
        acc = Accumulator(4, overflow="error", product="<4,0>")
        with pytest.raises(OverflowError, match="the product overflows at output index 0, k = 2: 8 is outside <4,0>"):
            summed([7, 7, 8], acc)

    def test_inner_and_outer_steps_as_they_fall(self) -> None:
        acc = Accumulator(4, overflow="error", chunk=2, outer=Accumulator(3, overflow="error"))
        with pytest.raises(
            OverflowError, match="the accumulator overflows at output index 0, k = 0: 6 is outside <3,0>"
        ):
            summed([3, 3, 7, 7], acc)
        with pytest.raises(OverflowError, match="the accumulator overflows at output index 0, k = 3"):
            summed([1, 1, 7, 7], acc)
        with pytest.raises(
            OverflowError, match="the accumulator overflows at output index 0, k = 2: 8 is outside <3,0>"
        ):
            summed([1, 1, 3, 3], acc)

    def test_a_preload_comes_first_and_has_no_k(self) -> None:
        acc = Accumulator(4, overflow="error", product="<4,0>", bias="preload")
        with pytest.raises(OverflowError, match="the preloaded bias overflows at output index 0: 9 is outside"):
            summed([8], acc, bias=9, bias_format=INT)

    def test_the_output_comes_last_and_has_no_k(self) -> None:
        out = Quantizer("<3,0>", overflow="error")
        with pytest.raises(OverflowError, match="the output overflows at output index 0: 4 is outside <3,0>"):
            summed([4], Accumulator(4, overflow="error"), out=out)

    def test_the_lowest_output_comes_first(self) -> None:
        a = np.array([[1, 1], [1, 8], [9, 1]])
        acc = Accumulator(4, overflow="error")
        with pytest.raises(OverflowError, match="at output index 3, k = 1: "):
            matmul(a, INT, np.array([[0, 1], [0, 1]]), INT, accumulator=acc)


def test_a_key_is_needed_before_anything_is_computed() -> None:
    for acc, out in (
        (Accumulator(9, "stochastic"), None),
        (Accumulator(product="<9,0>,stochastic"), None),
        (Accumulator(chunk=2, outer=Accumulator(9, "stochastic")), None),
        (Accumulator(), Quantizer("<9,0>", "stochastic")),
    ):
        with pytest.raises(ValueError, match=r"matmul: .* rounds stochastically and key is None"):
            dot([], [], accumulator=acc, out=out)


def test_every_rounding_draws_at_its_own_site_and_ordinal() -> None:
    # products <12,2> -> register -> inner -> outer -> output, one element with index 5, each stochastic
    key, index, values = Key(11, 13), 5, [7, -9, 13, 22, -30, 41, 3]
    coarse = [Stochastic(bits) for bits in (3, 9, 20, 5)]
    acc = Accumulator(
        "<12,1>",
        coarse[1],
        product=Quantizer("<12,2>", coarse[0]),
        lanes=2,
        chunk=4,
        outer=Accumulator("<12,0>", coarse[2], bias="after"),
        bias="preload",
    )
    a_format, bias_format = Format(8, 3), Format(8, 2)
    raw, _, counts = dot(
        values, [1] * 7, a_format=a_format, accumulator=acc, out=Quantizer("<6,-2>", coarse[3]),
        key=key, index_offset=index, bias=7, bias_format=bias_format,
    )  # fmt: skip

    def rounded(value: Fraction, fl: int, rounding: Stochastic, site: int, ordinal: int) -> Fraction:
        u = random_bits(key, index, rounding.random_bits, site=site, ordinal=ordinal)
        return Fraction(round_real(value * Fraction(2) ** fl, rounding, u)) / Fraction(2) ** fl

    p = [rounded(Fraction(v, 8), 2, coarse[0], 2, k) for k, v in enumerate(values)]
    first = rounded(rounded(p[0] + p[1], 1, coarse[1], 1, 0) + p[2] + p[3], 1, coarse[1], 1, 1)
    second = rounded(rounded(p[4] + p[5], 1, coarse[1], 1, 2) + p[6], 1, coarse[1], 1, 3)
    start = rounded(Fraction(7, 4), 0, coarse[2], 4, 0)
    outer = rounded(rounded(start + first, 0, coarse[2], 3, 0) + second, 0, coarse[2], 3, 1)
    assert Fraction(raw) * 4 == rounded(outer, -2, coarse[3], 0, 0)
    assert counts.random_draws == 7 + 4 + 1 + 2 + 1


values = st.lists(st.integers(-128, 127), max_size=12)
options = {
    "lanes": st.integers(1, 5),
    "chunk": st.none() | st.integers(1, 5),
    "at": st.sampled_from(("step", "end")),
}


@given(a=values, wl=st.integers(1, 20), finer=st.integers(0, 4), order=st.randoms(), **options)
def test_under_wrap_without_rounding_order_and_splits_cannot_matter(
    a: list[int], wl: int, finer: int, order: Any, lanes: int, chunk: int | None, at: str
) -> None:
    format = Format(wl, finer)
    outer = None if chunk is None else Accumulator(format, overflow="wrap", lanes=lanes, at=at)
    acc = Accumulator(format, overflow="wrap", lanes=lanes, at=at, chunk=chunk, outer=outer)
    shuffled = list(a)
    order.shuffle(shuffled)
    plain = summed(a, Accumulator(format, overflow="wrap"))
    assert summed(shuffled, acc) == plain
    assert (plain - (sum(a) << finer)) % 2**wl == 0


@given(a=values, finer=st.integers(0, 4), order=st.randoms(), **options)
def test_where_nothing_overflows_or_rounds_nothing_matters(
    a: list[int], finer: int, order: Any, lanes: int, chunk: int | None, at: str
) -> None:
    acc = Accumulator(Format(24, finer), lanes=lanes, at=at, chunk=chunk)
    shuffled = list(a)
    order.shuffle(shuffled)
    raw, result, counts = dot(shuffled, [1] * len(a), accumulator=acc)
    assert Fraction(raw) / 2**result.fl == sum(a)
    assert counts.step_overflows == counts.outer_overflows == 0
