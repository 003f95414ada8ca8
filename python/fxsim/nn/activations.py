"""What published training methods put between layers: clipping, signs, and a normalisation of rows."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor


@final
class Clamp(torch.nn.Module):
    """x clipped to [low, high]; the gradient passes where low <= x <= high, bounds included.

    With low = 0 a ReLU that stops at `high`, as layers need it whose next layer's words end there.
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low = low
        self.high = high

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise, any shape."""
        return x.clamp(self.low, self.high)

    def extra_repr(self) -> str:
        """The bounds."""
        return f"{self.low}, {self.high}"


@final
class Sign(torch.nn.Module):
    """1 where x >= 0, else -1; the gradient passes where |x| <= 1.

    Source: Hubara, Courbariaux, Soudry, El-Yaniv and Bengio, "Binarized Neural Networks", NIPS 2016, equation 4.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise, any shape."""
        return straight_through_sign(x)


@final
class RowNorm(torch.nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` over the last dimension of (..., F), as linear layers give it: tokens count as samples."""

    def forward(self, x: Tensor) -> Tensor:
        """Shaped like x."""
        return super().forward(x.reshape(-1, x.shape[-1])).view(x.shape)


def straight_through_sign(x: Tensor) -> Tensor:
    """The values and gradients of `Sign`."""
    signs: Tensor = _SignFunction.apply(x)  # type: ignore[no-untyped-call]
    return signs


class _SignFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x.abs() <= 1.0)
        return signs_of(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (passes,) = ctx.saved_tensors
        masked: Tensor = gradients[0] * passes
        return masked


def signs_of(x: Tensor) -> Tensor:
    """1 where x >= 0, else -1, in x's dtype. -0.0 is 0."""
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)
