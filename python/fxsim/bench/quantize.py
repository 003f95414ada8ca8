"""How fast are float32 tensors rounded to words and to carriers, against copying them and against torch's ways?

One tensor of 128 MB, which no cache holds, and one of 128 KB, which the second cache does. The kernel writes into a
tensor that is there, as memcpy does. The first thousand elements are compared with the reference.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, final

import torch
from torch import Tensor

from fxsim import reference
from fxsim.bench.measure import Outcome, Row, Settings, Track, interleaved, require_equal, row
from fxsim.formats import Format
from fxsim.ops import _bridge
from fxsim.rng import Key
from fxsim.rounding import Quantizer, Stochastic

LARGE: Final = 32 << 20
SMALL: Final = 32 << 10
CHECKED: Final = 1000
REPEATS: Final = 200
"""Of a small tensor in a row, so that the clock sees it."""

FORMAT: Final = Format(8, 5)
KEY: Final = Key(1, 2)

MEMCPY: Final = "memcpy"
COPY: Final = "torch copy_"
"""Not always memcpy: torch may copy with stores of its own."""

FAKE: Final = "torch.fake_quantize_per_tensor_affine"
NAIVE: Final = "torch floor(x · 2^fl + rand)"


@final
@dataclass(frozen=True, slots=True)
class Case:
    """A quantizer, what it writes, and how it must compare with memcpy where nothing is cached."""

    quantizer: Quantizer
    dtype: torch.dtype
    must: float | None = None
    aim: float | None = None


CASES: Final = {
    "nearest even, to int8": Case(Quantizer(FORMAT), torch.int8, 1.4, 1.6),
    "nearest even, to float32": Case(Quantizer(FORMAT), torch.float32),
    "stochastic, 8 bits, to int8": Case(Quantizer(FORMAT, Stochastic(8)), torch.int8, 0.9, 1.0),
    "stochastic, 16 bits, to int8": Case(Quantizer(FORMAT, Stochastic(16)), torch.int8, 0.9, 1.0),
    "stochastic, 16 bits, to int16": Case(Quantizer(Format(16, 12), Stochastic(16)), torch.int16, 0.9, 1.0),
    "stochastic, 16 bits, to float32": Case(Quantizer(FORMAT, Stochastic(16)), torch.float32),
    "stochastic, 24 bits, to int8": Case(Quantizer(FORMAT, Stochastic(24)), torch.int8, 0.7, 0.8),
}


def into(out: Tensor, x: Tensor, quantizer: Quantizer) -> None:
    """Quantize into a tensor that is there; nobody listens, so nothing is counted."""
    _bridge.quantize(
        x.numpy(),
        out.numpy(),
        None,
        _bridge.quantizer(quantizer),
        seed=KEY.seed,
        stream=KEY.stream,
        index_offset=0,
        channels_last=False,
        count=False,
        name="quantize",
    )


def check_bits(name: str, case: Case, x: Tensor, out: Tensor) -> None:
    """The first words are the reference's."""
    into(out, x, case.quantizer)
    exact, _ = reference.quantize(x[:CHECKED].numpy(), case.quantizer, KEY)
    words = torch.tensor(exact.tolist())
    if case.dtype.is_floating_point:
        words = words.to(case.dtype) * case.quantizer.format.step
    require_equal(f"quantize, {name}", out[:CHECKED], words)


def run(settings: Settings) -> Outcome:
    """Check, time, compare, for either size."""
    sizes = ((CHECKED, 1),) * 2 if settings.toy else ((LARGE, 1), (SMALL, REPEATS))
    for place, (size, repeats) in enumerate(sizes):
        large = place == 0
        x = torch.randn(size, generator=torch.Generator().manual_seed(0))
        outs = {dtype: torch.empty(size, dtype=dtype) for dtype in (torch.int8, torch.int16, torch.float32)}
        for name, case in CASES.items():
            check_bits(name, case, x, outs[case.dtype])
        contenders: dict[str, Callable[[], object]] = {
            name: partial(into, outs[case.dtype], x, case.quantizer) for name, case in CASES.items()
        }
        contenders |= _peers(x, outs[torch.float32])
        repeated = {name: partial(_repeat, call, repeats) for name, call in contenders.items()}
        yield from _rows(interleaved(repeated, settings), "128 MB" if large else "128 KB", asked=large)


def _peers(x: Tensor, out: Tensor) -> dict[str, Callable[[], object]]:
    low, high, step = FORMAT.raw_min, FORMAT.raw_max, FORMAT.step
    copy = partial(ctypes.memmove, out.data_ptr(), x.data_ptr(), x.numel() * x.element_size())
    fake = partial(torch.fake_quantize_per_tensor_affine, x, step, 0, low, high)
    naive = partial(_naive, x, step, low, high)
    return {MEMCPY: copy, COPY: partial(out.copy_, x), FAKE: fake, NAIVE: naive}


def _naive(x: Tensor, step: float, low: int, high: int) -> Tensor:
    return torch.floor(x / step + torch.rand_like(x)).clamp_(low, high).mul_(step)


def _repeat(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()


def _rows(tracks: dict[str, Track], size: str, *, asked: bool) -> Iterator[Row]:
    for name, case in CASES.items():
        must, aim = (case.must, case.aim) if asked else (None, None)
        yield row(f"{name}, {size}", f"{MEMCPY} of float32", tracks[name], tracks[MEMCPY], must=must, aim=aim)
        yield row(f"{name}, {size}", f"{COPY} of float32", tracks[name], tracks[COPY])
    for name, peer in (("nearest even, to float32", FAKE), ("stochastic, 16 bits, to float32", NAIVE)):
        yield row(f"{name}, {size}", peer, tracks[name], tracks[peer])
