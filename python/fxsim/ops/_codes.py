"""Tensors as integers on a grid of their own: codes, and the scale and zero that give them meaning."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.ops import _words, records
from fxsim.ops._plan import word_plan
from fxsim.ops._publish import Site
from fxsim.ops.records import OpRecord
from fxsim.ranges import Affine, Block
from fxsim.rng import Key, uniform_bits

Floats = npt.NDArray[np.float64]

_DOUBT: Final = 2.0**-50
"""A quotient of the three float64 operations below is off by at most this, relatively: 4 roundings of 2**-53."""

_WORD: Final = 1 << 64


class Codes(NamedTuple):
    """Integers `raw` of a format that stand for raw * scale + zero.

    scale, zero: float64 of shape (1,), or (C,) for one grid to each index of dimension 0. `affine`: zero may be
    other than 0. `format` of codes without affine has the scale as its step.
    """

    raw: Tensor
    format: Format
    scale: Tensor
    zero: Tensor
    affine: bool

    def values(self) -> Tensor:
        """What the codes stand for, float64."""
        shape = (-1, *[1] * (self.raw.dim() - 1))
        return self.raw.double() * self.scale.view(shape) + self.zero.view(shape)


class Extremes(NamedTuple):
    """Least and greatest value of a range, float64 of shape (1,) or (C,)."""

    low: Tensor
    high: Tensor


def extremes(x: Tensor, quantizer: Affine | Block, samples: int, name: str) -> Extremes:
    """The range of a tensor that a quantizer asks for. samples: how many dimension 0 is made of.

    Raises:
        ValueError: the range is not finite, or x is empty.
    """
    if x.numel() == 0:
        raise ValueError(f"{name}: the tensor is empty and has no range; give at least one element")
    over = quantizer.over
    if over == "tensor":
        low, high = (each.reshape(1).double() for each in torch.aminmax(x.detach()))
    else:
        rows = x.detach().reshape(len(x) if over == "channel" else samples, -1)
        low, high = (each.double() for each in torch.aminmax(rows, dim=1))
        if over == "sample_mean":
            low, high = (torch.tensor([math.fsum(each.tolist()) / len(each)]).double() for each in (low, high))
    if not bool(torch.isfinite(low).all() and torch.isfinite(high).all()):
        raise ValueError(f"{name}: the range is {low.tolist()} to {high.tolist()}: an element is NaN or infinite")
    return Extremes(low, high)


def codes(x: Tensor, quantizer: Affine | Block, found: Extremes, site: Site, *, channels_last: bool) -> Codes:
    """x on the grid that a quantizer lays over a range; contiguous in index order."""
    if isinstance(quantizer, Block):
        make = _block if quantizer.over == "tensor" else _blocks_of_samples
        return make(x, quantizer, found, site, channels_last)
    draws = None
    if quantizer.random_bits:
        key = Key(site.seed % _WORD, site.stream % _WORD)
        draws = uniform_bits(key, x.numel(), quantizer.random_bits, start=site.index_offset)
    in_order = x.detach().movedim(1, -1) if channels_last else x.detach()
    shape = (-1, *[1] * (x.dim() - 1))
    raw = affine_codes(
        in_order.double().numpy(),
        found.low.view(shape).numpy(),
        found.high.view(shape).numpy(),
        quantizer.bits,
        quantizer.random_bits,
        None if draws is None else draws.reshape(in_order.shape),
    )
    result = torch.from_numpy(raw).to(quantizer.format.dtype).contiguous()
    if records.listening():
        _publish(site, x, str(quantizer), x.numel() if quantizer.random_bits else 0)
    scale = (found.high - found.low) / (2**quantizer.bits - 1)
    return Codes(result.movedim(-1, 1) if channels_last else result, quantizer.format, scale, found.low, True)


def affine_codes(
    x: Floats, low: Floats, high: Floats, bits: int, random_bits: int, draws: npt.NDArray[np.uint32] | None
) -> npt.NDArray[np.int64]:
    """(x - low) * (2**bits - 1) / (high - low), clamped to 0 ... 2**bits - 1 and rounded; decided exactly.

    draws: None rounds to nearest even. Otherwise an integer of `random_bits` bits for each element, which is added to
    the quotient's fraction; the carry decides. low, high: broadcast against x; where they are equal the code is 0.

    float64 quotients decide where they are further from a boundary than their error can be; the few others, mostly
    values that lie on a boundary, are computed again as fractions.
    """
    top = 2**bits - 1
    spread = high - low
    quotient = np.clip((x - low) / np.where(spread > 0, spread, 1.0) * top, 0.0, top)
    quotient = np.where(spread > 0, quotient, 0.0)
    steps = quotient * 2.0**random_bits if draws is not None else quotient + 0.5  # a boundary is where this is whole
    floors = np.floor(steps)
    doubtful: npt.NDArray[np.bool_] = (np.abs(steps - np.rint(steps)) <= (steps + 1.0) * _DOUBT) & (quotient > 0.0)
    if doubtful.any():
        bounds = [np.broadcast_to(each, x.shape)[doubtful] for each in (x, low, high)]
        rows, back = np.unique(np.stack(bounds, axis=1), axis=0, return_inverse=True)
        scale = 1 << random_bits if draws is not None else 0
        exact = np.array([_exact(x, low, high, top, scale) for x, low, high in rows.tolist()], np.float64)
        floors[doubtful] = exact[back.reshape(-1)]
    if draws is None:
        return np.asarray(floors, np.int64)
    whole = (np.asarray(floors, np.int64) + draws) >> random_bits
    return np.asarray(np.minimum(whole, top), np.int64)


def _exact(x: float, low: float, high: float, top: int, scale: int) -> int:
    """The clamped quotient: times `scale` and rounded down; or, for scale 0, rounded to nearest even."""
    quotient = (Fraction(x) - Fraction(low)) * top / (Fraction(high) - Fraction(low))
    quotient = max(Fraction(0), min(Fraction(top), quotient))
    return math.floor(quotient * scale) if scale else round(quotient)


def _block(x: Tensor, quantizer: Block, found: Extremes, site: Site, channels_last: bool) -> Codes:
    plan = word_plan(quantizer.quantizer(float(found.low), float(found.high)))
    words = _words.quantize(x, plan, plan.dtype, site, channels_last=channels_last, mask=False)
    step = torch.tensor([plan.format.step], dtype=torch.float64)
    return Codes(words.values, plan.format, step, torch.zeros_like(step), False)


def _blocks_of_samples(x: Tensor, quantizer: Block, found: Extremes, site: Site, channels_last: bool) -> Codes:
    """Each sample in a block of its own, all words on the finest grid among them."""
    own = [quantizer.quantizer(low, high) for low, high in zip(found.low.tolist(), found.high.tolist(), strict=True)]
    coarsest = min(each.format.fl for each in own)
    capped = [min(each.format.fl, coarsest + quantizer.room) for each in own]
    finest, rows = max(capped), len(x) // len(own)
    per_row = x.numel() // len(x)
    parts = []
    for number, (settled, fl) in enumerate(zip(own, capped, strict=True)):
        plan = word_plan(replace(settled, format=Format(quantizer.bits, fl)))
        first = number * rows
        place = site._replace(index_offset=site.index_offset + first * per_row, batch=1)
        some = x[first : first + rows]
        words = _words.quantize(some, plan, plan.dtype, place, channels_last=channels_last, mask=False).values
        parts.append(_words.in_order(words, channels_last).to(quantizer.format.dtype) << (finest - fl))
    form = replace(quantizer.format, fl=finest)
    step = torch.tensor([form.step], dtype=torch.float64)
    return Codes(_words.restored(torch.cat(parts), channels_last), form, step, torch.zeros_like(step), False)


def _publish(site: Site, x: Tensor, output: str, random_draws: int) -> None:
    records.publish(
        OpRecord(
            layer=site.layer,
            pass_=site.pass_,
            op=site.op,
            m=x.numel(),
            n=1,
            k=0,
            batch=site.batch,
            a=records.FLOAT32 if x.dtype == torch.float32 else "fp64",
            output=output,
            random_draws=random_draws,
            elements_read=x.numel(),
            elements_written=x.numel(),
        )
    )
