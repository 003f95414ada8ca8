"""Watching torch itself: float products become records, other float arithmetic is listed as uncounted.

A fxsim op is one op to this watch, whatever it computes inside, so nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from fxsim.cost.floats import float_records, is_product
from fxsim.ops.records import OpRecord
from fxsim.ops.torch_moves import MOVES


@final
class Watch(TorchDispatchMode):
    """Hands a record of every float matrix product and convolution that torch runs on this thread to `record`.

    Other float arithmetic goes to `uncounted` as (op name, elements written). Records name no layer: torch's
    ops do not know theirs. A matrix product inside a backward pass is Pass.OTHER: torch does not tell which it is.
    """

    def __init__(
        self, record: Callable[[OpRecord], None], uncounted: Callable[[str, int], None], *, look_for_zeros: bool
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._look_for_zeros = look_for_zeros
        self._record = record
        self._uncounted = uncounted

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        keywords = kwargs or {}
        if torch.is_inference_mode_enabled():  # only there do composite ops arrive whole
            with self:
                result = func.decompose(*args, **keywords)
            if result is not NotImplemented:
                return result
        result = func(*args, **keywords)
        match _kind(func):
            case "product":
                with _disable_current_modes():  # an outer watch must not see our counting
                    for record in float_records(func.overloadpacket, args, result, look_for_zeros=self._look_for_zeros):
                        self._record(record)
            case "arithmetic":
                outputs = args[:1] if result is None else result  # in-place list ops return nothing
                floats = [tensor.numel() for tensor in _tensors(outputs) if tensor.is_floating_point()]
                if floats:
                    self._uncounted(f"aten.{func.overloadpacket.__name__}", sum(floats))
        return result


@lru_cache(maxsize=4096)
def _kind(func: Any) -> Literal["product", "arithmetic", "none"]:
    """What an op (an OpOverload) is to the watch; "none" needs no look: a view, a move, or not torch's own."""
    if func.namespace != "aten" or func.is_view:
        return "none"
    if is_product(func.overloadpacket):
        return "product"
    return "none" if MOVES.fullmatch(func.overloadpacket.__name__) else "arithmetic"


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
