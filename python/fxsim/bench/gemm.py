"""How fast are exact integer products, 8 to 32 bits, packing both operands in every call?

Square products through `fx.matmul`, against torch's own in float32, float64, int8 and int64 on operands of the same
shape. Exact accumulators; at 16 bits also one that wraps at 32 bits. Then 8 bits with an operand that is packed once,
as a layer's weight is, and `fx.nn.Linear`, which besides takes floats and gives floats.

Every contender, torch's too, is timed when called over and over, with its operands in the caches; rows that say "after
the others" are of its first run in its turn.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch import Tensor

from fxsim.accumulator import Accumulator
from fxsim.bench.measure import Outcome, Settings, require_equal, row, steadily
from fxsim.formats import Format
from fxsim.nn import Linear
from fxsim.numerics import Numerics
from fxsim.ops import keep, matmul
from fxsim.tensor import FixedTensor

_EXACT: Final = Accumulator()
_WRAP: Final = Accumulator(32, overflow="wrap")

_ALL: Final = {"8": _EXACT, "12": _EXACT, "16 wrap": _WRAP, "16": _EXACT, "20": _EXACT, "24": _EXACT, "32": _EXACT}
_SIZES: Final = {512: tuple(_ALL), 1024: ("8", "16 wrap", "16")}
"""What is timed at each size."""

_LARGEST: Final = 28
"""Operands stay below 2^28, so that sums of their products fit the 64 bits of an exact result."""

_TORCH: Final = "torch.mm float32"

_TARGETS: Final = {
    ("8", _TORCH): (3.0, 3.6),
    ("8", "torch._int_mm"): (0.9, 1.1),
    ("16 wrap", _TORCH): (1.5, 1.9),
    ("16", _TORCH): (0.5, 0.65),
    ("16", "torch.mm float64"): (1.1, 1.3),
    ("32", "torch.mm int64"): (3.0, 4.5),
}


def operands(bits: int, size: int) -> tuple[FixedTensor, FixedTensor]:
    """Two matrices of words, every value as likely."""
    generator = torch.Generator().manual_seed(bits)
    limit = 1 << min(bits - 1, _LARGEST)
    format_ = Format(bits, 0)
    a, b = (torch.randint(-limit, limit, (size, size), generator=generator) for _ in range(2))
    return FixedTensor(a, format_), FixedTensor(b, format_)


def run(settings: Settings) -> Outcome:
    """Check and time each size."""
    for size, names in _SIZES.items():
        yield from _at(size, names, settings)


def _at(nominal: int, names: tuple[str, ...], settings: Settings) -> Outcome:
    size = 8 if settings.toy else nominal
    contenders: dict[str, Callable[[], object]] = {}
    for name in names:
        a, b = operands(int(name.split()[0]), size)
        require_equal(f"gemm {name}", matmul(a, b, accumulator=_ALL[name]).raw, _right(a, b, name))
        contenders[name] = partial(matmul, a, b, accumulator=_ALL[name])
    peers = _peers(size, names)
    first, last = steadily({**contenders, **peers, "packed": _packed(size), "linear": _linear(size)}, settings)
    for name in names:
        for peer in peers:
            must, aim = _TARGETS.get((name, peer), (None, None))
            if must is not None or peer == _TORCH:
                what = f"{_WORDS.get(name, f's{name}, exact')}, {nominal}³"
                yield row(what, peer, last[name], last[peer], must=must, aim=aim)
    for name, what in _PACKED.items():
        yield row(f"{what}, {nominal}³", _TORCH, last[name], last[_TORCH], must=3.5, aim=4.2)
    for name, what in {"8": "s8, exact", **_PACKED}.items():
        yield row(f"{what}, {nominal}³, after the others", _TORCH, first[name], first[_TORCH])


_WORDS: Final = {"16 wrap": "s16, 32-bit wrap"}
"""What is not called exact."""

_PACKED: Final = {"packed": "s8, exact, weight packed", "linear": "s8, weight packed, float32 in and out"}
"""Products whose second operand is packed once."""


def _packed(size: int) -> Callable[[], object]:
    """A product whose second operand's words stay as they are."""
    a, b = operands(8, size)
    keep(b.raw)
    call = partial(matmul, a, b, accumulator=_EXACT)
    require_equal("gemm, packed", call().raw, _right(a, b, "8"))
    return call


def _linear(size: int) -> Callable[[], object]:
    """A layer on floats that are words; its sums fit float32."""
    x, w = operands(8, size)
    layer = Linear(size, size, bias=False, numerics=Numerics(w.format, x.format))
    layer.weight = torch.nn.Parameter(w.to_float().t().contiguous())
    call = partial(layer, x.to_float())
    require_equal("gemm, nn.Linear", call(), torch.mm(x.raw.long(), w.raw.long()).float())
    return call


def _peers(size: int, names: tuple[str, ...]) -> dict[str, Callable[[], object]]:
    a, b = (words.raw for words in operands(8, size))
    x, y, double_x, double_y = a.float(), b.float(), a.double(), b.double()
    long_a, long_b = a.long(), b.long()
    peers: dict[str, Callable[[], object]] = {
        _TORCH: lambda: torch.mm(x, y),
        "torch.mm float64": lambda: torch.mm(double_x, double_y),
        "torch._int_mm": lambda: torch._int_mm(a, b),
    }
    if "32" in names:
        peers["torch.mm int64"] = lambda: torch.mm(long_a, long_b)
    return peers


def _right(a: FixedTensor, b: FixedTensor, name: str) -> Tensor:
    """The product by torch's 64-bit integers, exact as it stays below 2^63."""
    exact = torch.mm(a.raw.long(), b.raw.long())
    return exact.to(torch.int32) if name == "16 wrap" else exact
