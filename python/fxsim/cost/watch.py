"""Watching torch itself: float products become records, other float arithmetic is listed as uncounted.

A fxsim op is one op to this watch, whatever it computes inside, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, final

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

    Other float arithmetic is added to `uncounted`: [calls, elements written] by op name. Records name no layer: torch's
    ops do not know theirs. A matrix product inside a backward pass is Pass.OTHER: torch does not tell which it is.
    """

    def __init__(
        self, record: Callable[[OpRecord], None], uncounted: dict[str, list[int]], *, look_for_zeros: bool
    ) -> None:
        super().__init__()
        self._look_for_zeros = look_for_zeros
        self._record = record
        self._uncounted = uncounted

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would put two Python frames around every op to keep its compiler out: see below

    # Between two ops of a network the caches are emptied, so what this touches costs more than what it does.
    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        run, kind, name, _ = _KNOWN.get(id(func)) or _know(func)
        if kind is _COMPOSITE and torch.is_inference_mode_enabled():  # only there do composite ops arrive whole
            with self:
                return func.decompose(*args, **(kwargs or {}))
        result = run(*args, **kwargs) if kwargs else run(*args)
        if name is None:
            return result
        if kind is _PRODUCT:
            with _disable_current_modes():  # an outer watch must not see our counting
                for record in float_records(func.overloadpacket, args, result, look_for_zeros=self._look_for_zeros):
                    self._record(record)
            return result
        if isinstance(result, Tensor):
            if not result.is_floating_point():
                return result
            written = result.numel()
        else:
            found = _floats(args[:1] if result is None else (result,))  # in-place list ops return nothing
            if not found:
                return result
            written = sum(found)
        sums = self._uncounted.get(name)
        if sums is None:
            sums = self._uncounted[name] = [0, 0]
        sums[0] += 1
        sums[1] += written
        return result


# The compiler passes over this code and whatever it calls, and nothing is asked where none is at work.
_frames: Final = torch._C._dynamo.eval_frame
_frames.set_code_exec_strategy(
    Watch.__torch_dispatch__.__code__,
    _frames._FrameExecStrategy(_frames._FrameAction.SKIP, _frames._FrameAction.SKIP),
)


_PRODUCT: Final = "product"
_COMPOSITE: Final = "composite"

_Known: TypeAlias = tuple[Callable[..., Any], Literal["product", "composite", ""], str | None, Any]
"""What runs an op, its kind, the name it is recorded under, and the op itself, held so that no other takes its address.

There is no name for what needs no look: a view, a move, or not torch's own.
"""

_KNOWN: Final[dict[int, _Known]] = {}
"""By address, for torch hashes an op in Python."""


def _know(op: Any) -> _Known:
    packet = op.overloadpacket
    product = is_product(packet)
    kind: Literal["product", "composite", ""] = _PRODUCT if product else _COMPOSITE if op._can_decompose() else ""
    watched = op.namespace == "aten" and not op.is_view and (product or not MOVES.fullmatch(packet.__name__))
    run = op._op if type(op) is torch._ops.OpOverload else op  # what a call of one would call
    return _KNOWN.setdefault(id(op), (run, kind, f"aten.{packet.__name__}" if watched else None, op))


def _floats(values: Sequence[Any]) -> list[int]:
    """Elements of each float tensor in the results of an op."""
    found = []
    for each in values:
        if isinstance(each, Tensor):
            if each.is_floating_point():
                found.append(each.numel())
        elif isinstance(each, list | tuple):
            found += _floats(each)
    return found
