"""The number of a forward: a module counts its training forwards, and recomputing one is not another."""

from __future__ import annotations

import hashlib
from typing import Final, final

import torch
from torch import Tensor

_REMEMBERED: Final = 4096


@final
class Recent:
    """Forwards that activation checkpointing may repeat, told by the content of their input.

    A recomputation sees the same input, and runs inside a backward pass; nothing else tells it apart, whichever
    kind of checkpointing asks for it. Of forwards with equal inputs the latest is meant.
    """

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def remember(self, x: Tensor, number: int) -> None:
        """Note the number of a forward on x."""
        digest = _digest(x)
        self._numbers.pop(digest, None)
        self._numbers[digest] = number
        if len(self._numbers) > _REMEMBERED:
            del self._numbers[next(iter(self._numbers))]

    def recall(self, x: Tensor) -> int | None:
        """The number of the latest forward on x, if there was one."""
        return self._numbers.get(_digest(x)) if self._numbers else None


def call_number(calls: Tensor, recent: Recent, x: Tensor, *, training: bool, executed: bool) -> Tensor | int:
    """The number of this forward; a training forward advances `calls` in place, unless x is seen again.

    executed: whether nothing is recorded here. The number is an int then, and torch sees no op; else int64 ().
    """
    if not training:
        return int(calls) if executed else calls.clone()
    if in_backward():
        known = recent.recall(x)
        if known is not None:
            return known
    number = int(calls) if executed else calls.clone()
    if _may_be_repeated():
        recent.remember(x, int(number))
    if executed:
        calls.numpy().fill(int(number) + 1)
    else:
        calls.add_(1)
    return number


def in_backward() -> bool:
    """Whether autograd is running a backward pass on this thread; torch.utils.checkpoint asks the same way."""
    return torch._C._current_graph_task_id() != -1


def _may_be_repeated() -> bool:
    """Checkpointing runs a first forward without gradients, or with hooks on what is saved."""
    return not torch.is_grad_enabled() or torch._C._autograd._top_saved_tensors_default_hooks(True) is not None


def _digest(x: Tensor) -> bytes:
    content = hashlib.blake2b(x.detach().contiguous().numpy().data, digest_size=16)
    content.update(str(tuple(x.shape)).encode())
    return content.digest()
