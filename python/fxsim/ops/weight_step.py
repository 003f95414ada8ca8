"""The number of the optimizer step a weight is at, told by the weight itself."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

import torch
from torch import Tensor

from fxsim.ops._library import define

FRESH, CHANGED, BY_HAND = 0, 1, 2
"""What the first element of a watch may say instead of an address: nothing seen yet; a change seen before the
weight moved; steps are counted by somebody else."""


def weight_step(weight: Tensor, bias: Tensor | None, steps: Tensor, watch: Tensor, training: bool) -> int:
    """The step to quantize weight and bias under: one more whenever they changed since the last training forward.

    torch counts in-place changes of a tensor, so an optimizer need not tell. Evaluation sees the same number
    as the training forward to come, but leaves no trace, so that it cannot change a later bit.

    Args:
        steps: int64 (): the step of the last training forward; advanced in place.
        watch: int64 (2,): address and version of both then, or one of the constants above; updated in place.
        training: whether this forward counts.
    """
    return step_at(state_of(weight, bias), steps, watch, training)


def step_at(now: tuple[int, int], steps: Tensor, watch: Tensor, training: bool) -> int:
    """`weight_step` of a weight and bias whose `state_of` is `now`."""
    seen, seen_version = watch.tolist()
    step = int(steps)
    if seen == BY_HAND:
        return step
    moved = (seen, seen_version) != now
    changed = seen == CHANGED or (seen != FRESH and moved)
    if training:
        if changed:
            steps.numpy().fill(step + 1)
        if moved:
            watch.numpy()[:] = now
    return step + changed


def pending(weight: Tensor, bias: Tensor | None, watch: Tensor) -> int:
    """What a watch says, without an address: the constant that means the same for a copy of the weight elsewhere."""
    seen, seen_version = watch.tolist()
    if seen in (FRESH, CHANGED, BY_HAND):
        return int(seen)
    return FRESH if (seen, seen_version) == state_of(weight, bias) else CHANGED


def state_of(weight: Tensor, bias: Tensor | None) -> tuple[int, int]:
    """Where the two lie, as one number, and how often they were changed in place."""
    if bias is None:
        return weight.data_ptr(), _version(weight)
    return weight.data_ptr() ^ (bias.data_ptr() << 1), _version(weight) + _version(bias)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version  # inference tensors do not count


def _kernel(weight: Tensor, bias: Tensor | None, steps: Tensor, watch: Tensor, training: bool) -> Tensor:
    return torch.tensor(weight_step(weight, bias, steps, watch, training))


def _fake(weight: Tensor, bias: Tensor | None, steps: Tensor, watch: Tensor, training: bool) -> Tensor:
    return torch.empty_like(steps)


define(
    "weight_step(Tensor weight, Tensor? bias, Tensor(a!) steps, Tensor(b!) watch, bool training) -> Tensor",
    _kernel,
    _fake,
)
