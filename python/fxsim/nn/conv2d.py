"""fx.nn.Conv2d."""

from __future__ import annotations

import torch
from torch import Tensor

from fxsim.nn._slab import first_sample
from fxsim.nn._weighted import Weighted
from fxsim.numerics import Numerics
from fxsim.ops import conv2d_ops


class Conv2d(Weighted, torch.nn.Conv2d):
    """`torch.nn.Conv2d` computed in integers: input, weight and bias are quantized, products summed exactly as told.

    Floats in, (N, C, H, W) or (C, H, W), and floats out, which carry the output format exactly. The output is
    channels last in memory.

    Args:
        in_channels ... dtype: torch's. padding may be "valid", or "same" where it is the same on both sides;
            padding_mode must be "zeros".
        numerics: formats and modes.
        layer_id: the layer of its random streams; `convert` numbers layers itself.
        seed: the seed of the run.

    Raises:
        TypeError: `numerics` is no Numerics. In a forward: x is not float32 or float64, or a dtype is too narrow for
            a format.
        ValueError: padding that is not symmetric, or another padding_mode.
        ValueError, OverflowError: in a forward: as `fx.quantize` and `fx.conv2d`, with the layer's name in front.
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
        numerics: Numerics,
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
        return self._convolve(x[None])[0] if x.dim() == 3 else self._convolve(x)

    def _convolve(self, x: Tensor) -> Tensor:
        words = self._words(training=self.training)
        call = self._number(x)
        y, _, _ = conv2d_ops.FORWARD.way(isinstance(call, int))(
            self._shown(x),
            self._operand(),
            self.bias,
            words.weight,
            words.weight_clipped,
            words.bias,
            words.bias_clipped,
            self.stride,
            self._pads,
            self.dilation,
            self.groups,
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


def symmetric_padding(module: torch.nn.Conv2d) -> tuple[int, int]:
    """Zeros on either side of (height, width).

    Raises:
        ValueError: the module pads with something else, or not the same on both sides.
    """
    if module.padding_mode != "zeros":
        raise ValueError(
            f"Conv2d: padding_mode = {module.padding_mode!r}: only zeros are padded in integers; pad the input with "
            f"torch.nn.functional.pad, and use padding=0"
        )
    if module.padding == "valid":
        return (0, 0)
    if module.padding == "same":
        total = [step * (size - 1) for step, size in zip(module.dilation, module.kernel_size, strict=True)]
        if any(amount % 2 for amount in total):
            raise ValueError(
                f"Conv2d: padding = 'same' with kernel_size = {module.kernel_size} and dilation = {module.dilation} "
                f"is not the same on both sides; pad the input with torch.nn.functional.pad, and use padding=0"
            )
        return total[0] // 2, total[1] // 2
    height, width = (int(each) for each in module.padding)
    return height, width
