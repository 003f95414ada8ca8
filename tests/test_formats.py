"""Formats: ranges, texts, storage, and the two ways of finding one."""

from __future__ import annotations

import copy
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fxsim.formats import Format


def formats() -> st.SearchStrategy[Format]:
    fl = st.integers(-192, 192)
    return st.builds(Format, st.integers(1, 64), fl) | st.builds(Format, st.integers(1, 63), fl, st.just(False))


@pytest.mark.parametrize(
    ("format", "raw_min", "raw_max", "low", "high", "step"),
    [
        (Format(8, 4), -128, 127, -8.0, 7.9375, 0.0625),
        (Format(8, 4, False), 0, 255, 0.0, 15.9375, 0.0625),
        (Format(1, 0), -1, 0, -1.0, 0.0, 1.0),
        (Format(1, 0, False), 0, 1, 0.0, 1.0, 1.0),
        (Format(4, 6), -8, 7, -0.125, 0.109375, 2**-6),
        (Format(4, -2), -8, 7, -32.0, 28.0, 4.0),
        (Format(64, 0), -(2**63), 2**63 - 1, -(2.0**63), 2.0**63, 1.0),
        (Format(63, 192, False), 0, 2**63 - 1, 0.0, 2.0**-129, 2.0**-192),
    ],
)
def test_range(format: Format, raw_min: int, raw_max: int, low: float, high: float, step: float) -> None:
    assert (format.raw_min, format.raw_max) == (raw_min, raw_max)
    assert (format.min, format.max, format.step) == (low, high, step)


@pytest.mark.parametrize(
    ("text", "format"),
    [
        ("<8,4>", Format(8, 4)),
        (" < 8 , -4 > ", Format(8, -4)),
        ("u<8,12>", Format(8, 12, False)),
        ("ap_fixed<8,3>", Format(8, 5)),
        ("ap_fixed<8,-2>", Format(8, 10)),
        ("ap_fixed< 8, 12 >", Format(8, -4)),
        ("ap_ufixed<8,3>", Format(8, 5, False)),
        ("sc_fixed<8,3>", Format(8, 5)),
        ("sc_ufixed<8,3>", Format(8, 5, False)),
        ("ac_fixed<8,3>", Format(8, 5)),
        ("ac_fixed<8,3,true>", Format(8, 5)),
        ("ac_fixed<8,3,false>", Format(8, 5, False)),
        ("sfix8", Format(8, 0)),
        ("sfix8_En4", Format(8, 4)),
        ("ufix8_E4", Format(8, -4, False)),
    ],
)
def test_parse(text: str, format: Format) -> None:
    assert Format.parse(text) == format


@pytest.mark.parametrize(
    "text", ["", "8,4", "<8>", "<8,4", "s<8,4>", "<8.0,4>", "ac_ufixed<8,4>", "fixed<8,4>", "sfix8_4"]
)
def test_parse_refuses_what_is_no_format(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a format; write '<8,4>', 'u<8,4>'"):
        Format.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ap_fixed<8,4,AP_RND>", r"also names modes \(AP_RND\): a format has none; use Quantizer.parse"),
        ("ac_fixed<8,4,true,AC_RND,AC_SAT>", r"also names modes \(AC_RND, AC_SAT\)"),
        ("ac_fixed<8,4,AC_RND>", "the third argument of ac_fixed is 'true'"),
        ("ap_fixed<8>", "the first two arguments are the integers W and I"),
        ("ap_fixed<8,x>", "the first two arguments are the integers W and I"),
        ("<65,0>", r"wl = 65: a signed format has 1 to 64 bits"),
        ("u<64,0>", r"wl = 64: an unsigned format has 1 to 63 bits"),
        ("<0,0>", r"wl = 0"),
        ("<8,193>", r"fl = 193: accepted are -192 to 192"),
    ],
)
def test_parse_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Format.parse(text)


@given(formats())
def test_text_round_trip(format: Format) -> None:
    assert Format.parse(str(format)) == format


@given(formats())
def test_copies_are_equal(format: Format) -> None:
    assert pickle.loads(pickle.dumps(format)) == format == copy.deepcopy(format)
    assert hash(copy.deepcopy(format)) == hash(format)


def test_repr_shows_the_range() -> None:
    assert repr(Format(8, 4)) == "Format(<8,4>: -8.0 to 7.9375)"


@given(formats())
def test_storage_is_the_narrowest_that_holds_the_range(format: Format) -> None:
    info = np.iinfo(format.numpy_dtype)
    assert info.min <= format.raw_min
    assert format.raw_max <= info.max
    narrower = {8: (), 16: (np.int8, np.uint8), 32: (np.int16,), 64: (np.int32,)}[info.bits]
    for dtype in narrower:
        assert format.raw_min < np.iinfo(dtype).min or format.raw_max > np.iinfo(dtype).max


def test_storage_types() -> None:
    assert [Format(wl, 0).dtype for wl in (8, 9, 16, 17, 32, 33)] == [
        torch.int8, torch.int16, torch.int16, torch.int32, torch.int32, torch.int64,
    ]  # fmt: skip
    assert [Format(wl, 0, False).dtype for wl in (1, 8, 9, 15, 16, 31, 32, 63)] == [
        torch.uint8, torch.uint8, torch.int16, torch.int16, torch.int32, torch.int32, torch.int64, torch.int64,
    ]  # fmt: skip


def test_integers_of_numpy_are_taken() -> None:
    format = Format(np.int64(8), np.int32(4))
    assert format == Format(8, 4)
    assert type(format.wl) is int


@pytest.mark.parametrize("wl", [8.0, "8", True, None])
def test_a_word_length_is_an_integer(wl: object) -> None:
    with pytest.raises(TypeError, match=r"Format: wl = .*: an integer is needed"):
        Format(wl, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bits", "pdr", "signed", "format"),
    [
        (8, 1, True, Format(8, 7)),
        (8, 0.5, True, Format(8, 8)),
        (8, 16, True, Format(8, 3)),
        (8, 1, False, Format(8, 7, False)),
        (1, Fraction(1, 4), True, Format(1, 2)),
    ],
)
def test_from_pdr(bits: int, pdr: float, signed: bool, format: Format) -> None:
    assert Format.from_pdr(bits, pdr, signed) == format
    assert format.raw_min * Fraction(format.step) == (-Fraction(pdr) if signed else 0)
    assert (format.raw_max + 1) * Fraction(format.step) == (pdr if signed else 2 * pdr)


@pytest.mark.parametrize("pdr", [0, -1, 3, 0.75, math.inf, math.nan])
def test_from_pdr_needs_a_power_of_two(pdr: float) -> None:
    with pytest.raises(ValueError, match=r"Format\.from_pdr: pdr"):
        Format.from_pdr(8, pdr)


@pytest.mark.parametrize(
    ("lo", "hi", "wl", "signed", "fl"),
    [
        (0, 0, 8, True, 64),
        (-1, 1, 8, True, 6),
        (-1, 0, 8, True, 7),
        (0, 127, 8, True, 0),
        (0, 127.5, 8, True, -1),
        (0, 127.5, 8, False, 1),
        (0, 0.125, 8, False, 10),
        (-(2.0**70), 0, 8, True, -63),
        (0, math.nextafter(127.0, 128.0), 8, True, -1),
        (0, np.float32(0.5), 8, True, 7),
    ],
)
def test_covering(lo: float, hi: float, wl: int, signed: bool, fl: int) -> None:
    assert Format.covering(lo, hi, wl, signed) == Format(wl, fl, signed)


finite = st.floats(-1e12, 1e12)


@given(finite, finite, st.integers(2, 63), st.booleans())
def test_covering_is_the_finest_that_covers(x: float, y: float, wl: int, signed: bool) -> None:
    lo, hi = Fraction(min(x, y)), Fraction(max(x, y))
    if not signed and lo < 0:
        with pytest.raises(ValueError, match="make it signed"):
            Format.covering(lo, hi, wl, signed)
        return
    format = Format.covering(lo, hi, wl, signed)
    assert format.raw_min <= lo * Fraction(2) ** format.fl
    assert hi * Fraction(2) ** format.fl <= format.raw_max
    finer = Fraction(2) ** (format.fl + 1)
    assert format.fl == 64 or lo * finer < format.raw_min or format.raw_max < hi * finer


@pytest.mark.parametrize(
    ("lo", "hi", "wl", "message"),
    [
        (1, 0, 8, "lo = 1 exceeds hi = 0"),
        (math.nan, 0, 8, "lo = nan is not finite"),
        (0, math.inf, 8, "hi = inf is not finite"),
        (0, 2.0**80, 8, "no signed format of 8 bits with fl from -64 to 64 holds"),
        (0, 1, 1, "no signed format of 1 bits"),
    ],
)
def test_covering_says_why_not(lo: float, hi: float, wl: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Format.covering(lo, hi, wl)
