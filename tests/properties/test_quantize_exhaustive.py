"""Every ten-bit input, through every rounding and every overflow mode, into formats of every shape: `==`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fxsim as fx
from fxsim import reference
from fxsim.ops import records
from fxsim.reference.overflow import shown
from fxsim.rng import random_bits
from fxsim.rounding import OVERFLOWS, ROUNDINGS, TAILS, Rounding

KEY = fx.Key(0x0123456789ABCDEF, 0xFEDCBA9876543210)
OFFSET = 1000

ALL_ROUNDINGS: list[Rounding] = [
    *ROUNDINGS[:-1],
    *(fx.Stochastic(16, tail) for tail in TAILS),
    fx.Stochastic(1, "half"),
    fx.Stochastic(3, "nearest_even"),
    fx.Stochastic(32),
]

PAIRS = [
    ("<10,4>", "<8,4>"),
    ("<10,4>", "<6,2>"),
    ("<10,4>", "<9,3>"),
    ("<10,4>", "<5,-3>"),  # negative fl
    ("<10,4>", "<3,-9>"),  # everything is below a step
    ("<10,12>", "<4,9>"),  # fl > wl
    ("<10,0>", "<1,0>"),  # one bit
    ("<10,6>", "<1,3>"),
    ("<10,8>", "u<1,1>"),
    ("<10,4>", "u<6,2>"),
    ("u<10,4>", "<8,2>"),
    ("u<10,4>", "u<8,1>"),
    ("<10,3>", "<14,7>"),  # nothing is lost
    ("<10,-2>", "<64,40>"),
    ("u<10,-2>", "u<63,52>"),
    ("<10,-40>", "<16,40>"),  # a shift beyond 64 bits to the left
    ("<10,60>", "<16,-60>"),  # and to the right
]


@pytest.fixture(scope="module", autouse=True)
def _give_the_choice_back() -> Iterator[None]:
    yield
    fx.isa.force(None)


@lru_cache(maxsize=8)
def inputs(format: fx.Format) -> npt.NDArray[np.int64]:
    """Every raw of the format."""
    return np.arange(format.raw_min, format.raw_max + 1)


@lru_cache(maxsize=8)
def draws(bits: int, count: int) -> list[int]:
    """The random integers of the elements, one for each."""
    return [random_bits(KEY, OFFSET + i, bits) for i in range(count)]


@lru_cache(maxsize=64)
def rounded(source: fx.Format, fl: int, rounding: Rounding) -> list[int]:
    """What the reference rounds every raw of a format to."""
    raws = inputs(source).tolist()
    scale = Fraction(2) ** (fl - source.fl)
    stochastic = isinstance(rounding, fx.Stochastic)
    integers = draws(rounding.random_bits, len(raws)) if stochastic else [None] * len(raws)
    return [reference.round_real(raw * scale, rounding, u) for raw, u in zip(raws, integers, strict=True)]


def expected(source: fx.Format, quantizer: fx.Quantizer) -> tuple[list[int], dict[str, int]]:
    """Raws and counts of the reference, from its rounding of every value and its overflow of every rounded integer."""
    before = rounded(source, quantizer.format.fl, quantizer.rounding)
    stored = {raw: reference.overflow_raw(raw, quantizer.format, quantizer.overflow) for raw in set(before)}
    scale = Fraction(2) ** (quantizer.format.fl - source.fl)
    raws = inputs(source).tolist()
    return [stored[raw] for raw in before], {
        "output_overflows": sum(stored[raw] != raw for raw in before),
        "inexact": sum((raw * scale).denominator != 1 for raw in raws),
        "round_to_zero": sum(raw != 0 and to == 0 for raw, to in zip(raws, before, strict=True)),
        "random_draws": len(raws) if quantizer.is_stochastic else 0,
    }


def values(raws: npt.NDArray[np.int64], format: fx.Format, dtype: torch.dtype) -> torch.Tensor:
    return fx.FixedTensor(torch.from_numpy(raws), format).to_float(dtype)


def run(
    raws: npt.NDArray[np.int64], source: fx.Format, quantizer: fx.Quantizer
) -> Iterator[tuple[str, fx.FixedTensor]]:
    """The three ways into a format, on every instruction set."""
    options = {"key": KEY, "index_offset": OFFSET}
    for isa in fx.isa.available():
        fx.isa.force(isa)
        yield f"{isa} requantize", fx.requantize(fx.FixedTensor(torch.from_numpy(raws), source), quantizer, **options)
        yield f"{isa} float32", fx.quantize(values(raws, source, torch.float32), quantizer, **options)
        yield f"{isa} float64", fx.quantize(values(raws, source, torch.float64), quantizer, **options)


@pytest.mark.parametrize("rounding", ALL_ROUNDINGS, ids=str)
@pytest.mark.parametrize(("source_text", "target"), PAIRS)
def test_every_input(source_text: str, target: str, rounding: Rounding) -> None:
    source = fx.Format.parse(source_text)
    for overflow in OVERFLOWS[:-1]:
        quantizer = fx.Quantizer(target, rounding, overflow)
        wanted, counts = expected(source, quantizer)
        heard: list[records.OpRecord] = []
        with records.listen(heard.append):
            for way, result in run(inputs(source), source, quantizer):
                assert result.format == quantizer.format
                assert (way, overflow, result.raw.tolist()) == (way, overflow, wanted)
        assert len(heard) == 3 * len(fx.isa.available())
        for record in heard:
            assert {name: getattr(record, name) for name in counts} == counts


@pytest.mark.parametrize("rounding", ALL_ROUNDINGS, ids=str)
@pytest.mark.parametrize(("source_text", "target"), PAIRS)
def test_every_input_under_error(source_text: str, target: str, rounding: Rounding) -> None:
    source, quantizer = fx.Format.parse(source_text), fx.Quantizer(target, rounding, "error")
    before = rounded(source, quantizer.format.fl, rounding)
    fits = [quantizer.format.raw_min <= raw <= quantizer.format.raw_max for raw in before]
    if all(fits):
        for way, result in run(inputs(source), source, quantizer):
            assert (way, result.raw.tolist()) == (way, before)
        return
    first = fits.index(False)
    message = rf"element \({first},\) rounds to raw {re.escape(shown(before[first]))}, outside {quantizer.format} \("
    for isa in fx.isa.available():
        fx.isa.force(isa)
        raws = fx.FixedTensor(torch.from_numpy(inputs(source)), source)
        with pytest.raises(OverflowError, match=f"requantize: {message}"):
            fx.requantize(raws, quantizer, key=KEY, index_offset=OFFSET)
        with pytest.raises(OverflowError, match=f"quantize: {message}"):
            fx.quantize(raws.to_float(), quantizer, key=KEY, index_offset=OFFSET)


def complaint(error: Exception, x: npt.NDArray[np.floating]) -> str:
    """The text of an error; where infinities may be meant, only the element it names."""
    return str(error) if np.isfinite(x).all() else str(error).partition(")")[0]


formats = st.builds(fx.Format, st.integers(1, 63), st.integers(-192, 192) | st.integers(-8, 30), st.booleans())
any_rounding = st.sampled_from(ROUNDINGS) | st.builds(fx.Stochastic, st.integers(1, 32), st.sampled_from(TAILS))


def floats(width: int) -> st.SearchStrategy[list[float]]:
    """Any floats: subnormal, huge, infinite, not a number; halves and their neighbours often."""
    halves = st.integers(-512, 512).map(lambda i: i / 2)
    near = halves.map(lambda half: float(np.nextafter(np.dtype(f"f{width // 8}").type(half), 10**6)))
    anything = st.floats(width=width)
    return st.lists(halves | near | st.floats(-1e3, 1e3, width=width) | anything.filter(lambda x: x == x) | anything)


@given(st.data(), formats, any_rounding, st.sampled_from(OVERFLOWS), st.sampled_from((32, 64)))
@settings(max_examples=400, deadline=None)
def test_any_float(data: st.DataObject, format: fx.Format, rounding: Rounding, overflow: str, width: int) -> None:
    quantizer = fx.Quantizer(format, rounding, overflow)
    x = np.array(data.draw(floats(width)), f"f{width // 8}")
    refusal: Exception | None = None
    try:
        raw, counts = reference.quantize(x, quantizer, KEY, OFFSET)
    except (ValueError, OverflowError) as error:
        refusal = error
    for isa in fx.isa.available():
        fx.isa.force(isa)
        if refusal is not None:
            with pytest.raises(type(refusal)) as caught:
                fx.quantize(x, quantizer, key=KEY, index_offset=OFFSET)
            assert (isa, complaint(caught.value, x)) == (isa, complaint(refusal, x))
            continue
        heard: list[records.OpRecord] = []
        with records.listen(heard.append):
            result = fx.quantize(x, quantizer, key=KEY, index_offset=OFFSET)
        assert (isa, result.raw.tolist()) == (isa, raw.tolist())
        wanted = {name: count for name, count in asdict(counts).items() if name in records.COUNTS}
        assert {name: getattr(heard[0], name) for name in wanted} == wanted


@given(st.data(), formats, formats, any_rounding, st.sampled_from(OVERFLOWS), st.sampled_from(("c", "channels_last")))
@settings(max_examples=300, deadline=None)
def test_any_words(
    data: st.DataObject, source: fx.Format, target: fx.Format, rounding: Rounding, overflow: str, index_order: str
) -> None:
    quantizer = fx.Quantizer(target, rounding, overflow)
    shape = data.draw(st.sampled_from(((1, 3, 2), (2, 2, 2, 3), (3, 5, 1))))
    count = int(np.prod(shape))
    drawn = data.draw(st.lists(st.integers(source.raw_min, source.raw_max), min_size=count, max_size=count))
    raws = np.array(drawn, np.int64).reshape(shape)
    refusal: Exception | None = None
    try:
        raw, _ = reference.requantize(raws, source, quantizer, KEY, OFFSET, index_order)
    except OverflowError as error:
        refusal = error
    tensor = fx.FixedTensor(torch.from_numpy(raws), source)
    for isa in fx.isa.available():
        fx.isa.force(isa)
        options = {"key": KEY, "index_offset": OFFSET, "index_order": index_order}
        if refusal is not None:
            with pytest.raises(OverflowError) as caught:
                fx.requantize(tensor, quantizer, **options)
            assert (isa, str(caught.value)) == (isa, str(refusal))
        else:
            assert (isa, fx.requantize(tensor, quantizer, **options).raw.tolist()) == (isa, raw.tolist())
