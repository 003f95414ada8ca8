"""fx.nn.Linear."""

from __future__ import annotations

import torch
from torch import Tensor

from fxsim.nn._slab import first_sample
from fxsim.nn._weighted import Weighted
from fxsim.numerics import Numerics
from fxsim.ops import linear_ops


class Linear(Weighted, torch.nn.Linear):
    """`torch.nn.Linear` computed in integers: input, weight and bias are quantized, products summed exactly as told.

    Floats in, (..., in_features), and floats out, (..., out_features), which carry the output format exactly.

    Args:
        in_features, out_features, bias, device, dtype: torch's.
        numerics: formats and modes.
        layer_id: the layer of its random streams; `convert` numbers layers itself.
        seed: the seed of the run.

    Raises:
        TypeError: `numerics` is no Numerics. In a forward: x is not float32 or float64, or a dtype is too narrow for
            a format.
        ValueError, OverflowError: in a forward: as `fx.quantize` and `fx.linear`, with the layer's name in front.
    """

    bias: Tensor | None  # type: ignore[assignment]  # torch declares a Parameter, and puts None there

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        numerics: Numerics,
        layer_id: int = 0,
        seed: int = 0,
    ) -> None:
        torch.nn.Linear.__init__(self, in_features, out_features, bias, device, dtype)
        self._enroll(numerics, layer_id, seed)

    def forward(self, x: Tensor) -> Tensor:
        """y = x times weight transposed, plus bias."""
        words = self._words(training=self.training)
        call = self._number(x)
        y, _, _ = linear_ops.FORWARD.way(isinstance(call, int))(
            self._shown(x),
            self._operand(),
            self.bias,
            words.weight,
            words.weight_clipped,
            words.bias,
            words.bias_clipped,
            self._numerics_text,
            self._signed_seed,
            self._layer_id,
            call,
            not self.training,
            first_sample(),
            self.name,
            self._clips_input(x),
        )
        return self._finish(y, x, call)
