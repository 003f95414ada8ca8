"""What the comparisons with the reference share: random problems, and what it means to agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import strategies as st

import fxsim as fx
from fxsim.ops import records
from fxsim.reference import Counts
from fxsim.rounding import OVERFLOWS, ROUNDINGS, TAILS

Raws = npt.NDArray[np.int64]
Expected = Callable[[], tuple[Raws, fx.Format, Counts]]

roundings = st.sampled_from(ROUNDINGS) | st.builds(fx.Stochastic, st.integers(1, 32), st.sampled_from(TAILS))
overflows = st.sampled_from(OVERFLOWS[:-1]) | st.sampled_from(OVERFLOWS)
offsets = st.sampled_from((0, 1, 17, 12345678901))


def operand_formats() -> st.SearchStrategy[fx.Format]:
    """Formats of operands: mostly narrow, every width and every fl they may have."""
    wl = st.integers(1, 8) | st.integers(1, 16) | st.integers(1, 32)
    fl = st.integers(-3, 9) | st.integers(-3, 9) | st.integers(-64, 64)
    return st.builds(fx.Format, wl, fl, st.booleans())


@st.composite
def formats_near(draw: st.DrawFn, wl: int, fl: int) -> fx.Format:
    """Formats that a value of about that format overflows, or just fits."""
    signed = draw(st.booleans() | st.just(True))
    widest = 64 if signed else 63
    near = draw(st.integers(-8, 3))
    width = min(max(wl + near, 1), widest) if draw(st.booleans()) else draw(st.integers(1, widest))
    return fx.Format(width, min(max(fl + draw(st.integers(-6, 3)), -192), 192), signed)


@st.composite
def quantizers_near(draw: st.DrawFn, wl: int, fl: int) -> fx.Quantizer:
    return fx.Quantizer(draw(formats_near(wl, fl)), draw(roundings), draw(overflows))


@st.composite
def accumulators_near(draw: st.DrawFn, wl: int, fl: int) -> fx.Accumulator:
    """Accumulators with every option, for products of about that format."""

    def format() -> fx.Format | int | None:
        near: fx.Format = draw(formats_near(wl, fl))
        return draw(st.sampled_from((None, near, near, near.wl)))

    def steps() -> dict[str, Any]:
        return {
            "rounding": draw(roundings),
            "overflow": draw(overflows),
            "at": draw(st.sampled_from(("step", "step", "end"))),
            "lanes": draw(st.sampled_from((1, 1, 2, 3, 8))),
        }

    chunk = draw(st.none() | st.integers(1, 6))
    outer = draw(st.booleans()) if chunk is not None else False
    product = draw(st.none() | formats_near(wl, fl) | quantizers_near(wl, fl))
    return fx.Accumulator(
        format(),
        **steps(),
        product=product,
        chunk=chunk,
        outer=fx.Accumulator(format(), **steps()) if outer else None,
        bias=draw(st.sampled_from(("after", "preload"))),
        k_order=draw(st.sampled_from(("kh_kw_cin", "cin_kh_kw"))),
    )


@st.composite
def raws_of(draw: st.DrawFn, format: fx.Format, shape: Sequence[int]) -> Raws:
    """Raws of a format: zeros, extremes and anything between."""
    corners = sorted({0, format.raw_min, format.raw_max, min(1, format.raw_max), max(-1, format.raw_min)})
    element = st.sampled_from(corners) | st.integers(format.raw_min, format.raw_max)
    count = int(np.prod(shape))
    return np.array(draw(st.lists(element, min_size=count, max_size=count)), np.int64).reshape(shape)


@final
@dataclass(frozen=True)
class Problem:
    """Two operands, and every option of a product that does not depend on the op."""

    a: fx.FixedTensor
    b: fx.FixedTensor
    bias: fx.FixedTensor | None
    options: dict[str, Any]

    @property
    def reference_bias(self) -> dict[str, Any]:
        """The bias as the reference takes it."""
        if self.bias is None:
            return {}
        return {"bias": self.bias.raw.numpy(), "bias_format": self.bias.format}


@st.composite
def problems(draw: st.DrawFn, a_shape: Sequence[int], b_shape: Sequence[int], k: int, columns: int | None) -> Problem:
    """A product of operands of these shapes; `columns` biases, or None where the op takes none."""
    a_format, b_format = draw(operand_formats()), draw(operand_formats())
    wl, fl = a_format.wl + b_format.wl + max(k - 1, 0).bit_length(), a_format.fl + b_format.fl
    bias = None
    if columns is not None and draw(st.booleans()):
        bias_format = draw(formats_near(wl, fl))
        bias = fx.FixedTensor(torch.tensor(draw(raws_of(bias_format, (columns,)))), bias_format)
    options = {
        "accumulator": draw(accumulators_near(wl, fl)),
        "out": draw(st.none() | quantizers_near(wl, fl)),
        "key": fx.Key(draw(st.integers(0, 2**64 - 1)), draw(st.integers(0, 2**64 - 1))),
        "index_offset": draw(offsets),
    }
    a = fx.FixedTensor(torch.tensor(draw(raws_of(a_format, a_shape))), a_format)
    b = fx.FixedTensor(torch.tensor(draw(raws_of(b_format, b_shape))), b_format)
    return Problem(a, b, bias, options)


def agree(op: Callable[[], fx.FixedTensor], expected: Expected) -> None:
    """Asserts that an op gives the reference's integers, format and counts, or its error, on every instruction set."""
    try:
        raw, format, counts = expected()
    except (ValueError, OverflowError) as error:
        refusal = error
    else:
        _agree_on_result(op, raw, format, counts)
        return
    for isa in fx.isa.available():
        fx.isa.force(isa)
        with pytest.raises(type(refusal)) as caught:
            op()
        assert (isa, str(caught.value)) == (isa, str(refusal))


def _agree_on_result(op: Callable[[], fx.FixedTensor], raw: Raws, format: fx.Format, counts: Counts) -> None:
    wanted = {name: count for name, count in asdict(counts).items() if name in records.COUNTS}
    for isa in fx.isa.available():
        fx.isa.force(isa)
        heard: list[records.OpRecord] = []
        with records.listen(heard.append):
            result = op()
        assert (isa, result.format) == (isa, format)
        assert (isa, result.raw.tolist()) == (isa, raw.tolist())
        assert len(heard) == 1
        assert (isa, {name: getattr(heard[0], name) for name in wanted}) == (isa, wanted)
        assert op() == result  # and nobody listening


def same_everywhere(x: fx.FixedTensor, w: fx.FixedTensor, options: dict[str, Any]) -> None:
    """Asserts that `fx.linear` gives the same result and counts on every instruction set, heard or not."""
    results = []
    for isa in fx.isa.available():
        fx.isa.force(isa)
        heard: list[records.OpRecord] = []
        with records.listen(heard.append):
            counted = fx.linear(x, w, **options)
        assert fx.linear(x, w, **options) == counted, isa
        record = heard[0]
        events = (record.product_overflows, record.step_overflows, record.outer_overflows, record.random_draws)
        results.append((isa, counted.raw.tolist(), events))
    for isa, raw, events in results[1:]:
        assert (raw, events) == results[0][1:], isa


@final
class Shared:
    """The functions above, for tests that cannot import them."""

    raws_of = staticmethod(raws_of)
    problems = staticmethod(problems)
    agree = staticmethod(agree)
    same_everywhere = staticmethod(same_everywhere)


@pytest.fixture(scope="session")
def shared() -> type[Shared]:
    return Shared


@pytest.fixture(scope="module", autouse=True)
def _give_the_choice_back() -> Iterator[None]:
    yield
    fx.isa.force(None)
