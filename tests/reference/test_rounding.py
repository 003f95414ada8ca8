"""The reference roundings against the table of numerics, and the properties that define them."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxsim.reference import round_real
from fxsim.rounding import HLS_ROUNDINGS, ROUNDINGS, TAILS, Stochastic

HALF = Fraction(1, 2)
PLAIN = ROUNDINGS[:-1]

reals = st.fractions(-100, 100) | st.integers(-1000, 1000).map(lambda i: Fraction(i, 8))


def steps_up(name: str, s: Fraction) -> bool:
    """The table: whether a rounding steps up from the floor."""
    floor = math.floor(s)
    d = s - floor
    g, r, n, odd = d >= HALF, d not in (0, HALF), s < 0, floor % 2 == 1
    return {
        "floor": False,
        "ceil": d > 0,
        "zero": n and d > 0,
        "away": not n and d > 0,
        "nearest_up": g,
        "nearest_down": g and r,
        "nearest_zero": g and (n or r),
        "nearest_away": g and (not n or r),
        "nearest_even": g and (odd or r),
        "nearest_odd": g and (not odd or r),
    }[name]


@pytest.mark.parametrize("name", PLAIN)
@given(s=reals)
def test_the_table(name: str, s: Fraction) -> None:
    assert round_real(s, name) == math.floor(s) + steps_up(name, s)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        #              -2.5 -1.75 -1.5 -1.25 -0.5 0.5 1.25 1.5 1.75 2.5
        ("floor", [-3, -2, -2, -2, -1, 0, 1, 1, 1, 2]),
        ("ceil", [-2, -1, -1, -1, 0, 1, 2, 2, 2, 3]),
        ("zero", [-2, -1, -1, -1, 0, 0, 1, 1, 1, 2]),
        ("away", [-3, -2, -2, -2, -1, 1, 2, 2, 2, 3]),
        ("nearest_up", [-2, -2, -1, -1, 0, 1, 1, 2, 2, 3]),
        ("nearest_down", [-3, -2, -2, -1, -1, 0, 1, 1, 2, 2]),
        ("nearest_zero", [-2, -2, -1, -1, 0, 0, 1, 1, 2, 2]),
        ("nearest_away", [-3, -2, -2, -1, -1, 1, 1, 2, 2, 3]),
        ("nearest_even", [-2, -2, -2, -1, 0, 0, 1, 2, 2, 2]),
        ("nearest_odd", [-3, -2, -1, -1, -1, 1, 1, 1, 2, 3]),
    ],
)
def test_ties_and_their_neighbours(name: str, expected: list[int]) -> None:
    quarters = (-10, -7, -6, -5, -2, 2, 5, 6, 7, 10)
    assert [round_real(Fraction(quarter, 4), name) for quarter in quarters] == expected


@pytest.mark.parametrize(("hls", "own"), HLS_ROUNDINGS.items())
@given(s=reals)
def test_hls_names(hls: str, own: str, s: Fraction) -> None:
    assert round_real(s, f"AC_{hls}") == round_real(s, own)


@pytest.mark.parametrize("name", PLAIN)
@given(i=st.integers(-(10**30), 10**30))
def test_integers_stay(name: str, i: int) -> None:
    assert round_real(Fraction(i), name) == i


@pytest.mark.parametrize("name", PLAIN)
@given(a=reals, b=reals)
def test_monotone(name: str, a: Fraction, b: Fraction) -> None:
    assert round_real(min(a, b), name) <= round_real(max(a, b), name)


@pytest.mark.parametrize("name", [name for name in PLAIN if name.startswith("nearest")])
@given(s=reals)
def test_nearest_is_within_half_a_step(name: str, s: Fraction) -> None:
    assert abs(round_real(s, name) - s) <= HALF


@pytest.mark.parametrize("name", PLAIN)
@given(s=reals)
def test_every_rounding_is_within_a_step(name: str, s: Fraction) -> None:
    assert abs(round_real(s, name) - s) < 1


@pytest.mark.parametrize(
    ("name", "mirror"),
    [
        ("floor", "ceil"),
        ("nearest_up", "nearest_down"),
        ("zero", "zero"),
        ("away", "away"),
        ("nearest_zero", "nearest_zero"),
        ("nearest_away", "nearest_away"),
        ("nearest_even", "nearest_even"),
        ("nearest_odd", "nearest_odd"),
    ],
)
@given(s=reals)
def test_mirrors(name: str, mirror: str, s: Fraction) -> None:
    assert round_real(-s, name) == -round_real(s, mirror)


@pytest.mark.parametrize("tail", TAILS)
@given(s=reals, r=st.integers(1, 32), data=st.data())
def test_stochastic_takes_a_neighbour(tail: str, s: Fraction, r: int, data: st.DataObject) -> None:
    u = data.draw(st.integers(0, 2**r - 1))
    assert round_real(s, Stochastic(r, tail), u) in (math.floor(s), math.ceil(s))


@pytest.mark.parametrize("tail", TAILS)
@given(a=reals, b=reals, r=st.integers(1, 32), data=st.data())
def test_stochastic_is_monotone_for_each_u(tail: str, a: Fraction, b: Fraction, r: int, data: st.DataObject) -> None:
    u = data.draw(st.integers(0, 2**r - 1))
    rounding = Stochastic(r, tail)
    assert round_real(min(a, b), rounding, u) <= round_real(max(a, b), rounding, u)


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("bits", [1, 3, 6])
def test_stochastic_is_exact_in_expectation_where_no_bits_are_left_over(tail: str, bits: int) -> None:
    rounding, one = Stochastic(bits, tail), 2**bits
    for numerator in range(-2 * one, 2 * one + 1):
        s = Fraction(numerator, one)
        assert sum(Fraction(round_real(s, rounding, u)) for u in range(one)) / one == s


@pytest.mark.parametrize("bits", [1, 3, 5])
def test_the_probability_of_stepping_up(bits: int) -> None:
    one = 2**bits
    for numerator in range(8 * one):
        d = Fraction(numerator, 8 * one)
        ups = {tail: sum(round_real(d, Stochastic(bits, tail), u) for u in range(one)) for tail in TAILS}
        scaled = d * one
        assert ups["truncate"] == math.floor(scaled)
        assert ups["half"] == (math.floor(scaled + HALF) if d else 0)
        assert ups["nearest_even"] == round(scaled)


@given(raw=st.integers(-(2**40), 2**40), dropped=st.integers(1, 40), r=st.integers(1, 32), data=st.data())
def test_truncate_is_the_adder_of_the_hardware(raw: int, dropped: int, r: int, data: st.DataObject) -> None:
    u = data.draw(st.integers(0, 2**r - 1))
    aligned = u << (dropped - r) if dropped >= r else u >> (r - dropped)
    assert round_real(Fraction(raw, 2**dropped), Stochastic(r), u) == (raw + aligned) >> dropped


@pytest.mark.parametrize("tail", TAILS)
def test_a_value_on_the_grid_never_moves(tail: str) -> None:
    for u in range(8):
        assert [round_real(Fraction(i), Stochastic(3, tail), u) for i in (-2, -1, 0, 1)] == [-2, -1, 0, 1]


@pytest.mark.parametrize("u", [None, -1, 8])
def test_stochastic_needs_its_random_integer(u: int | None) -> None:
    with pytest.raises(ValueError, match=rf"rounding is stochastic\(3,truncate\) and u = {u}: .* 0 to 7 is needed"):
        round_real(HALF, Stochastic(3), u)
