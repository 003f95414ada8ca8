"""Words as hexadecimal text, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxsim.export.words import from_hex, to_hex
from fxsim.formats import Format

KNOWN = [
    ("<8,4>", [-1, -128, 127, 0, 16], "ff\n80\n7f\n00\n10\n"),
    ("<6,0>", [-1, -32, 31, 1], "3f\n20\n1f\n01\n"),
    ("<1,0>", [-1, 0], "1\n0\n"),
    ("u<1,0>", [1, 0], "1\n0\n"),
    ("u<9,3>", [511, 256, 1], "1ff\n100\n001\n"),
    ("<64,0>", [-1, -(2**63), 2**63 - 1], "ffffffffffffffff\n8000000000000000\n7fffffffffffffff\n"),
    ("u<63,0>", [2**63 - 1], "7fffffffffffffff\n"),
    ("<13,-2>", [], ""),
]


@pytest.mark.parametrize(("form", "raws", "text"), KNOWN)
def test_words_are_twos_complement_at_the_word_length(form: str, raws: list[int], text: str) -> None:
    assert to_hex(np.array(raws, np.int64), Format.parse(form)) == text.encode()
    assert from_hex(text.encode(), Format.parse(form), "x").tolist() == raws


def test_rows_follow_each_other_whatever_the_layout() -> None:
    raw = np.array([[1, 2, 3], [4, 5, 6]], np.int8)
    assert to_hex(raw.T, Format(4, 0)) == b"1\n4\n2\n5\n3\n6\n"


@given(st.data())
def test_text_gives_the_words_back(data: st.DataObject) -> None:
    signed = data.draw(st.booleans())
    form = Format(data.draw(st.integers(1, 64 if signed else 63)), 0, signed)
    raws = data.draw(st.lists(st.integers(form.raw_min, form.raw_max)))
    text = to_hex(np.array(raws, np.int64), form)
    assert from_hex(text, form, "x").tolist() == raws
    read_by_python = [int(line, 16) for line in text.split()]
    assert [word - (1 << form.wl) * (signed and word >> (form.wl - 1)) for word in read_by_python] == raws


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"1f\n3", "x.hex: 4 bytes: <6,0> has 2 digits and a line end for each word"),
        (b"1f\n3g\n", r"x.hex: line 2 is '3g\\n': 2 digits 0 to f are needed, the first at most 3"),
        (b"1f\n40\n", r"x.hex: line 2 is '40\\n': 2 digits 0 to f are needed, the first at most 3"),
        (b"1F\n", r"x.hex: line 1 is '1F\\n'"),
        (b"0011\n1", r"x.hex: line 1 is '001'"),
    ],
)
def test_what_is_no_word_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        from_hex(text, Format(6, 0), "x.hex")
