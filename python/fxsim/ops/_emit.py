"""Integers that an op computed, rounded into its result and published."""

from __future__ import annotations

import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.ops import _bridge, records
from fxsim.ops._plan import WordPlan
from fxsim.ops._publish import Site, publish_elementwise
from fxsim.ops._words import restored


def emit(
    words: Tensor,
    fl: int,
    plan: WordPlan,
    site: Site,
    dtype: torch.dtype,
    a: Format,
    b: Format | None,
    read: int,
    *,
    channels_last: bool,
) -> Tensor:
    """Integers of fractional length fl, in index order, rounded and overflowed: raws or, if `dtype` is float, carriers.

    a, b: formats of the operands, and `read` their elements, for the record.

    Raises:
        OverflowError: an overflow under mode "error".
    """
    out = torch.empty(words.shape, dtype=dtype)
    count = records.listening()
    events = _bridge.requantize(
        words,
        fl,
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
        publish_elementwise(site, str(a), plan.text, out.numel(), events, b="" if b is None else str(b), read=read)
    return restored(out, channels_last)
