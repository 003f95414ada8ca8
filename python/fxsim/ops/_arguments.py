"""Arguments of the integer functions, checked and brought into the one form the rest works with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.ops._plan import GemmPlan, gemm_plan
from fxsim.ops._publish import Site
from fxsim.ops.records import Pass
from fxsim.rng import Key
from fxsim.rounding import Quantizer
from fxsim.tensor import FixedTensor


def fixed(name: str, argument: str, given: FixedTensor) -> FixedTensor:
    """A FixedTensor, or a refusal.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(given, FixedTensor):
        raise TypeError(
            f"{name}: {argument} is {type(given).__name__}: a FixedTensor is needed; make one with fx.quantize"
        )
    return given


def bias_words(name: str, bias: FixedTensor | None, width: int) -> Tensor | None:
    """A bias of `width` elements as int64.

    Raises:
        TypeError: it is no FixedTensor.
        ValueError: it has another shape.
    """
    if bias is None:
        return None
    if fixed(name, "bias", bias).shape != (width,):
        raise ValueError(f"{name}: bias has shape {tuple(bias.shape)}: accepted is ({width},), one for each output")
    return bias.raw.to(torch.int64)


def pair(name: str, setting: str, given: int | Sequence[int]) -> tuple[int, int]:
    """A setting of both image axes: one int for both, or two.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(given, int):
        return given, given
    values = tuple(given)
    if len(values) != 2 or not all(isinstance(value, int) for value in values):
        raise TypeError(f"{name}: {setting} = {given!r}: an int or two are needed, for height and width")
    return values[0], values[1]


def site(name: str, pass_: Pass, key: Key | None, index_offset: int, batch: int = 1) -> Site:
    """Where a call outside any layer stands.

    Raises:
        ValueError: `index_offset` is negative.
    """
    if index_offset < 0:
        raise ValueError(f"{name}: index_offset = {index_offset}: the elements before the first are 0 or more")
    seed, stream = (0, 0) if key is None else (key.seed, key.stream)
    return Site("", pass_, name, seed, stream, index_offset, batch)


def plan(
    name: str,
    accumulator: Accumulator,
    a: Format,
    b: Format,
    k: int,
    *,
    key: Key | None,
    bias: FixedTensor | None = None,
    out: Quantizer | Format | str | None = None,
    product_format: Format | None = None,
) -> GemmPlan:
    """The plan of a product of the integer face.

    Raises:
        ValueError: as `resolve`; or something rounds stochastically and there is no key.
    """
    if not isinstance(accumulator, Accumulator):
        raise TypeError(f"{name}: accumulator is {type(accumulator).__name__}: an Accumulator is needed")
    output = None if out is None else Quantizer.of(out)
    bias_format = None if bias is None else bias.format
    settled = gemm_plan(name, accumulator, a, b, k, bias_format, output, product_format)
    if settled.rounds_by_chance and key is None:
        culprit = "out" if output is not None and output.is_stochastic else "accumulator"
        raise ValueError(f"{name}: {culprit} rounds stochastically and key is None; give key=fx.Key(seed, stream)")
    return settled
