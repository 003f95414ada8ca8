"""How fast is an accumulator that saturates, rounds or wraps at every step, packing both operands in every call?

8-bit Gaussian operands (standard deviation 35) or ones whose sums climb into the bound, square products through
`fx.matmul`: against torch's float32 product, which steps nothing, against torch operations that clamp after every k,
and for the rarer ways to step, against plain saturation of the same operands.

Against torch.mm every contender is timed when called over and over, with its operands in the caches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, final

import torch
from torch import Tensor

from fxsim.accumulator import Accumulator
from fxsim.bench.measure import Note, Outcome, Settings, Track, interleaved, require_equal, row, steadily
from fxsim.formats import Format
from fxsim.ops import matmul
from fxsim.ops.records import OpRecord, listen
from fxsim.rng import Key
from fxsim.rounding import Quantizer, Stochastic
from fxsim.tensor import FixedTensor

_WORD: Final = Format(8, 0)
_DROPPED: Final = 4
"""Bits that the coarser accumulator rounds away at every step."""


@final
@dataclass(frozen=True, slots=True)
class _Case:
    """An accumulator width, whether sums climb into its bound, and the ratio asked for."""

    bits: int
    climbing: bool
    must: float
    aim: float

    @property
    def name(self) -> str:
        """What the row says."""
        return f"{self.bits} bits, {'clipping everywhere' if self.climbing else 'Gaussian'}"


_CASES: Final = (
    _Case(22, climbing=False, must=2.0, aim=3.0),
    _Case(20, climbing=False, must=2.0, aim=3.0),
    _Case(19, climbing=False, must=0.9, aim=1.5),
    _Case(18, climbing=False, must=0.9, aim=1.5),
    _Case(18, climbing=True, must=0.42, aim=0.52),
    _Case(17, climbing=True, must=0.42, aim=0.52),
    _Case(16, climbing=True, must=0.75, aim=1.1),
)

_COARSE: Final = Format(18, -_DROPPED)
_ROUNDING: Final = Accumulator(_COARSE)
_MODES: Final[Mapping[str, Accumulator]] = {
    "rounding to nearest even each step": _ROUNDING,
    "rounding to zero each step": replace(_ROUNDING, rounding="zero"),
    "stochastic each step": replace(_ROUNDING, rounding=Stochastic(16)),
    "saturate_symmetric": Accumulator(18, overflow="saturate_symmetric"),
    "saturate_zero": Accumulator(18, overflow="saturate_zero"),
    "product register": Accumulator(18, product=Quantizer(Format(14, -2))),
    "lanes of 4": Accumulator(18, lanes=4),
    "chunks of 32": Accumulator(18, chunk=32, outer=Accumulator(20)),
}
_SIZES: Final = (512, 1024)


def run(settings: Settings) -> Outcome:
    """Check and time each size against torch.mm, then the rarer accumulators."""
    for size in _SIZES:
        yield from _saturating(size, settings)
    yield from _wide(settings)
    yield from _loops(settings)
    yield from _modes(settings)


def gaussian(size: int, seed: int, *, climbing: bool = False) -> FixedTensor:
    """A square matrix of <8,0> words; climbing: of magnitudes, whose products are all positive."""
    generator = torch.Generator().manual_seed(seed)
    values = (torch.randn(size, size, generator=generator) * 35).round().clamp(-128, 127).to(torch.int8)
    return FixedTensor(values.clamp(min=-127).abs() if climbing else values, _WORD)


def clamp_loop(a: Tensor, b: Tensor, form: Format) -> Tensor:
    """The sums of a (m, k) @ b (k, n) by torch operations, clamped and rounded after every k: exact below 24 bits."""
    x, y = a.float() / form.step, b.float()
    held = torch.zeros(a.shape[0], b.shape[1])
    for k in range(a.shape[1]):
        held.addr_(x[:, k], y[k])
        if form.fl < 0:
            held.round_()
        held.clamp_(form.raw_min, form.raw_max)
    return held


def _saturating(nominal: int, settings: Settings) -> Outcome:
    size = 8 if settings.toy else nominal
    contenders: dict[str, Callable[[], object]] = {}
    for case in _CASES:
        a, b = (gaussian(size, seed, climbing=case.climbing) for seed in (1, 2))
        accumulator = Accumulator(case.bits)
        exact = clamp_loop(a.raw, b.raw, Format(case.bits, 0)).to(torch.int64)
        require_equal(f"saturate {case.name}", matmul(a, b, accumulator=accumulator).raw, exact)
        clipped = float((exact != a.raw.long() @ b.raw.long()).float().mean()) if size < _SIZES[1] else None
        if clipped is not None:
            yield Note(f"{case.name}, {nominal}³: {clipped:.2%} of the outputs clip")
        contenders[case.name] = partial(matmul, a, b, accumulator=accumulator)
    x, y = (gaussian(size, seed).raw.float() for seed in (1, 2))
    _, tracks = steadily({**contenders, "mm": lambda: torch.mm(x, y)}, settings)
    for case in _CASES:
        what = f"{case.name}, {nominal}³"
        yield row(what, "torch.mm float32", tracks[case.name], tracks["mm"], must=case.must, aim=case.aim)


def _wide(settings: Settings) -> Outcome:
    size = 8 if settings.toy else _SIZES[0]
    form = Format(24, 0)
    words = torch.randint(2**22, 2**23, (2, size, size), generator=torch.Generator().manual_seed(3))
    a, b = (FixedTensor(each.to(form.dtype), form) for each in words)
    x, y = (each.raw.float() for each in (a, b))
    accumulator = Accumulator(50)
    exact = (words[0].double() @ words[1].double()).clamp(max=2.0**49 - 1).long()
    require_equal("saturate 50 bits", matmul(a, b, accumulator=accumulator).raw, exact)
    _, tracks = steadily(
        {"ours": partial(matmul, a, b, accumulator=accumulator), "mm": lambda: torch.mm(x, y)}, settings
    )
    what = f"50 bits, 24-bit operands, clipping everywhere, {_SIZES[0]}³"
    yield row(what, "torch.mm float32", tracks["ours"], tracks["mm"], must=0.2, aim=0.25)


def _loops(settings: Settings) -> Outcome:
    """Against the loops that one would write in torch."""
    size = 8 if settings.toy else _SIZES[-1]
    a, b = (gaussian(size, seed, climbing=True) for seed in (1, 2))
    plain = Accumulator(18)
    require_equal("rounding each step", matmul(a, b, accumulator=_ROUNDING).raw, clamp_loop(a.raw, b.raw, _COARSE))
    tracks = interleaved(
        {
            "plain": partial(matmul, a, b, accumulator=plain),
            "rounding": partial(matmul, a, b, accumulator=_ROUNDING),
            "clamp": partial(clamp_loop, a.raw, b.raw, Format(18, 0)),
            "clamp and round": partial(clamp_loop, a.raw, b.raw, _COARSE),
        },
        settings,
    )
    sized = f"{_SIZES[-1]}³"
    what, against = f"18 bits, clipping everywhere, {sized}", "torch, clamping at every k"
    yield row(what, against, tracks["plain"], tracks["clamp"], must=35.0, aim=120.0)
    what, against = f"rounding to nearest even each step, {sized}", "torch, rounding and clamping at every k"
    yield row(what, against, tracks["rounding"], tracks["clamp and round"], must=20.0, aim=60.0)


def _modes(settings: Settings) -> Outcome:
    """Against plain saturation: no way to step may be more than ten times as slow."""
    size = 8 if settings.toy else _SIZES[0]
    a, b = (gaussian(size, seed, climbing=True) for seed in (1, 2))
    plain = Accumulator(18)
    contenders: dict[str, Callable[[], object]] = {
        name: partial(matmul, a, b, accumulator=accumulator, key=Key(1)) for name, accumulator in _MODES.items()
    }
    contenders["saturate, counted"] = partial(_counted, a, b, plain)
    contenders["wrap, counted"] = partial(_counted, a, b, Accumulator(18, overflow="wrap"))
    ours: dict[str, Callable[[], object]] = {"plain": partial(matmul, a, b, accumulator=plain), **contenders}
    tracks: dict[str, Track] = interleaved(ours, settings)
    for name in contenders:
        what, against = f"{name}, {_SIZES[0]}³", "saturate, clipping everywhere"
        yield row(what, against, tracks[name], tracks["plain"], must=0.1, aim=0.3)


def _counted(a: FixedTensor, b: FixedTensor, accumulator: Accumulator) -> FixedTensor:
    heard: list[OpRecord] = []
    with listen(heard.append):
        return matmul(a, b, accumulator=accumulator)
