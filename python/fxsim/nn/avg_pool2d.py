"""fx.nn.AvgPool2d and AdaptiveAvgPool2d."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from fxsim.nn._layer import Layer
from fxsim.nn._slab import first_sample
from fxsim.numerics import Numerics
from fxsim.ops import avg_pool2d_ops

_Pair = tuple[int, int]


class _Pool(Layer):
    """Abstract base of pools: which window an image is averaged with."""

    @abstractmethod
    def window(self, image: tuple[int, int]) -> tuple[_Pair, _Pair, _Pair]:
        """Its size, stride and padding, each (height, width)."""

    def forward(self, x: Tensor) -> Tensor:
        """Means of the windows of (N, C, H, W) or (C, H, W)."""
        return self._pool(x[None])[0] if x.dim() == 3 else self._pool(x)

    def _pool(self, x: Tensor) -> Tensor:
        run, call = avg_pool2d_ops.FORWARD.at(x, self._number(x))
        y, _ = run(
            x,
            *self.window((x.shape[-2], x.shape[-1])),
            self._numerics_text,
            self._signed_seed,
            self._layer_id,
            call,
            not self.training,
            first_sample(),
            self.name,
            self._clips_input(x),
        )
        return y  # type: ignore[no-any-return]


class AvgPool2d(_Pool):
    """`torch.nn.AvgPool2d` in integers: the exact sum of a window over the number of its values, rounded once.

    Floats in, (N, C, H, W) or (C, H, W), and floats out, channels last in memory. The input is quantized by
    `activation` and the quotient rounded by `output`, which only a window of a power of two can do without, and
    which must saturate for other windows. Gradients: `grad_output`, then `grad_input`, alike. The rest of the Numerics
    is not used.

    Args:
        kernel_size, stride, padding: torch's. Zeros of the padding are counted among the values.
        numerics: formats and modes.
        layer_id: the layer of its random streams; `convert` numbers layers itself.
        seed: the seed of the run.

    Raises:
        TypeError: `numerics` is no Numerics. In a forward: x is not float32 or float64, or a dtype is too narrow.
        ValueError: in a forward: a window that does not fit, or a mean without a format.
    """

    def __init__(
        self,
        kernel_size: int | _Pair,
        stride: int | _Pair | None = None,
        padding: int | _Pair = 0,
        *,
        numerics: Numerics,
        layer_id: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.kernel_size = _pair(kernel_size)
        self.stride = self.kernel_size if stride is None else _pair(stride)
        self.padding = _pair(padding)
        self._enroll(numerics, layer_id, seed)

    def window(self, image: tuple[int, int]) -> tuple[_Pair, _Pair, _Pair]:  # noqa: ARG002 - the same for any
        """The window, whatever the image."""
        return self.kernel_size, self.stride, self.padding

    def extra_repr(self) -> str:
        """The window, then the formats."""
        return f"{self.kernel_size}, stride={self.stride}, padding={self.padding}, {super().extra_repr()}"


class AdaptiveAvgPool2d(_Pool):
    """`torch.nn.AdaptiveAvgPool2d` in integers, for images that the output divides: windows of one size, side by side.

    Args:
        output_size: (height, width) of the result, or one number for both; 1 is the global average.
        numerics, layer_id, seed, errors: as in `AvgPool2d`.

    Raises:
        ValueError: in a forward: the image is no multiple of the output.
    """

    def __init__(self, output_size: int | _Pair, *, numerics: Numerics, layer_id: int = 0, seed: int = 0) -> None:
        super().__init__()
        self.output_size = _pair(output_size)
        self._enroll(numerics, layer_id, seed)

    def window(self, image: tuple[int, int]) -> tuple[_Pair, _Pair, _Pair]:
        """The image's share of one output."""
        height, width = image
        rows, columns = self.output_size
        if min(rows, columns) < 1 or height % rows or width % columns:
            raise ValueError(
                f"{self.name or 'AdaptiveAvgPool2d'}: an image of {image} is no multiple of the output "
                f"{self.output_size}: its windows would differ in size; resize it, or use AvgPool2d"
            )
        size = (height // rows, width // columns)
        return size, size, (0, 0)

    def extra_repr(self) -> str:
        """The size, then the formats."""
        return f"{self.output_size}, {super().extra_repr()}"


def _pair(given: int | _Pair) -> _Pair:
    return (given, given) if isinstance(given, int) else (given[0], given[1])
