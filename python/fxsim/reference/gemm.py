"""Many output elements: each is a row of a against a row of b, where a place may be a structural zero."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from fxsim.accumulator import Accumulator, resolve
from fxsim.formats import Format
from fxsim.reference.accumulate import Element, check_keys
from fxsim.reference.counts import Counts
from fxsim.reference.quantize import value_of
from fxsim.rng import Key
from fxsim.rounding import Quantizer

Row = Sequence[int | None]
"""Raws in the order of k; None is a structural zero."""

_EXACT = Accumulator()


@dataclass(frozen=True, slots=True)
class Dot:
    """The operands of one output element, and the raw of its bias."""

    a: Row
    b: Row
    bias: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options that every product operation takes.

    Attributes:
        accumulator: how products are summed.
        out: the output quantizer; None: the accumulator is the result.
        key: where random bits come from; needed if any rounding is stochastic.
        index_offset: number of output elements of the logical tensor that stand before this one.
    """

    accumulator: Accumulator = _EXACT
    out: Quantizer | None = None
    key: Key | None = None
    index_offset: int = 0

    @staticmethod
    def of(
        accumulator: Accumulator, out: Quantizer | Format | str | None, key: Key | None, index_offset: int
    ) -> Settings:
        """The options as an operation was given them."""
        quantizer = None if out is None else Quantizer.of(out)
        return Settings(accumulator=accumulator, out=quantizer, key=key, index_offset=index_offset)


def gemm(
    name: str,
    dots: Iterable[Dot],
    k: int,
    a_format: Format,
    b_format: Format,
    bias_format: Format | None,
    settings: Settings,
) -> tuple[list[int], Format, Counts]:
    """The stored integers of output elements given in the order of their index, their format, and the counts.

    Raises:
        ValueError: an operand is too wide, or a key is missing.
        OverflowError: the first overflow of a register of mode "error", or a result beyond 64 bits.
    """
    rules = resolve(settings.accumulator, a_format, b_format, k, bias=bias_format, out=settings.out, op=name)
    check_keys(name, rules, settings.key)
    product_step = value_of(1, a_format) * value_of(1, b_format)
    counts = Counts()
    raws = []
    for index, dot in enumerate(dots, settings.index_offset):
        element = Element(name, index, rules, settings.key, counts)
        count_macs(dot, counts)
        products = [
            Fraction(0) if a is None or b is None else a * b * product_step for a, b in zip(dot.a, dot.b, strict=True)
        ]
        bias = None if dot.bias is None or bias_format is None else value_of(dot.bias, bias_format)
        raws.append(element.compute(products, bias))
    return raws, rules.result, counts


def count_macs(dot: Dot, counts: Counts) -> None:
    """Counts the products of one output element by what their operands are."""
    for a, b in zip(dot.a, dot.b, strict=True):
        counts.macs += 1
        if a is None or b is None:
            counts.pad_macs += 1
            continue
        counts.zero_a_macs += a == 0
        counts.zero_b_macs += b == 0
        counts.zero_macs += a == 0 or b == 0
        counts.nz_macs += a != 0 and b != 0


def integers(name: str, raw: npt.NDArray[Any], format: Format) -> npt.NDArray[np.object_]:
    """An array of raws as Python ints.

    Raises:
        ValueError: an element lies outside its format.
    """
    exact = np.empty(raw.shape, object)
    for position in np.ndindex(*raw.shape):
        element = int(raw[position])
        if not format.raw_min <= element <= format.raw_max:
            raise ValueError(f"{name}: element {position} is {element}, outside {format}")
        exact[position] = element
    return exact


def biases(name: str, bias: npt.NDArray[Any] | None, format: Format | None, n: int) -> Sequence[int | None]:
    """One bias per output column; None where there is none.

    Raises:
        ValueError: the bias lacks its format, or has another shape than (n,).
    """
    if bias is None:
        return [None] * n
    if format is None or bias.shape != (n,):
        raise ValueError(f"{name}: a bias of shape {bias.shape} and format {format}: ({n},) and a Format are needed")
    return list(integers(name, bias, format))
