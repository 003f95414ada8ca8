"""Floats and integers brought into a format: the elementwise half of every op."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy.typing as npt
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from fxsim.formats import Format
from fxsim.ops import _bridge, records
from fxsim.ops._geometry import strides_of
from fxsim.ops._plan import WordPlan
from fxsim.ops._publish import Site, publish_elementwise
from fxsim.ops._straight import unseen
from fxsim.ops._word_counts import keep_counts, new_counts
from fxsim.rounding import Quantizer

INDEX_ORDERS: Final = ("c", "channels_last")

_FLOAT_TEXTS: Final = {torch.float32: records.FLOAT32, torch.float64: "fp64"}


class Words(NamedTuple):
    """What became of a tensor: raws or carriers, and where the rounded value left the range; empty if not asked for."""

    values: Tensor
    clipped: Tensor


def quantize(
    x: Tensor,
    plan: WordPlan,
    dtype: torch.dtype,
    site: Site,
    *,
    channels_last: bool,
    mask: bool,
    multiplied: bool = False,
) -> Words:
    """A float tensor of any strides, rounded and overflowed; `dtype` is the format's own, or float for carriers.

    The result is contiguous in index order: C order, or channels last. multiplied: it is the operand of convolutions
    to come, and nobody writes to it; if somebody listens, what it has of zeros is counted once for all of them.
    """
    words = Words(unwritten(x, dtype, channels_last), unwritten(x, torch.bool, channels_last) if mask else _no_mask())
    count = records.listening()
    counts = counts_for(x, channels_last=channels_last) if count and multiplied else None
    events = _bridge.quantize(
        ordered(x.detach(), channels_last),
        ordered(words.values, channels_last),
        ordered(words.clipped, channels_last) if mask else None,
        plan.core,
        seed=site.seed,
        stream=site.stream,
        index_offset=site.index_offset,
        channels_last=channels_last,
        count=count,
        words=counts,
        name=site.name,
    )
    if count:
        tell(x, words.values, plan, site, events, counts)
    return words


def unwritten(x: Tensor, dtype: torch.dtype, channels_last: bool) -> Tensor:
    """What a quantization of x fills."""
    shape = x.shape
    return torch.empty_strided(shape, strides_of(shape, channels_last), dtype=dtype)


def _no_mask() -> Tensor:
    return torch.empty_strided((0,), (1,), dtype=torch.bool)


def counts_for(x: Tensor, *, channels_last: bool) -> _bridge.WordCounts | None:
    """Counts for a quantization of x to fill, if they can be."""
    shape = x.shape
    return new_counts((shape[0], *shape[2:], shape[1]) if channels_last else shape)


def tell(
    x: Tensor, words: Tensor, plan: WordPlan, site: Site, events: _bridge.Events, counts: _bridge.WordCounts | None
) -> None:
    """Publish a quantization that has just succeeded, and keep what was counted of its words."""
    if counts is not None:
        keep_counts(words, counts)
    publish_elementwise(site, _FLOAT_TEXTS[x.dtype], plan.text, x.numel(), events)


def requantize(raw: Tensor, form: Format, plan: WordPlan, site: Site, *, channels_last: bool) -> Tensor:
    """Integers of one format in another: raws, contiguous in index order."""
    source = in_order(raw, channels_last)
    out = torch.empty(source.shape, dtype=plan.dtype)
    count = records.listening()
    events = _bridge.requantize(
        source,
        form.fl,
        out,
        plan.core,
        seed=site.seed,
        stream=site.stream,
        index_offset=site.index_offset,
        channels_last=channels_last,
        count=count,
        name=site.name,
    )
    if count:
        publish_elementwise(site, str(form), plan.text, raw.numel(), events)
    return restored(out, channels_last)


def empty_words(x: Tensor, dtype: torch.dtype, channels_last: bool) -> Tensor:
    """An unwritten tensor of x's shape with the layout that `quantize` gives."""
    shape = in_order(x, channels_last).shape
    return restored(torch.empty(shape, dtype=dtype, device=x.device), channels_last)


def ordered(x: Tensor, channels_last: bool) -> npt.NDArray[Any]:
    """An array whose C order is the order of indices."""
    array = x.numpy()
    return array.transpose(_to_last(array.ndim)) if channels_last else array


def carrier(raw: Tensor, form: Format, dtype: torch.dtype) -> Tensor:
    """raw * 2**-fl as floats in raw's memory format: exact, or rounded to nearest even once by too narrow a dtype."""
    if raw.dtype == torch.int64 or not (raw.is_contiguous() or is_channels_last(raw)):
        return raw.to(dtype).mul_(form.step)
    out = torch.empty_like(raw, dtype=dtype)
    _bridge.requantize(
        flat(raw),
        form.fl,
        flat(out),
        _unchanged(form),
        seed=0,
        stream=0,
        index_offset=0,
        channels_last=False,
        count=False,
        name="carrier",
    )
    return out


@lru_cache(maxsize=4096)
def _unchanged(form: Format) -> _bridge.CoreQuantizer:
    return _bridge.quantizer(Quantizer(form, "floor", "wrap"))


def straight_through(grad: Tensor, clipped: Tensor) -> Tensor:
    """grad, 0 where `clipped`, in grad's own memory format; grad itself where nothing was clipped.

    While a graph is recorded no value may be looked at: it gets a selection that holds for every mask. So does a
    grad that has a gradient of its own.
    """
    if grad.requires_grad or type(clipped) is not Tensor or get_proxy_mode() is not None:
        return torch.where(clipped, torch.zeros((), dtype=grad.dtype), grad)
    return _kept(grad, clipped)


@unseen
def _kept(grad: Tensor, clipped: Tensor) -> Tensor:
    return clear(grad.clone(), clipped) if clipped.numpy().any() else grad


def clear(values: Tensor, where: Tensor) -> Tensor:
    """values, float32 or float64, which become 0 where `where` holds."""
    last = not values.is_contiguous()
    if values.stride() == where.stride() and (not last or is_channels_last(values)):
        _bridge.clear(ordered(values, last), ordered(where, last))
    else:
        values.masked_fill_(where, 0.0)
    return values


def is_channels_last(x: Tensor) -> bool:
    """Whether the elements fill memory with channels last."""
    return x.dim() >= 3 and (x.stride() == strides_of(x.shape, True) or in_order(x, True).is_contiguous())


def flat(x: Tensor) -> Tensor:
    """The elements as they fill memory."""
    return x.as_strided((x.numel(),), (1,))


def check_index_order(name: str, index_order: str, dim: int) -> bool:
    """Whether elements are numbered channels last.

    Raises:
        ValueError: the order has another name, or the tensor has no channel dimension.
    """
    if index_order not in INDEX_ORDERS:
        raise ValueError(f"{name}: index_order = {index_order!r}: accepted are {' and '.join(map(repr, INDEX_ORDERS))}")
    if index_order == "c":
        return False
    if dim < 3:
        raise ValueError(
            f"{name}: index_order = 'channels_last' numbers (N, C, spatial...), and x has {dim} dimensions; use 'c'"
        )
    return True


def in_order(x: Tensor, channels_last: bool) -> Tensor:
    """A view whose C order is the order of indices."""
    return x.permute(_to_last(x.dim())) if channels_last else x


def restored(x: Tensor, channels_last: bool) -> Tensor:
    """The view that `in_order` was taken of."""
    return x.permute(_from_last(x.dim())) if channels_last else x


@lru_cache(maxsize=16)
def _to_last(dim: int) -> tuple[int, ...]:
    return (0, *range(2, dim), 1)


@lru_cache(maxsize=16)
def _from_last(dim: int) -> tuple[int, ...]:
    return (0, dim - 1, *range(1, dim - 1))
