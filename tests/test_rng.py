"""Random bits: Random123's known answers, the mapping of elements to fields, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxsim.rng import Key, Role, philox4x32, random_bits, stream, uniform_bits

ONES = 0xFFFFFFFF

KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers_of_philox(
    counter: tuple[int, int, int, int], key: tuple[int, int], expected: tuple[int, int, int, int]
) -> None:
    assert philox4x32(counter, key) == expected


def test_first_fields_of_the_zero_vector() -> None:
    # Element 16 f of block 0 is field f of the known answer: least significant word first.
    key = Key(0, 0)
    words = (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert [random_bits(key, 16 * f, 32) for f in range(4)] == list(words)
    halves = [half for word in words for half in (word & 0xFFFF, word >> 16)]
    assert [random_bits(key, 16 * f, 16) for f in range(8)] == halves
    assert [random_bits(key, 16 * f, 8) for f in range(16)] == list(b"".join(w.to_bytes(4, "little") for w in words))


def test_fewer_bits_are_the_top_of_a_field() -> None:
    key = Key(7, 9)
    for i in range(300):
        assert random_bits(key, i, 5) == random_bits(key, i, 8) >> 3
        assert random_bits(key, i, 9) == random_bits(key, i, 16) >> 7
        assert random_bits(key, i, 17) == random_bits(key, i, 32) >> 15


def test_sites_ordinals_seeds_and_streams_enter_the_counter() -> None:
    site, ordinal, index = 3, 5, 16 * 4 * 7 + 2
    seed, stream_ = 0x0123456789ABCDEF, 0xFEDCBA9876543210
    block = 16 * 7 + 2 + (ordinal << 40) + (site << 61)
    counter = (block & ONES, block >> 32, stream_ & ONES, stream_ >> 32)
    word = philox4x32(counter, (seed & ONES, seed >> 32))[0]
    assert random_bits(Key(seed, stream_), index, 32, site=site, ordinal=ordinal) == word


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**41) | st.integers(2**42 - 300, 2**42 - 200),
    st.integers(0, 200),
    st.integers(1, 32),
    st.integers(0, 4),
    st.integers(0, 2**21 - 1),
)
def test_arrays_hold_the_same_bits(
    seed: int, stream_: int, start: int, count: int, bits: int, site: int, ordinal: int
) -> None:
    key = Key(seed, stream_)
    drawn = uniform_bits(key, count, bits, start=start, site=site, ordinal=ordinal)
    assert drawn.dtype == np.uint32
    assert drawn.tolist() == [random_bits(key, start + i, bits, site=site, ordinal=ordinal) for i in range(count)]


def test_bits_are_uniform() -> None:
    drawn = uniform_bits(Key(1, 2), 1 << 16, 4)
    counts = np.bincount(drawn, minlength=16)
    assert counts.sum() == 1 << 16
    assert (abs(counts - 4096) < 6 * 64).all()  # six standard deviations; the bits never change


@pytest.mark.parametrize(("bits", "fields"), [(8, 16), (16, 8), (32, 4)])
def test_the_last_index_that_has_bits(bits: int, fields: int) -> None:
    last = (1 << 40) * fields - 1
    key = Key(0)
    assert random_bits(key, last, bits) == uniform_bits(key, 1, bits, start=last)[0]
    for index in (last + 1, -1):
        with pytest.raises(ValueError, match=f"index = {index}: its block is outside 0 to"):
            random_bits(key, index, bits)
        with pytest.raises(ValueError, match=f"index = {index}: its block is outside 0 to"):
            uniform_bits(key, 1, bits, start=index)
    with pytest.raises(ValueError, match=f"index = {last + 1}"):
        uniform_bits(key, 2, bits, start=last)


def test_the_last_ordinal_that_has_bits() -> None:
    key = Key(0)
    assert random_bits(key, 0, 8, ordinal=2**21 - 1) == uniform_bits(key, 1, 8, ordinal=2**21 - 1)[0]
    for ordinal in (2**21, -1):
        with pytest.raises(ValueError, match=f"ordinal = {ordinal}: .* numbered 0 to 2097151"):
            random_bits(key, 0, 8, ordinal=ordinal)
        with pytest.raises(ValueError, match=f"ordinal = {ordinal}"):
            uniform_bits(key, 1, 8, ordinal=ordinal)


@pytest.mark.parametrize("bits", [0, 33])
def test_bits_out_of_range(bits: int) -> None:
    with pytest.raises(ValueError, match=f"bits = {bits}: accepted are 1 to 32"):
        random_bits(Key(0), 0, bits)


@pytest.mark.parametrize("site", [-1, 8])
def test_site_out_of_range(site: int) -> None:
    with pytest.raises(ValueError, match=f"site = {site}: accepted are 0 to 7"):
        random_bits(Key(0), 0, 8, site=site)


def test_negative_count() -> None:
    with pytest.raises(ValueError, match="count = -1"):
        uniform_bits(Key(0), -1, 8)


def test_keys_are_64_bits() -> None:
    assert Key(2**64 - 1, 2**64 - 1).stream == 2**64 - 1
    assert Key(np.int64(3)) == Key(3)
    for value in (-1, 2**64):
        with pytest.raises(ValueError, match=f"Key: seed = {value}"):
            Key(value)
        with pytest.raises(ValueError, match=f"Key: stream = {value}"):
            Key(0, value)
    with pytest.raises(TypeError, match=r"Key: seed = 1\.0"):
        Key(1.0)  # type: ignore[arg-type]


def test_roles() -> None:
    assert [(role.name, role.value) for role in Role] == [
        ("WEIGHT", 0), ("BIAS", 1), ("INPUT", 2), ("OUTPUT", 3), ("GRAD_OUTPUT", 4), ("GRAD_WEIGHT", 5),
        ("GRAD_INPUT", 6), ("UPDATE", 7), ("POLICY", 8), ("GRAD_BIAS", 9), ("BIAS_UPDATE", 10), ("SECOND_INPUT", 11),
        ("STATE", 12), ("BIAS_STATE", 13), ("SECOND_GRAD_OUTPUT", 14),
    ]  # fmt: skip


@pytest.mark.parametrize("role", list(Role))
def test_streams(role: Role) -> None:
    plain = 5 * 2**48 + int(role) * 2**40 + 77
    assert stream(5, role, 77) == plain
    marked = role in (Role.INPUT, Role.SECOND_INPUT, Role.OUTPUT)
    assert stream(5, role, 77, evaluation=True) == plain + (2**39 if marked else 0)


def test_streams_fill_64_bits_and_no_more() -> None:
    assert stream(2**16 - 1, Role.INPUT, 2**39 - 1, evaluation=True) == (0xFFFF << 48) + (2 << 40) + 2**40 - 1
    with pytest.raises(ValueError, match="stream: layer = 65536"):
        stream(2**16, Role.WEIGHT, 0)
    with pytest.raises(ValueError, match="stream: call = 549755813888"):
        stream(0, Role.WEIGHT, 2**39)
    with pytest.raises(ValueError, match="stream: call = -1"):
        stream(0, Role.WEIGHT, -1)
