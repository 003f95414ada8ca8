"""Exact quotients and sums by float64 and float32 arithmetic: fast, and decided by bounds, never by luck.

A quotient N / D of integers below 2**53, rounded once to float64, stays on its side of every integer, and is one if and
only if N / D is. For N / D is at least 1 / D away from an integer that it is not, and rounding moves it by at most
|N / D| 2**-53 < 1 / D. So when N / D is counted in halves of the least step that a rounding looks at, every decision
about the float64 is the decision about the quotient: mode, overflow, random bits, and whether it was exact.

Sums of integers are exact in any order while no partial sum can pass 2**24 (float32) or 2**53 (float64).

All is done in blocks of rows that stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.ops._quotients import Integers, magnitude
from fxsim.rounding import Quantizer

_FLOAT64_BITS: Final = 53
_FLOAT32_BITS: Final = 24
_LEAST_RUN: Final = 64
_MOST_RUN: Final = 1024

_BLOCK: Final = 1 << 16
"""Elements of a block for each thread: 512 KiB of float64."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Elements whose offset is their own. rows: (P, C), of the raws. raws, offset: of that shape."""

    rows: Integers
    raws: Integers
    offset: Integers


@final
@dataclass(frozen=True, slots=True, eq=False)
class Quotients:
    """(raws * slope + offset) / divisor * 2**-fl, rows (rows, C), which are rounded as float64 as if they were exact.

    slope, offset, divisor: (C,). up: log2 of how many steps of the format a quotient's unit has.
    in_two_steps: see `_in_two_steps`.
    """

    raws: Integers
    slope: Tensor
    offset: Tensor
    divisor: Tensor
    up: int
    quantizer: Quantizer
    in_two_steps: bool
    patch: Patch | None = None

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """The number of the first row and float64 values (rows, C), block by block; overwritten by the next."""
        height = rows_of_block(self.raws.shape[1])
        buffer = torch.empty((min(height, len(self.raws)), self.raws.shape[1]), dtype=torch.float64)
        raws = torch.from_numpy(self.raws)
        patch = None if self.patch is None else _Places(self.patch)
        for first in range(0, len(raws), height):
            some = raws[first : first + height]
            values = buffer[: len(some)].copy_(some)
            values = self._divided(torch.addcmul(self.offset, values, self.slope, out=values), self.divisor)
            if patch is not None:
                places, columns, numbers, offsets = patch.between(first, first + len(some))
                numerator = numbers.mul_(self.slope[columns]).add_(offsets)
                values[places, columns] = self._divided(numerator, self.divisor[columns])
            yield first, values

    def _divided(self, numerator: Tensor, divisor: Tensor) -> Tensor:
        """numerator / divisor, in units of the format's values; the numerator is overwritten."""
        if self.in_two_steps:
            return _in_two_steps(numerator, divisor, self.up, self.quantizer)
        return numerator.div_(divisor * math.ldexp(1.0, self.quantizer.format.fl - self.up))


@final
class _Places:
    """A patch in the order of rows."""

    def __init__(self, patch: Patch) -> None:
        rows = patch.rows.reshape(-1)
        order = np.argsort(rows, kind="stable")
        self._rows: Final = rows[order]
        self._columns: Final = torch.from_numpy(order % patch.rows.shape[1])
        self._raws: Final = torch.from_numpy(patch.raws.reshape(-1)[order]).to(torch.float64)
        self._offsets: Final = _floats(patch.offset.reshape(-1)[order])

    def between(self, first: int, last: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Rows counted from `first`, columns, raws and offsets of the elements of rows first ... last - 1."""
        start, stop = np.searchsorted(self._rows, (first, last))
        rows = torch.from_numpy(self._rows[start:stop] - first)
        return rows, self._columns[start:stop], self._raws[start:stop], self._offsets[start:stop]


def quotients(
    raws: Integers,
    form: Format,
    slope: Integers,
    offset: Integers,
    divisor: Integers,
    fl: int,
    quantizer: Quantizer,
    patch: Patch | None = None,
) -> Quotients | None:
    """(raws * slope + offset) / divisor * 2**-fl, ready to be rounded; None where a bound is passed.

    raws: (rows, C) of `form`. slope, offset, divisor: (C,), divisors positive.
    """
    largest = max(magnitude(offset), 0 if patch is None else magnitude(patch.offset))
    top = (magnitude(slope) << magnitude_bits(form)) + largest
    bottom, least = magnitude(divisor), int(divisor.min()) if divisor.size else 1
    up, fine = quantizer.format.fl - fl, quantizer.random_bits + 1
    in_two_steps = not (_fits(top, up + fine) and _fits(bottom, -up - fine))
    if in_two_steps:
        whole = (top << max(up, 0)) // (least << max(-up, 0)) + 1
        exact = _fits(2 * top, up) and _fits(2 * bottom, -up)
        if not (exact and _fits(bottom, fine + max(-up, 0)) and _fits(whole, fine + 1)):
            return None
    return Quotients(raws, _floats(slope), _floats(offset), _floats(divisor), up, quantizer, in_two_steps, patch)


def _in_two_steps(numerator: Tensor, divisor: Tensor, up: int, quantizer: Quantizer) -> Tensor:
    """The integer part and what remains of it, for steps so fine that N would pass 2**53.

    With n / d the quotient in steps of the format, q = rint(n / d) and n - q d are exact, and the quotient of the rest
    is decided as above. Of its place between two of the finest steps only "between" is kept, as their middle.
    """
    if up > 0:
        numerator.mul_(math.ldexp(1.0, up))
    elif up < 0:
        divisor = divisor * math.ldexp(1.0, -up)
    whole = (numerator / divisor).round_()
    rest = numerator.addcmul_(whole, divisor, value=-1.0)
    rest.div_(divisor * math.ldexp(1.0, -quantizer.random_bits - 1))
    middle = rest.floor().add_(rest.ceil_())
    whole.add_(middle, alpha=math.ldexp(1.0, -quantizer.random_bits - 2))
    return whole.mul_(math.ldexp(1.0, -quantizer.format.fl))


def column_sums(x: Integers, form: Format) -> list[int]:
    """The sums over rows of x, (rows, C), exactly."""
    way = _Way.of(magnitude_bits(form), len(x))
    if way is None:
        return _integers(x.astype(object).sum(0))
    total = torch.zeros(x.shape[1], dtype=torch.float64)
    for values, _ in way.blocks(x):
        total += way.sum(values)
    return _integers(total)


def product_sums(g: Integers, g_form: Format, x: Integers, x_form: Format) -> tuple[list[int], list[int]]:
    """The sums over rows of g, and of g * x, (rows, C), exactly."""
    way = _Way.of(magnitude_bits(g_form) + magnitude_bits(x_form), len(g))
    if way is None:
        wide: Any = g.astype(object)
        return _integers(wide.sum(0)), _integers((wide * x).sum(0))
    of_g, of_both = (torch.zeros(g.shape[1], dtype=torch.float64) for _ in range(2))
    inputs = torch.from_numpy(x)
    for values, rows in way.blocks(g):
        of_g += way.sum(values)
        of_both += way.sum(values.mul_(inputs[rows]))
    return _integers(of_g), _integers(of_both)


@final
@dataclass(frozen=True, slots=True)
class _Way:
    """How sums stay exact. run: rows whose sum float32 holds; 0: all is float64."""

    run: int

    @classmethod
    def of(cls, bits: int, count: int) -> _Way | None:
        """For `count` terms of at most 2**bits; None if float64 is too narrow."""
        run = 1 << max(0, min(_FLOAT32_BITS - bits, _MOST_RUN.bit_length() - 1))
        if run >= _LEAST_RUN:
            return cls(run)
        return cls(0) if bits + count.bit_length() <= _FLOAT64_BITS else None

    def blocks(self, x: Integers) -> Iterator[tuple[Tensor, slice]]:
        """Floats (rows, C), overwritten by the next, and which rows they are."""
        height, channels = rows_of_block(x.shape[1]), x.shape[1]
        if self.run:
            height = -(-height // self.run) * self.run
        buffer = torch.empty((min(height, len(x)), channels), dtype=torch.float32 if self.run else torch.float64)
        raws = torch.from_numpy(x)
        for first in range(0, len(x), height):
            rows = slice(first, min(first + height, len(x)))
            yield buffer[: rows.stop - first].copy_(raws[rows]), rows

    def sum(self, values: Tensor) -> Tensor:
        """The sums of the columns, float64 (C,)."""
        if not self.run:
            return values.sum(0)
        whole = len(values) - len(values) % self.run
        runs = values[:whole].view(-1, self.run, values.shape[1]).sum(1)
        return runs.sum(0, dtype=torch.float64) + values[whole:].sum(0)


def rows_of_block(channels: int) -> int:
    """Rows that are worked on at a time."""
    return max(1, _BLOCK * torch.get_num_threads() // max(channels, 1))


def magnitude_bits(form: Format) -> int:
    """n such that |raw| <= 2**n."""
    return form.wl - form.signed


def _integers(sums: Any) -> list[int]:
    return [int(each) for each in sums.tolist()]


def _fits(value: int, shift: int) -> bool:
    """Whether value * 2**max(shift, 0) is below 2**53."""
    return value.bit_length() + max(shift, 0) <= _FLOAT64_BITS


def _floats(integers: Integers) -> Tensor:
    """Integers below 2**53 in float64."""
    return torch.from_numpy(integers.astype(np.float64))
