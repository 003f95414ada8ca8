"""Linear and Conv2d whose grids follow their tensors: block floating point, and affine codes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fxsim.nn._slab import first_sample
from fxsim.nn._weighted import Weighted
from fxsim.nn.conv2d import symmetric_padding
from fxsim.ops import RangeWords, range_quantize, weight_step
from fxsim.ranges import Affine, Block, RangedNumerics, RangeQuantizer
from fxsim.rng import Key, Role, stream
from fxsim.tensor import FixedTensor


class Ranged(Weighted):
    """Abstract base of layers under a `RangedNumerics`.

    Attributes:
        running_range: float64 (2,), the running least and greatest value of the input, which affine activations are
            laid over in evaluation; NaN before the first training forward.
    """

    running_range: Tensor

    _OWN_STATE = (*Weighted._OWN_STATE, "running_range")

    def _enroll(self, numerics: Any, layer_id: int, seed: int) -> None:
        super()._enroll(numerics, layer_id, seed)  # Any: the base class knows Numerics only
        self.register_buffer("running_range", torch.full((2,), math.nan, dtype=torch.float64))

    @property  # type: ignore[override]
    def numerics(self) -> RangedNumerics:
        """Word lengths and roundings; what is assigned holds from the next forward."""
        return self._ranged

    @numerics.setter
    def numerics(self, numerics: RangedNumerics) -> None:
        if not isinstance(numerics, RangedNumerics):
            raise TypeError(f"{type(self).__name__}: numerics is {type(numerics).__name__}: a RangedNumerics is needed")
        self._ranged = numerics
        self._numerics_text = numerics.to_text()
        self._evaluation_text = numerics.evaluated().to_text()

    def _parse(self, text: str) -> RangedNumerics:
        return RangedNumerics.from_text(text)

    def int_weight(self) -> FixedTensor:
        """The weight's words as the next forward will use them; `range_words` tells their scale and zero."""
        return self.range_words().words

    def int_bias(self) -> FixedTensor | None:
        """The bias's words as the next forward will use them, (C_out,); None if there is none."""
        if self.bias is None:
            return None
        return self._quantized(self.bias, self._present().bias_quantizer, Role.BIAS, "c").words

    def range_words(self) -> RangeWords:
        """The weight's words, scale and zero as the next forward will use them.

        Raises:
            ValueError: the layer computes in float32.
        """
        return self._quantized(self.weight, self._present().weight, Role.WEIGHT, "channels_last")

    def weight_carrier(self) -> Tensor:
        """The weight as the layer computes with it, rounded to its own dtype; the gradient passes straight through."""
        if self.numerics.is_float:
            return self.weight
        carried = self.weight + (self.range_words().values().to(self.weight.dtype) - self.weight).detach()
        return carried

    def bias_carrier(self) -> Tensor | None:
        """The bias like `weight_carrier`; None if there is none."""
        if self.bias is None or self.numerics.is_float:
            return self.bias
        words = self._quantized(self.bias, self._present().bias_quantizer, Role.BIAS, "c")
        return self.bias + (words.values().to(self.bias.dtype) - self.bias).detach()

    def _present(self) -> RangedNumerics:
        return self._ranged if self.training else self._ranged.evaluated()

    def _quantized(self, x: Tensor, quantizer: RangeQuantizer, role: Role, order: str) -> RangeWords:
        if not isinstance(quantizer, Affine | Block):
            raise ValueError(f"{self.name or type(self).__name__}: the layer computes in float32 and has no words")
        key = Key(self.seed, stream(self.layer_id, role, self.step))
        order = order if x.dim() > 2 else "c"
        return range_quantize(x.detach(), quantizer, key=key, index_order=order, layer=self.name)

    def _convolve(
        self, x: Tensor, weight: Tensor, settings: tuple[list[int], list[int], list[int], int], samples: int, op: str
    ) -> Tensor:
        """x (N, C, H, W) with weight (C_out, C / groups, KH, KW) in integers; the running range is kept up."""
        number = weight_step.weight_step(self.weight, self.bias, self.steps, self.watch, self.training)
        y, _, _, _, _, observed = torch.ops.fxsim.ranged_conv2d.default(
            x,
            weight,
            self.bias,
            self.running_range,
            *settings,
            samples,
            self._numerics_text if self.training else self._evaluation_text,
            self._signed_seed,
            self._layer_id,
            self._call(x),
            torch.tensor(number),
            not self.training,
            first_sample(),
            self.name,
            op,
        )
        if self.training:
            self._follow(observed)
        return y  # type: ignore[no-any-return]

    @torch.no_grad()
    def _follow(self, observed: Tensor) -> None:
        momentum = float(self.numerics.momentum)
        fresh = torch.isnan(self.running_range)
        mean = momentum * self.running_range + (1.0 - momentum) * observed
        self.running_range.copy_(torch.where(fresh, observed, mean))


class RangedLinear(Ranged, torch.nn.Linear):
    """`torch.nn.Linear` in integers on grids that follow its tensors.

    Floats in, (..., in_features), and floats out, (..., out_features).

    Args:
        in_features, out_features, bias, device, dtype: torch's.
        numerics: word lengths and roundings.
        layer_id: the layer of its random streams; `convert` numbers layers itself.
        seed: the seed of the run.

    Raises:
        TypeError: `numerics` is no RangedNumerics. In a forward: x is not float32 or float64.
        ValueError: in a forward: x is empty, or an element is NaN or infinite.
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
        numerics: RangedNumerics,
        layer_id: int = 0,
        seed: int = 0,
    ) -> None:
        torch.nn.Linear.__init__(self, in_features, out_features, bias, device, dtype)
        self._enroll(numerics, layer_id, seed)

    def forward(self, x: Tensor) -> Tensor:
        """y = x times weight transposed, plus bias."""
        if self.numerics.is_float:
            return F.linear(x, self.weight, self.bias)
        rows = x.reshape(-1, x.shape[-1], 1, 1)
        samples = len(x) if x.dim() > 1 else 1
        settings = ([1, 1], [0, 0], [1, 1], 1)
        y = self._convolve(rows, self.weight[:, :, None, None], settings, samples, "linear")
        return y.reshape(*x.shape[:-1], self.out_features)


class RangedConv2d(Ranged, torch.nn.Conv2d):
    """`torch.nn.Conv2d` in integers on grids that follow its tensors.

    Floats in, (N, C, H, W) or (C, H, W), and floats out. Padding is 0 as a number, whatever codes stand beside it.

    Args:
        in_channels ... dtype: torch's. padding may be "valid", or "same" where it is the same on both sides;
            padding_mode must be "zeros".
        numerics: word lengths and roundings.
        layer_id: the layer of its random streams; `convert` numbers layers itself.
        seed: the seed of the run.

    Raises:
        TypeError, ValueError: as `RangedLinear`; padding that is not symmetric, or another padding_mode.
    """

    WEIGHT_ORDER = "channels_last"
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        numerics: RangedNumerics,
        layer_id: int = 0,
        seed: int = 0,
    ) -> None:
        torch.nn.Conv2d.__init__(
            self,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,  # type: ignore[arg-type]
            device,
            dtype,
        )
        self._pads = symmetric_padding(self)
        self._enroll(numerics, layer_id, seed)

    def forward(self, x: Tensor) -> Tensor:
        """y = x convolved with weight, plus bias."""
        if self.numerics.is_float:
            return F.conv2d(x, self.weight, self.bias, self.stride, self._pads, self.dilation, self.groups)
        images = x[None] if x.dim() == 3 else x
        settings = (list(self.stride), list(self._pads), list(self.dilation), self.groups)
        y = self._convolve(images, self.weight, settings, len(images), "conv2d")
        return y[0] if x.dim() == 3 else y
