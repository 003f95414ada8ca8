"""fx.nn.Add, Fork, Clip and ReLU, and the float modules that `convert` makes an Add or a Fork."""

from __future__ import annotations

import torch
from torch import Tensor

from fxsim.nn._layer import Layer
from fxsim.nn._slab import first_sample
from fxsim.numerics import Numerics
from fxsim.ops import elementwise_ops, fork_ops


class Sum(torch.nn.Module):
    """a + b in floats: what a model writes where `convert` is to put `fx.nn.Add`."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """The sum."""
        return a + b


class Split(torch.nn.Module):
    """x twice: what a model writes where `convert` is to put `fx.nn.Fork`."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x and x."""
        return x, x


class Fork(Layer):
    """x twice; backward, the gradients of both are added in integers, as `Add` adds.

    The forward computes nothing. Each gradient is quantized by `grad_output`, their exact sum is rounded by
    `grad_input` if that is given; without `grad_output` they are added in floats. The rest of the Numerics is not used.

    Args:
        numerics, layer_id, seed: as in `Add`.

    Raises:
        TypeError: `numerics` is no Numerics.
    """

    def __init__(self, *, numerics: Numerics, layer_id: int = 0, seed: int = 0) -> None:
        super().__init__()
        self._enroll(numerics, layer_id, seed)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x and x."""
        run, call = fork_ops.FORK.at(x, self._number(x))
        one, other = run(x, self._numerics_text, self._signed_seed, self._layer_id, call, first_sample(), self.name)
        return one, other


class Add(Layer):
    """a + b in integers: both are quantized by `activation`, added exactly, and rounded by `output` if it is given.

    Floats in, of one shape and dtype, and floats out. Both inputs share one gradient: that of the sum, quantized by
    `grad_output` and rounded by `grad_input` if those are given. The rest of the Numerics is not used.

    Args:
        numerics: formats and modes.
        layer_id: the layer of its random streams; `convert` numbers layers itself.
        seed: the seed of the run.

    Raises:
        TypeError: `numerics` is no Numerics. In a forward: an input is not float32 or float64, or a dtype too narrow.
        ValueError: in a forward: shapes or dtypes differ.
    """

    def __init__(self, *, numerics: Numerics, layer_id: int = 0, seed: int = 0) -> None:
        super().__init__()
        self._enroll(numerics, layer_id, seed)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """The sum."""
        run, call = elementwise_ops.ADD.at(b, self._number(a))
        y, _, _ = run(
            a,
            b,
            self._numerics_text,
            self._signed_seed,
            self._layer_id,
            call,
            not self.training,
            first_sample(),
            self.name,
            self._clips_input(a) or self._clips_input(b),
        )
        return y  # type: ignore[no-any-return]


class Clip(Layer):
    """An input brought between two bounds in integers: it is quantized by `activation`, and the result by `output`.

    Floats in, of any shape, and floats out. A gradient passes between the bounds; it is quantized by `grad_output` and
    rounded by `grad_input` if those are given. The rest of the Numerics is not used.

    Args:
        low, high: the bounds; None is no bound. Off the grid of the activation they are moved inwards to it.
        edges: whether a gradient passes where the input is at a bound, as `torch.clamp`'s does and
            `torch.nn.Hardtanh`'s does not.
        numerics, layer_id, seed: as in `Add`.

    Raises:
        TypeError: `numerics` is no Numerics. In a forward: x is not float32 or float64, or a dtype is too narrow.
        ValueError: in a forward: no word of the activation's format lies between the bounds.
    """

    def __init__(
        self,
        low: float | None = None,
        high: float | None = None,
        edges: bool = True,
        *,
        numerics: Numerics,
        layer_id: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.low, self.high, self.edges = low, high, edges
        self._enroll(numerics, layer_id, seed)

    def forward(self, x: Tensor) -> Tensor:
        """The nearest value inside the bounds."""
        run, call = elementwise_ops.CLIP.at(x, self._number(x))
        y, _ = run(
            x,
            self.low,
            self.high,
            self.edges,
            self._numerics_text,
            self._signed_seed,
            self._layer_id,
            call,
            not self.training,
            first_sample(),
            self.name,
            torch.compiler.is_compiling() or (torch.is_grad_enabled() and x.requires_grad),
        )
        return y  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """The bounds, then the formats."""
        return f"low={self.low}, high={self.high}, edges={self.edges}, {super().extra_repr()}"


class ReLU(Clip):
    """The greater of the input and 0, in integers; no gradient passes at 0. Arguments and errors as in `Clip`."""

    def __init__(self, *, numerics: Numerics, layer_id: int = 0, seed: int = 0) -> None:
        super().__init__(0.0, None, False, numerics=numerics, layer_id=layer_id, seed=seed)
