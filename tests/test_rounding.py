"""Names of roundings and overflow modes, and quantizers as texts."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxsim.formats import Format
from fxsim.rounding import (
    HLS_OVERFLOWS,
    HLS_ROUNDINGS,
    OVERFLOWS,
    ROUNDINGS,
    TAILS,
    Quantizer,
    Rounding,
    Stochastic,
    parse_overflow,
    parse_rounding,
)


def quantizers() -> st.SearchStrategy[Quantizer]:
    format = st.builds(Format, st.integers(1, 63), st.integers(-192, 192), st.booleans())
    stochastic = st.builds(Stochastic, st.integers(1, 32), st.sampled_from(TAILS))
    return st.builds(Quantizer, format, st.sampled_from(ROUNDINGS) | stochastic, st.sampled_from(OVERFLOWS))


def test_the_names_and_their_order() -> None:
    assert ROUNDINGS == (
        "floor", "ceil", "zero", "away", "nearest_up", "nearest_down",
        "nearest_zero", "nearest_away", "nearest_even", "nearest_odd", "stochastic",
    )  # fmt: skip
    assert OVERFLOWS == ("saturate", "saturate_symmetric", "saturate_zero", "wrap", "error")
    assert TAILS == ("truncate", "half", "nearest_even")


@pytest.mark.parametrize("prefix", ["", "AC_", "SC_", "AP_"])
@pytest.mark.parametrize(("name", "own"), HLS_ROUNDINGS.items())
def test_hls_roundings(prefix: str, name: str, own: str) -> None:
    assert parse_rounding(prefix + name) == own


@pytest.mark.parametrize("prefix", ["", "AC_", "SC_", "AP_"])
@pytest.mark.parametrize(("name", "own"), HLS_OVERFLOWS.items())
def test_hls_overflows(prefix: str, name: str, own: str) -> None:
    assert parse_overflow(prefix + name) == own


def test_what_hls_names_mean() -> None:
    assert HLS_ROUNDINGS == {
        "TRN": "floor",
        "TRN_ZERO": "zero",
        "RND": "nearest_up",
        "RND_MIN_INF": "nearest_down",
        "RND_ZERO": "nearest_zero",
        "RND_INF": "nearest_away",
        "RND_CONV": "nearest_even",
        "RND_CONV_ODD": "nearest_odd",
    }
    assert HLS_OVERFLOWS == {
        "SAT": "saturate",
        "SAT_SYM": "saturate_symmetric",
        "SAT_ZERO": "saturate_zero",
        "WRAP": "wrap",
    }


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("stochastic", Stochastic()),
        ("stochastic(8)", Stochastic(8)),
        ("stochastic(8, half)", Stochastic(8, "half")),
        (Stochastic(32, "nearest_even"), Stochastic(32, "nearest_even")),
    ],
)
def test_stochastic_texts(rounding: Rounding, expected: Stochastic) -> None:
    assert parse_rounding(rounding) == expected


@pytest.mark.parametrize("name", ["", "nearest", "rnd", "AX_RND", "AC_floor", "AC_", "stochastic(8,half,1)", "FLOOR"])
def test_unknown_roundings(name: str) -> None:
    with pytest.raises(ValueError, match=r"rounding = .*: accepted are floor, ceil.*RND_CONV_ODD"):
        parse_rounding(name)


@pytest.mark.parametrize("name", ["", "clip", "AC_wrap", "SATURATE"])
def test_unknown_overflows(name: str) -> None:
    with pytest.raises(ValueError, match=r"overflow = .*: accepted are saturate, .*SAT_ZERO"):
        parse_overflow(name)


@pytest.mark.parametrize("name", ["WRAP_SM", "AC_WRAP_SM", "SC_WRAP_SM"])
def test_sign_magnitude_wrap_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"overflow = '{name}': wrapping in sign and magnitude is not modelled"):
        parse_overflow(name)


def test_wrap_with_saturated_bits_is_refused_by_name() -> None:
    assert parse_overflow("SC_WRAP(0)") == "wrap"
    with pytest.raises(ValueError, match=r"overflow = 'SC_WRAP\(2\)': wrapping with saturated bits is not modelled"):
        parse_overflow("SC_WRAP(2)")
    with pytest.raises(ValueError, match=r"overflow = 'SC_WRAP\(2\)'"):
        Quantizer.parse("sc_fixed<8,4,SC_RND,SC_WRAP,2>")


@pytest.mark.parametrize("value", [3, None, 1.5])
def test_modes_are_names(value: object) -> None:
    with pytest.raises(TypeError, match="a name or Stochastic is needed"):
        parse_rounding(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a name is needed"):
        parse_overflow(value)  # type: ignore[arg-type]


def test_stochastic_refuses() -> None:
    for bits in (0, 33, -1):
        with pytest.raises(ValueError, match=f"Stochastic: random_bits = {bits}: accepted are 1 to 32"):
            Stochastic(bits)
    with pytest.raises(TypeError, match=r"random_bits = 1\.5"):
        Stochastic(1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tail = 'round': accepted are truncate, half, nearest_even"):
        Stochastic(8, "round")


@pytest.mark.parametrize(
    ("text", "quantizer"),
    [
        ("<8,4>", Quantizer("<8,4>", "nearest_even", "saturate")),
        ("<8,4>,floor", Quantizer("<8,4>", "floor", "saturate")),
        ("<8,4>, RND_CONV_ODD, WRAP", Quantizer("<8,4>", "nearest_odd", "wrap")),
        ("<8,4>,stochastic(16,truncate),wrap", Quantizer("<8,4>", Stochastic(), "wrap")),
        ("u<8,4>,stochastic", Quantizer("u<8,4>", Stochastic(16, "truncate"), "saturate")),
        ("sfix8_En4,zero", Quantizer("<8,4>", "zero", "saturate")),
        ("ap_fixed<8,4>", Quantizer("<8,4>", "floor", "wrap")),
        ("ap_fixed<8,4,AP_RND>", Quantizer("<8,4>", "nearest_up", "wrap")),
        ("ap_fixed<8,4,AP_RND,AP_SAT>", Quantizer("<8,4>", "nearest_up", "saturate")),
        ("ap_ufixed<8,4,AP_RND,AP_WRAP,0>", Quantizer("u<8,4>", "nearest_up", "wrap")),
        ("ap_fixed<8,4,AP_RND,AP_SAT,3>", Quantizer("<8,4>", "nearest_up", "saturate")),
        ("ac_fixed<8,4,false,AC_RND_CONV,AC_SAT_SYM>", Quantizer("u<8,4>", "nearest_even", "saturate_symmetric")),
        ("ac_fixed<8,4,true>", Quantizer("<8,4>", "floor", "wrap")),
    ],
)
def test_parse(text: str, quantizer: Quantizer) -> None:
    assert Quantizer.parse(text) == quantizer == Quantizer.of(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<8,4>,floor,wrap,1", "has 3 modes; at most two follow the format"),
        ("<8,4>,wrap", "rounding = 'wrap': accepted are"),
        ("<8,4>,floor,floor", "overflow = 'floor': accepted are"),
        ("floor", "'floor' is not a format"),
        ("ap_fixed<8,4,AP_RND,AP_SAT,1,2>", "a quantization mode, an overflow mode and a bit count"),
        ("ap_fixed<8,4,AP_RND,AP_WRAP,x>", "a quantization mode, an overflow mode and a bit count"),
        ("ap_fixed<8,4,AP_RND,AP_WRAP_SM>", "sign and magnitude"),
    ],
)
def test_parse_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Quantizer.parse(text)


def test_texts_are_as_short_as_possible() -> None:
    assert str(Quantizer("<8,4>")) == "<8,4>"
    assert str(Quantizer("<8,4>", "RND")) == "<8,4>,nearest_up"
    assert str(Quantizer("<8,4>", overflow="WRAP")) == "<8,4>,nearest_even,wrap"
    assert repr(Quantizer("<8,4>", Stochastic(), "wrap")) == "Quantizer.parse('<8,4>,stochastic(16,truncate),wrap')"


@given(quantizers())
def test_text_round_trip(quantizer: Quantizer) -> None:
    assert Quantizer.parse(str(quantizer)) == quantizer


@given(quantizers())
def test_copies_are_equal(quantizer: Quantizer) -> None:
    assert pickle.loads(pickle.dumps(quantizer)) == quantizer == copy.deepcopy(quantizer)
    assert hash(copy.deepcopy(quantizer)) == hash(quantizer)


def test_of() -> None:
    quantizer = Quantizer("<8,4>", "floor")
    assert Quantizer.of(quantizer) is quantizer
    assert Quantizer.of(Format(8, 4)) == Quantizer("<8,4>", "nearest_even", "saturate")
    with pytest.raises(TypeError, match=r"a Quantizer, a Format or a text such as .* is needed, not int"):
        Quantizer.of(8)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"Quantizer: format = 8: a Format or its text is needed"):
        Quantizer(8)  # type: ignore[arg-type]


def test_what_a_kernel_asks() -> None:
    plain, drawn = Quantizer("<8,4>"), Quantizer("<8,4>", Stochastic(9, "half"))
    assert (plain.is_stochastic, plain.rounding_name, plain.random_bits, plain.tail) == (
        False, "nearest_even", 0, "truncate",
    )  # fmt: skip
    assert (drawn.is_stochastic, drawn.rounding_name, drawn.random_bits, drawn.tail) == (True, "stochastic", 9, "half")


def test_with_format_keeps_the_modes() -> None:
    assert Quantizer("<8,4>", "floor", "wrap").with_format(Format(6, 2)) == Quantizer("<6,2>", "floor", "wrap")
