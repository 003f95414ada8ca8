"""Operands of products as the core takes them: made anew a call, or kept with words that stay as they are."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from torch import Tensor

from fxsim import _core
from fxsim.formats import Format
from fxsim.ops._attached import Attached
from fxsim.ops._geometry import Axis, View

CoreView = _core.View


class Repeat(NamedTuple):
    """How many products a call makes, and how far each finds its parts from the last one's, in elements."""

    times: int
    a: int
    b: int
    out: int
    base: int
    bias: int


ONCE: Final = Repeat(1, 0, 0, 0, 0, 0)


_KEPT: Final[Attached[dict[CoreView, _core.Operand]]] = Attached()
"""What the core has of words that stay as they are, by the view they were seen through."""


def keep(words: Tensor) -> None:
    """Let the core keep what it packs of these words, for as long as they live; nobody must write to them.

    A change that torch sees is noticed, and what was kept is dropped.
    """
    _KEPT.attach(words, {})


@lru_cache(maxsize=8192)
def core_view(
    form: Format,
    pixels: tuple[int, int, int],
    taps: tuple[int, int, int],
    strides: tuple[int, int, int, int],
    y: Axis,
    x: Axis,
    channel_major: bool,
    transposed: bool,
) -> CoreView:
    """A view without its tensor as the core takes it, one for all that are equal: `view[1:]` of a View."""
    return _core.View(form.wl, form.fl, form.signed, pixels, taps, strides, y, x, channel_major, transposed)


def operand(view: View) -> _core.Operand:
    """A view as the core takes it; of kept words, the one that holds what was packed of them."""
    return bound(view.data, core_view(*view[1:]))


def bound(data: Tensor, view: CoreView) -> _core.Operand:
    """A tensor as an operand: that of kept words holds what was packed of them."""
    kept = _KEPT.of(data)
    if kept is None:
        return _core.Operand(data.numpy(), view)
    found = kept.get(view)
    if found is None:
        found = kept[view] = _core.Operand(data.numpy(), view, True)
    return found
