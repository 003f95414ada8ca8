"""Integers that an op computed, rounded into its result and published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.ops import _bridge, records
from fxsim.ops._plan import WordPlan
from fxsim.ops._publish import EventSums, Site, publish_elementwise
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


def emit_blocks(
    blocks: Iterable[tuple[int, Tensor]],
    shape: Sequence[int],
    plan: WordPlan,
    site: Site,
    dtype: torch.dtype,
    a: Format,
    b: Format | None,
    read: int,
    *,
    channels_last: bool,
) -> Tensor:
    """As `emit`, of finite floats that come in blocks of whole rows: the number of the first row, and (rows, C).

    shape: of the result, in index order; rows are all its dimensions but the last. The format must saturate.
    """
    out = torch.empty(shape, dtype=dtype)
    rows = out.view(-1, shape[-1])
    count = records.listening()
    events = [
        _bridge.quantize(
            values.numpy(),
            rows[first : first + len(values)].numpy(),
            None,
            plan.core,
            seed=site.seed,
            stream=site.stream,
            index_offset=site.index_offset + first * shape[-1],
            channels_last=False,
            count=count,
            name=site.name,
        )
        for first, values in blocks
    ]
    if count:
        total = EventSums.of(events)
        publish_elementwise(site, str(a), plan.text, out.numel(), total, b="" if b is None else str(b), read=read)
    return restored(out, channels_last)
