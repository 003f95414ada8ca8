"""Narrow lanes at the limits of what they may take: every path gives the scalar loops' bits, counted or not.

A block goes through short words, through split words or the general way, by format, rounding and magnitudes; what
separates them are powers of two, so values and formats stand around those.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fxsim as fx
from fxsim import reference
from fxsim.ops import records
from fxsim.rounding import OVERFLOWS, ROUNDINGS, TAILS, Rounding

KEY = fx.Key(0xFEDCBA9876543210, 3 << 48)
BLOCK = 1024
DTYPES = (torch.float32, torch.float64)

PLAIN = [name for name in ROUNDINGS if name != "stochastic"]
STOCHASTIC = [fx.Stochastic(bits, tail) for bits in (1, 8, 9, 16, 17, 24, 30, 31) for tail in TAILS]
STORING = [mode for mode in OVERFLOWS if mode != "error"]

# Short words hold m + b <= 29 bits, cut-off words m <= 29; m is wl - 1, or wl if unsigned.
WORD_LENGTHS = ["<1", "<8", "u<8", "<13", "<14", "<15", "u<13", "u<14", "<28", "<29", "u<27", "u<28", "<30", "<31"]
WIDE = ["u<29", "u<30", "u<31", "u<32", "<32", "<33", "<64", "u<63"]
FORMATS = [f"{wl},{fl}>" for wl in (*WORD_LENGTHS, *WIDE) for fl in (0, 5)]
FAR = [f"<8,{fl}>" for fl in (-192, -150, -127, -126, -3, 100, 110, 124, 125, 126, 127, 150, 192)]


@pytest.fixture(autouse=True)
def _give_the_choice_back() -> Iterator[None]:
    yield
    fx.isa.force(None)


def critical(form: fx.Format, dtype: type[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Values around 0, the range's ends and the powers of two, halves and their neighbours, in steps of the format."""
    powers = [2.0**e for e in (8, 13, 14, 15, 21, 22, 23, 24, 25, 28, 29, 30, 31, 32, 52, 53, 62, 63, 64)]
    ends = [0.0, 1.0, 2.0, float(form.raw_max), float(form.raw_min), *powers]
    steps = np.array([end + part for end in ends for part in (-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1)])
    with np.errstate(over="ignore", under="ignore"):
        values = np.ldexp(np.concatenate([steps, -steps]), -form.fl).astype(dtype)
        return np.concatenate([values, np.nextafter(values, dtype(np.inf)), np.nextafter(values, dtype(-np.inf))])


def inputs(form: fx.Format, dtype: type[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Blocks of ordinary values, one with each kind of unusual value, and all critical ones; an odd size."""
    random = np.random.default_rng(form.wl)
    scale = np.ldexp(1.0, -form.fl) * min(2.0 ** (form.wl - 1), 2.0**20)
    with np.errstate(over="ignore", under="ignore"):
        values = (random.standard_normal(4 * BLOCK + 75) * scale).astype(dtype)
    tiny = np.finfo(dtype).smallest_subnormal
    unusual = [tiny, -tiny, -0.0, np.finfo(dtype).tiny, -np.finfo(dtype).tiny * 1.5]
    values[BLOCK : BLOCK + len(unusual)] = unusual
    values[2 * BLOCK + 7] = np.finfo(dtype).max
    values[3 * BLOCK + 9] = -np.finfo(dtype).max
    everything = np.concatenate([values, critical(form, dtype)])
    return everything[np.isfinite(everything)]


def outcome(x: torch.Tensor, quantizer: fx.Quantizer, offset: int) -> tuple[list[int], list[float], list[bool]]:
    """Raws, carriers and mask when nobody listens; no carriers where a step is no number of their type."""
    raw = fx.quantize(x, quantizer, key=KEY, index_offset=offset).raw
    if abs(quantizer.format.fl) > 126:
        return raw.tolist(), [], []
    seed, stream = (value - (value >> 63 << 64) for value in (KEY.seed, KEY.stream))
    arguments = (str(quantizer), seed, stream, offset, "c", "clipped", "round", "")
    carriers, clipped = torch.ops.fxsim.quantize(x, *arguments)
    return raw.tolist(), carriers.tolist(), clipped.tolist()


def counted(x: torch.Tensor, quantizer: fx.Quantizer, offset: int) -> tuple[list[int], dict[str, int]]:
    heard: list[records.OpRecord] = []
    with records.listen(heard.append):
        raw = fx.quantize(x, quantizer, key=KEY, index_offset=offset).raw
    return raw.tolist(), {name: getattr(heard[0], name) for name in records.COUNTS}


def same_on_every_path(x: torch.Tensor, quantizer: fx.Quantizer, offset: int = 5) -> None:
    fx.isa.force("reference")
    wanted, events = outcome(x, quantizer, offset), counted(x, quantizer, offset)
    for isa in fx.isa.available()[1:]:
        fx.isa.force(isa)
        assert outcome(x, quantizer, offset) == wanted, (isa, str(quantizer), x.dtype)
        assert counted(x, quantizer, offset) == events, (isa, str(quantizer), x.dtype)


@pytest.mark.parametrize("rounding", [*PLAIN, *STOCHASTIC], ids=str)
def test_roundings_at_the_limits(rounding: Rounding) -> None:
    for place, form in enumerate(FORMATS):
        overflow = STORING[place % len(STORING)]
        dtype = DTYPES[place // 2 % 2]
        quantizer = fx.Quantizer(form, rounding, overflow)
        x = torch.from_numpy(inputs(quantizer.format, np.dtype(str(dtype)[6:]).type))
        same_on_every_path(x, quantizer, offset=place * 37)


@pytest.mark.parametrize("overflow", STORING)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_overflow_modes_at_the_limits(overflow: str, dtype: torch.dtype) -> None:
    for form in (*FORMATS, *FAR):
        quantizer = fx.Quantizer(form, "nearest_even", overflow)
        x = torch.from_numpy(inputs(quantizer.format, np.dtype(str(dtype)[6:]).type))
        if overflow != "wrap":
            x[17] = torch.inf
            x[-3] = -torch.inf
        same_on_every_path(x, quantizer)


@pytest.mark.parametrize("rounding", ["ceil", "away", "nearest_down", fx.Stochastic(16)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_products_below_the_smallest_number(rounding: Rounding, dtype: torch.dtype) -> None:
    for fl in (-1, -3, -30, -126, -192):
        for power in (-149, -148, -126, -100, -1074, -1022):
            x = torch.full((70,), 2.0**power, dtype=torch.float64).to(dtype)
            x[::2].neg_()
            x[3::5] = 0
            same_on_every_path(x, fx.Quantizer(fx.Format(8, fl), rounding))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("place", [0, 5, BLOCK, 3 * BLOCK + 1])
def test_no_number_is_found_wherever_it_stands(dtype: torch.dtype, place: int) -> None:
    for form in ("<8,5>", "<29,20>", "<32,5>"):
        for rounding in ("nearest_even", fx.Stochastic(16), "floor"):
            for isa in fx.isa.available():
                fx.isa.force(isa)
                x = torch.zeros(4 * BLOCK + 3, dtype=dtype)
                x[place] = torch.nan
                x[-1] = torch.nan
                with pytest.raises(ValueError, match=rf"element \({place},\) is NaN"):
                    fx.quantize(x, form, rounding, key=KEY)
                x[place] = -torch.inf
                x[-1] = 0
                with pytest.raises(OverflowError, match=rf"element \({place},\) is infinite"):
                    fx.quantize(x, form, rounding, "wrap", key=KEY)


@pytest.mark.parametrize("rounding", [*PLAIN, fx.Stochastic(16), fx.Stochastic(30, "nearest_even")], ids=str)
def test_words_of_every_storage(rounding: Rounding) -> None:
    random = np.random.default_rng(11)
    for source in ("<8,4>", "u<8,4>", "<16,4>", "<32,4>", "<40,4>"):
        form = fx.Format.parse(source)
        raw = torch.from_numpy(random.integers(form.raw_min, form.raw_max, 2 * BLOCK + 31, endpoint=True))
        raw[:2] = torch.tensor([form.raw_min, form.raw_max])
        words = fx.FixedTensor(raw, form)
        for target in ("<8,4>", "u<6,1>", "<16,-20>", "<16,-27>", "<16,-28>", "<32,3>", "u<31,0>", "<12,9>", "<40,20>"):
            for overflow in STORING:
                quantizer = fx.Quantizer(target, rounding, overflow)
                results = []
                for isa in fx.isa.available():
                    fx.isa.force(isa)
                    alone = fx.requantize(words, quantizer, key=KEY, index_offset=9).raw
                    heard: list[records.OpRecord] = []
                    with records.listen(heard.append):
                        watched = fx.requantize(words, quantizer, key=KEY, index_offset=9).raw
                    assert torch.equal(alone, watched)
                    results.append((watched.tolist(), {name: getattr(heard[0], name) for name in records.COUNTS}))
                assert all(result == results[0] for result in results), (source, str(quantizer))


def test_channels_of_images_are_read_in_any_layout() -> None:
    random = torch.Generator().manual_seed(4)
    for channels, size in ((1, 5), (3, 32), (3, 7), (64, 5), (65, 3)):
        x = torch.randn(3, channels, size, size, generator=random)
        swapped = x.permute(1, 0, 3, 2).contiguous().permute(1, 0, 3, 2)
        layouts = (x, x.contiguous(memory_format=torch.channels_last), swapped)
        fx.isa.force("reference")
        options: dict[str, Any] = {"key": KEY, "index_offset": 77, "index_order": "channels_last"}
        wanted = fx.quantize(x, "<8,5>", fx.Stochastic(16), **options).raw
        for isa in fx.isa.available()[1:]:
            fx.isa.force(isa)
            for layout in layouts:
                assert torch.equal(fx.quantize(layout, "<8,5>", fx.Stochastic(16), **options).raw, wanted), isa


@pytest.mark.parametrize(("bits", "fields"), [(8, 16), (5, 16), (16, 8), (11, 8), (32, 4), (24, 4), (30, 4)])
def test_random_bits_where_the_number_of_a_block_passes_32_bits(bits: int, fields: int) -> None:
    x = torch.full((3 * BLOCK + 5,), 0.40625)
    for power in (32, 33, 36):
        for before in (0, 16 * fields, 16 * fields * 2, 1000):
            same_on_every_path(x, fx.Quantizer("<8,0>", fx.Stochastic(bits)), offset=(fields << power) - before)


near_powers = st.builds(
    lambda power, part, sign: sign * (2.0**power + part),
    st.integers(-2, 33),
    st.sampled_from((-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0**-20, 2.0**-31, -(2.0**-33))),
    st.sampled_from((-1, 1)),
)
formats = st.builds(fx.Format, st.integers(1, 34), st.integers(-4, 12) | st.integers(-130, 130), st.booleans())
any_rounding = st.sampled_from(PLAIN) | st.builds(fx.Stochastic, st.integers(1, 32), st.sampled_from(TAILS))


@given(st.data(), formats, any_rounding, st.sampled_from(STORING), st.sampled_from((32, 64)), st.integers(0, 1 << 41))
@settings(max_examples=300, deadline=None)
def test_anything_near_powers_of_two(
    data: st.DataObject, form: fx.Format, rounding: Rounding, overflow: str, width: int, offset: int
) -> None:
    quantizer = fx.Quantizer(form, rounding, overflow)
    dtype = np.dtype(f"f{width // 8}").type
    steps = np.array(data.draw(st.lists(near_powers, max_size=40)))
    with np.errstate(over="ignore", under="ignore"):
        x = np.ldexp(steps, -form.fl).astype(dtype)
    x = x[np.isfinite(x)]
    raw, counts = reference.quantize(x, quantizer, KEY, offset)
    wanted = {name: count for name, count in asdict(counts).items() if name in records.COUNTS}
    for isa in fx.isa.available():
        fx.isa.force(isa)
        assert (isa, outcome(torch.from_numpy(x), quantizer, offset)[0]) == (isa, raw.tolist())
        again, events = counted(torch.from_numpy(x), quantizer, offset)
        assert (isa, again) == (isa, raw.tolist())
        assert {name: events[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    "rounding",
    ["floor", "ceil", "zero", "nearest_up", "nearest_even", *(fx.Stochastic(bits) for bits in (1, 8, 13, 16, 24, 25))],
    ids=str,
)
def test_blocks_whose_greatest_magnitude_is_about_a_power_of_two(rounding: Rounding) -> None:
    """What one pass refuses, it refuses a block at a time: each block has one power."""
    random = np.random.default_rng(5)
    for source in ("<8,4>", "u<7,4>", "<13,4>", "<14,4>", "<16,12>", "<29,0>", "<30,0>", "<31,0>"):
        form = fx.Format.parse(source)
        blocks = random.uniform(-1, 1, (36, BLOCK)) * min(form.raw_max, 2**24)
        for power, block in enumerate(blocks):
            for place, part in enumerate((-1.0, 1.0, -0.5, 0.5, -(2.0**-20), 2.0**-20, 0.0)):
                block[100 * place + power] = 2.0**power + part
                block[100 * place + power + 50] = -(2.0**power) - part
        x = torch.from_numpy(np.ldexp(blocks.reshape(-1), -form.fl).astype(np.float32))
        for overflow in ("saturate", "saturate_symmetric"):
            same_on_every_path(x, fx.Quantizer(form, rounding, overflow), offset=2 * BLOCK)
