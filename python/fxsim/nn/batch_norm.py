"""fx.nn.BatchNormReLU2d: normalisation, addition and ReLU of float32 images in one operation."""

from __future__ import annotations

import torch
from torch import Tensor

from fxsim.ops import batch_norm_ops, straight


class BatchNormReLU2d(torch.nn.BatchNorm2d):
    """`relu(batch_norm(x) + residual)` in float32, about twice as fast as the three modules of torch.

    It is fixed to the bit (`docs/spec/ops/batch_norm_relu.md`): instruction set, threads and memory layout do not
    change the result, which differs from torch's in the last places. Parameters, buffers and the keys of `state_dict`
    are those of `torch.nn.BatchNorm2d`; running statistics are kept as there.

    Args:
        num_features, eps, momentum, affine, track_running_stats, device, dtype: torch's; dtype is float32.
        relu: False leaves the ReLU out.

    Raises:
        TypeError: in a forward: a tensor is not float32.
        ValueError: in a forward: x is not (N, num_features, H, W), the residual is of another shape, or there are fewer
            than two values for each channel to take statistics of.
    """

    name: str = ""
    """Dotted path in the model, given by `fuse`."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        relu: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        self.relu = relu

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """x and residual (N, num_features, H, W) of any layout to y of the same shape in channels-last memory."""
        direct = straight(x) and (residual is None or straight(residual))
        y, _ = batch_norm_ops.FORWARD.way(direct)(
            x,
            self.weight,
            self.bias,
            residual,
            self.running_mean,
            self.running_var,
            self.training or self.running_mean is None,
            self._momentum(),
            self.eps,
            self.relu,
            self.name,
        )
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        return y  # type: ignore[no-any-return]

    def _momentum(self) -> float:
        """How far the running statistics move; without momentum they are the average over all batches."""
        if self.momentum is not None:
            return self.momentum
        if self.num_batches_tracked is None:
            return 0.0
        return 1.0 / (float(self.num_batches_tracked) + 1.0)

    def extra_repr(self) -> str:
        """What torch says of the module, and whether there is a ReLU."""
        inherited: str = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{inherited}, relu={self.relu}"
