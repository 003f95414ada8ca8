"""Watching torch itself: float products become records, other float arithmetic is listed as uncounted.

A fxsim op is one op to this watch, whatever it computes inside, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from fxsim.cost.floats import float_records, is_product
from fxsim.ops import Onlooker
from fxsim.ops.records import OpRecord
from fxsim.ops.torch_moves import MOVES


@final
class Watch(Onlooker):  # type: ignore[no-untyped-call]
    """Hands a record of every float matrix product and convolution that torch runs on this thread to `record`.

    Other float arithmetic goes to `uncounted` as (op name, elements written). Records name no layer: torch's
    ops do not know theirs. A matrix product inside a backward pass is Pass.OTHER: torch does not tell which it is.
    """

    def __init__(
        self, record: Callable[[OpRecord], None], uncounted: Callable[[str, int], None], *, look_for_zeros: bool
    ) -> None:
        super().__init__()
        self._look_for_zeros = look_for_zeros
        self._record = record
        self._uncounted = uncounted

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would put two Python frames around every op to keep its compiler out: see below

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if torch.is_inference_mode_enabled():  # only there do composite ops arrive whole
            with self:
                result = func.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs) if kwargs else func(*args)
        known = _KNOWN.get(id(func)) or _know(func)
        if known.kind == "none":
            return result
        if known.kind == "product":
            with _disable_current_modes():  # an outer watch must not see our counting
                for record in float_records(func.overloadpacket, args, result, look_for_zeros=self._look_for_zeros):
                    self._record(record)
        else:
            written = _floats(args[:1] if result is None else result)  # in-place list ops return nothing
            if written is not None:
                self._uncounted(known.name, written)
        return result


# The compiler passes over this code and whatever it calls, and nothing is asked where none is at work.
_frames: Final = torch._C._dynamo.eval_frame
_frames.set_code_exec_strategy(
    Watch.__torch_dispatch__.__code__,
    _frames._FrameExecStrategy(_frames._FrameAction.SKIP, _frames._FrameAction.SKIP),
)


class _Known(NamedTuple):
    """An op (an OpOverload, held so that no other takes its address): what it is to the watch, and its name.

    "none" needs no look: a view, a move, or not torch's own.
    """

    op: Any
    kind: Literal["product", "arithmetic", "none"]
    name: str


_KNOWN: Final[dict[int, _Known]] = {}
"""By address, for torch hashes an op in Python."""


def _know(op: Any) -> _Known:
    packet = op.overloadpacket
    kind: Literal["product", "arithmetic", "none"] = "none"
    if op.namespace == "aten" and not op.is_view:
        if is_product(packet):
            kind = "product"
        elif not MOVES.fullmatch(packet.__name__):
            kind = "arithmetic"
    return _KNOWN.setdefault(id(op), _Known(op, kind, f"aten.{packet.__name__}"))


def _floats(value: Any) -> int | None:
    """Elements of the float tensors in the results of an op; None if there is no such tensor."""
    if isinstance(value, Tensor):
        return value.numel() if value.is_floating_point() else None
    if not isinstance(value, list | tuple):
        return None
    found = [count for count in map(_floats, value) if count is not None]
    return sum(found) if found else None
