"""Operands of products as the core takes them: made anew a call, or kept with words that stay as they are."""

from __future__ import annotations

import weakref
from typing import Final, NamedTuple

from torch import Tensor

from fxsim import _core
from fxsim.ops._geometry import View


class Repeat(NamedTuple):
    """How many products a call makes, and how far each finds its parts from the last one's, in elements."""

    times: int
    a: int
    b: int
    out: int
    base: int
    bias: int


ONCE: Final = Repeat(1, 0, 0, 0, 0, 0)


class _Kept(NamedTuple):
    """What the core has of a tensor whose words stay as they are, by the view it was seen through."""

    words: weakref.ref[Tensor]
    version: int
    operands: dict[tuple[object, ...], _core.Operand]


_KEPT: Final[dict[int, _Kept]] = {}
"""By the tensor's id; an entry goes with its tensor, before the id can be another's. Torch's own weak dictionaries take
ten times as long to look in."""


def keep(words: Tensor) -> None:
    """Let the core keep what it packs of these words, for as long as they live; nobody must write to them.

    A change that torch sees is noticed, and what was kept is dropped.
    """
    key = id(words)
    _KEPT[key] = _Kept(weakref.ref(words, lambda _: _KEPT.pop(key, None)), words._version, {})


def operand(view: View) -> _core.Operand:
    """A view as the core takes it; of kept words, the one that holds what was packed of them."""
    kept = _KEPT.get(id(view.data))
    if kept is None:
        return _new_operand(view, keep=False)
    if kept.version != view.data._version:
        del _KEPT[id(view.data)]
        return _new_operand(view, keep=False)
    seen = view[1:]
    found = kept.operands.get(seen)
    if found is None:
        found = kept.operands[seen] = _new_operand(view, keep=True)
    return found


def _new_operand(view: View, *, keep: bool) -> _core.Operand:
    form = view.format
    return _core.Operand(
        view.data.numpy(),
        form.wl,
        form.fl,
        form.signed,
        pixels=view.pixels,
        taps=view.taps,
        strides=view.strides,
        y=view.y,
        x=view.x,
        channel_major=view.channel_major,
        transposed=view.transposed,
        keep=keep,
    )
