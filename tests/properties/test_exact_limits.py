"""Exact sums at the bounds of the blocked kernels: extreme operands, sums longer than a slab, odd edges.

The blocked kernels split operands into limbs of at most 15 bits, add as many products in 32 bits as a bound allows,
and keep sums in 64 or 128 bits. Operands that are all at an end of their range reach those bounds; lengths around a
slab (8192) and a vector (32) reach the seams.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import fxsim as fx

FORMATS = [fx.Format(wl, 0, signed) for wl in (1, 8, 12, 13, 16, 17, 24, 25, 28, 31, 32) for signed in (True, False)]
LIMBED = [form for form in FORMATS if form.wl in (16, 24, 28, 32)]
LENGTHS = [1, 31, 33, 129, 8191, 8193]
WRAP = fx.Quantizer("<64,0>", overflow="wrap")


@pytest.fixture(params=fx.isa.available()[1:])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    fx.isa.force(request.param)
    yield request.param
    fx.isa.force(None)


def _wrapped(value: int) -> int:
    return (value + 2**63) % 2**64 - 2**63


def _filled(rows: int, columns: int, value: int, form: fx.Format) -> fx.FixedTensor:
    return fx.FixedTensor(torch.full((rows, columns), value, dtype=form.dtype), form)


@pytest.mark.parametrize("a_format", FORMATS, ids=str)
def test_operands_at_the_ends_of_their_ranges(isa: str, a_format: fx.Format) -> None:
    for b_format, k in itertools.product(FORMATS, (1, 33, 129, 700)):
        for a in (a_format.raw_min, a_format.raw_max):
            for b in (b_format.raw_min, b_format.raw_max):
                got = fx.linear(_filled(3, k, a, a_format), _filled(5, k, b, b_format), out=WRAP).raw
                assert got.unique().tolist() == [_wrapped(k * a * b)], (isa, str(b_format), k, a, b)


def _at_the_ends_of_limbs(form: fx.Format) -> list[int]:
    """Ends of the range, and values whose limbs of any size are each at an end, half a unit, or one short of it."""
    ends = {form.raw_min, form.raw_max, 0}
    for bits in range(5, 17):
        halves = sum(1 << shift + bits - 1 for shift in range(0, 32, bits))
        short = sum((1 << bits - 1) - 1 << shift for shift in range(0, 32, bits))
        for end, limbs in itertools.product((form.raw_min, form.raw_max), (1, 2)):
            low = (1 << bits * limbs) - 1
            ends |= {(end & ~low) | (below & low) for below in (halves, halves - 1, short)}
    return sorted(value for value in ends if form.raw_min <= value <= form.raw_max)


@pytest.mark.parametrize("a_format", LIMBED, ids=str)
def test_limbs_at_their_ends(isa: str, a_format: fx.Format) -> None:
    for b_format, k in itertools.product(LIMBED, (1, 64, 511, 512)):
        a, b = _at_the_ends_of_limbs(a_format), _at_the_ends_of_limbs(b_format)
        left, right = (
            fx.FixedTensor(torch.tensor(ends).to(form.dtype)[:, None].repeat(1, k), form)
            for ends, form in ((a, a_format), (b, b_format))
        )
        got = fx.linear(left, right, out=WRAP).raw.tolist()
        assert got == [[_wrapped(k * x * y) for y in b] for x in a], (isa, str(b_format), k)


@pytest.mark.parametrize("k", LENGTHS)
@pytest.mark.parametrize(("m", "n"), [(1, 1), (7, 65), (65, 7), (50, 130)])
@pytest.mark.parametrize("wl", [8, 13, 20, 24, 29, 32])
def test_random_operands_over_slabs_and_edges(isa: str, wl: int, m: int, n: int, k: int) -> None:
    random = np.random.default_rng([wl, m, n, k])
    form = fx.Format(wl, 0)
    a = random.integers(form.raw_min, form.raw_max, (m, k), endpoint=True)
    b = random.integers(form.raw_min, form.raw_max, (n, k), endpoint=True)
    operands = [fx.FixedTensor(torch.from_numpy(raw).to(form.dtype), form) for raw in (a, b)]
    got = fx.linear(*operands, out=WRAP).raw.numpy()
    with np.errstate(over="ignore"):
        wanted = a @ b.T  # int64, mod 2^64
    assert np.array_equal(got, wanted), isa


@pytest.mark.parametrize("k", [5, 8200])
def test_sums_beyond_64_bits_saturate_as_the_exact_number_says(isa: str, k: int) -> None:
    form = fx.Format(32, 0)
    low, high = _filled(2, k, form.raw_min, form), _filled(2, k, form.raw_max, form)
    out = fx.Quantizer("<64,0>")
    assert fx.linear(low, low, out=out).raw.unique().tolist() == [min(k * form.raw_min**2, 2**63 - 1)], isa
    assert fx.linear(low, high, out=out).raw.unique().tolist() == [max(k * form.raw_min * form.raw_max, -(2**63))], isa
    exact = fx.Quantizer(fx.Format(64, -20), rounding="floor")
    assert fx.linear(low, low, out=exact).raw.unique().tolist() == [k * form.raw_min**2 >> 20], isa


LOW, HIGH = -(2**31), 2**31 - 1
AROUND_64_BITS = {
    "2^63 - 1": [(LOW, LOW), (LOW, LOW), (1, -1)],
    "2^63": [(LOW, LOW), (LOW, LOW)],
    "-2^63": [(LOW, HIGH), (HIGH, LOW), (-(2**16), 2**16)],
    "-2^63 - 1": [(LOW, HIGH), (HIGH, LOW), (-(2**16), 2**16), (1, -1)],
    "2^64": [(LOW, LOW)] * 4,
    "2^64 + 1": [(LOW, LOW)] * 4 + [(-1, -1)],
    "-2^64": [(LOW, HIGH)] * 4 + [(-(2**17), 2**16)],
    "2^70": [(LOW, LOW)] * 256,
    "there and back": [(LOW, LOW)] * 300 + [(LOW, HIGH)] * 300 + [(LOW, 1)] * 299,
    "0": [(0, LOW), (0, HIGH)],
}


@pytest.mark.parametrize("terms", AROUND_64_BITS.values(), ids=AROUND_64_BITS)
def test_sums_around_64_bits(isa: str, terms: list[tuple[int, int]]) -> None:
    """As they are, refused, and rounded: one such sum at the last row and column of tiles, or whole tiles of them."""
    form = fx.Format(32, 0)
    a = torch.zeros((7, len(terms)), dtype=torch.int32)
    b = torch.zeros((len(terms), 65), dtype=torch.int32)
    for rows, columns in ((slice(6, 7), slice(64, 65)), (slice(0, 7), slice(0, 65))):
        a[rows], b[:, columns] = torch.tensor([x for x, _ in terms]), torch.tensor([[y] for _, y in terms])
        expected = sum(x * y for x, y in terms)
        left, right = fx.FixedTensor(a, form), fx.FixedTensor(b, form)
        out = fx.Quantizer(fx.Format(40, -40), rounding="floor")
        assert fx.matmul(left, right, out=out).raw[rows, columns].unique().tolist() == [expected >> 40], isa
        if -(2**63) <= expected < 2**63:
            assert fx.matmul(left, right).raw[rows, columns].unique().tolist() == [expected], isa
            continue
        texts = []
        for name in ("reference", isa):
            fx.isa.force(name)
            with pytest.raises(OverflowError) as refused:
                fx.matmul(left, right)
            texts.append(str(refused.value))
        assert texts[0] == texts[1]


@pytest.mark.parametrize("wl", [39, 40, 41, 42])
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_sums_of_limbs_that_a_register_takes_at_the_end(isa: str, wl: int, overflow: str) -> None:
    """Its range ends at a quarter of the sums, and beyond them."""
    form = fx.Format(16, 0)
    low, high = _filled(3, 600, form.raw_min, form), _filled(70, 600, form.raw_max, form)
    register = fx.Accumulator(fx.Format(wl, 0), overflow=overflow, at="end")
    for a, b in ((low, low), (low, high), (high, low), (high, high)):
        exact = 600 * int(a.raw[0, 0]) * int(b.raw[0, 0])
        held = (
            min(max(exact, register.format.raw_min), register.format.raw_max)
            if overflow == "saturate"
            else (exact + 2 ** (wl - 1)) % 2**wl - 2 ** (wl - 1)
        )
        assert fx.linear(a, b, accumulator=register).raw.unique().tolist() == [held], isa


@pytest.mark.parametrize("wl", [20, 33, 47, 48, 49])
def test_a_stepping_accumulator_at_the_static_bound(isa: str, wl: int) -> None:
    """Around the width where a bound shows that nothing overflows, and where it does not."""
    form = fx.Format(12, 0)
    low = _filled(2, 64, form.raw_min, form)
    step = form.raw_min**2
    high = 2 ** (wl - 1) - 1
    wanted = 0
    for _ in range(64):
        wanted = min(wanted + step, high)
    assert fx.linear(low, low, accumulator=fx.Accumulator(wl)).raw.unique().tolist() == [wanted], isa


def _stepped(isa: str, wl: int, operands: tuple[fx.Format, fx.Format], overflow: str, bias: str) -> tuple[object, ...]:
    """Outputs with counting off and on, and how often the accumulator left its range."""
    random = np.random.default_rng(wl)
    a, b = (
        fx.FixedTensor(
            torch.from_numpy(random.integers(f.raw_min, f.raw_max, (rows, 101), endpoint=True)).to(f.dtype), f
        )
        for f, rows in zip(operands, (14, 83), strict=True)
    )
    start = fx.FixedTensor(torch.from_numpy(random.integers(-900, 900, 83)).to(torch.int16), fx.Format(11, 0))
    accumulator = fx.Accumulator(wl, overflow=overflow, bias=bias)
    plain = fx.linear(a, b, start, accumulator=accumulator)
    with fx.count() as counts:
        counted = fx.linear(a, b, start, accumulator=accumulator)
    assert counted == plain, isa
    return plain.raw.tolist(), counts.total.step_overflows, counts.total.preload_overflows


@pytest.mark.parametrize("bias", ["after", "preload"])
@pytest.mark.parametrize("overflow", ["saturate", "saturate_symmetric", "saturate_zero", "wrap"])
@pytest.mark.parametrize(
    "operands", [("<8,0>", "<8,0>"), ("u<8,0>", "<8,0>"), ("<16,0>", "<9,0>"), ("<16,0>", "<16,0>")]
)
@pytest.mark.parametrize("wl", [2, 9, 16, 18, 24, 30, 31])
def test_clipping_everywhere(wl: int, operands: tuple[str, str], overflow: str, bias: str) -> None:
    formats = (fx.Format.parse(operands[0]), fx.Format.parse(operands[1]))
    try:
        wanted = _stepped("reference", wl, formats, overflow, bias)
        for isa in fx.isa.available()[1:]:
            assert _stepped(isa, wl, formats, overflow, bias) == wanted, isa
    finally:
        fx.isa.force(None)


@pytest.mark.parametrize(
    "column",
    [
        [-32768, -32767],  # 2^15 * 65535 is the most that a sum of words takes
        [-32768, -32768],  # one pair is too many
        [-32768, -32767, -1, 0],
        [-16384, -16384, -16384, -16383],
        [-16384, -16384, -16384, -16384],
        [-1] * 65535,
        [-1] * 65536,
        [*([-1] * 65534), -32768, -32768],
    ],
    ids=lambda column: f"{len(column)} of {min(column)}",
)
def test_segments_end_where_a_sum_of_words_could_leave_32_bits(isa: str, column: list[int]) -> None:
    """Every operand at its end, all signs alike: the sum of a segment is as large as its bound."""
    form = fx.Format(16, 0)
    w = torch.tensor(column, dtype=torch.int16)[:, None]
    for end in (-32768, 32767):
        x = torch.full((3, len(column)), end, dtype=torch.int16)
        expected = end * sum(column)
        got = fx.matmul(fx.FixedTensor(x, form), fx.FixedTensor(w, form)).raw
        assert got.tolist() == [[expected]] * 3, (isa, end)


@pytest.mark.parametrize(("wl", "bits"), [(wl, bits) for wl in (28, 32) for bits in range(1, wl + 1)])
@pytest.mark.parametrize("low", [True, False])
def test_words_as_narrow_as_their_values(isa: str, wl: int, bits: int, low: bool) -> None:
    """One element at either end of a narrower word: neither end may be cut off.

    By words of 28 bits the bound of the sum, 27 + 27 + 7 bits, is just within what is summed in 64; by words of 32 it
    is not.
    """
    form, end = fx.Format(wl, 0), -(1 << bits - 1) if low else (1 << bits - 1) - 1
    x = torch.zeros((2, 70), dtype=torch.int32)
    x[1, 69] = end
    w = torch.zeros((70, 3), dtype=torch.int32)
    w[69] = torch.tensor([end, 1, -1])
    got = fx.matmul(fx.FixedTensor(x, form), fx.FixedTensor(w, form)).raw
    assert got.tolist() == [[0, 0, 0], [end * end, end, -end]], isa
