"""The L1 term of a policy's loss rule: one step of autograd for all parameters together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor


def l1_term(carriers: Sequence[Tensor], l1: float) -> Tensor:
    """l1 * sum |c| over all carriers, a scalar, with gradient l1 * sign(c) for each; 0 without a graph if l1 is 0.

    carriers: floats of any shapes. Each is summed by itself, and the sums are added in their order.
    """
    if l1 <= 0.0 or not carriers:
        return torch.zeros(())
    term: Tensor = _L1Term.apply(l1, *carriers)  # type: ignore[no-untyped-call]
    return term


@final
class _L1Term(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, l1: float, *carriers: Tensor) -> Tensor:
        ctx.l1 = l1
        ctx.save_for_backward(*carriers)
        total = torch.zeros(())
        # Lists go through torch in one call.
        for part in torch._foreach_mul([magnitude.sum() for magnitude in torch._foreach_abs(carriers)], l1):
            total = total + part
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        carriers = ctx.saved_tensors
        scaled = {dtype: grad.to(dtype) * ctx.l1 for dtype in {carrier.dtype for carrier in carriers}}
        needs = ctx.needs_input_grad[1:]
        signs = torch._foreach_sign([carrier for carrier, needed in zip(carriers, needs, strict=True) if needed])
        torch._foreach_mul_(signs, [scaled[sign.dtype] for sign in signs])
        left = iter(signs)
        return None, *(next(left) if needed else None for needed in needs)
