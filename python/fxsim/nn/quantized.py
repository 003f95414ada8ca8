"""fx.nn.Quantized: any module between two quantizers."""

from __future__ import annotations

import torch
from torch import Tensor

from fxsim.nn._layer import Layer
from fxsim.nn._slab import first_sample
from fxsim.numerics import Numerics
from fxsim.ops import quantize_ops
from fxsim.rng import Role
from fxsim.rounding import Quantizer

_IMAGE_DIMENSIONS = 4


class Quantized(Layer):
    """A module that still computes in floats, with its input and its output brought into formats.

    Args:
        module: takes one float tensor and gives one.
        numerics: `activation` quantizes the input and `output`, if given, the result; the rest is not used.
        layer_id: the layer of its random streams; `convert` numbers layers itself.
        seed: the seed of the run.

    Images, of four dimensions, are numbered channels last for random bits, as the convolutions around them.

    Raises:
        TypeError: `numerics` is no Numerics. In a forward: the module does not give a tensor; or a dtype is too
            narrow for a format.
    """

    def __init__(self, module: torch.nn.Module, numerics: Numerics, *, layer_id: int = 0, seed: int = 0) -> None:
        super().__init__()
        self.module = module
        self._enroll(numerics, layer_id, seed)

    def forward(self, x: Tensor) -> Tensor:
        """module(x), both sides quantized."""
        call = self._number(x)
        y = self.module(self._quantize(x, self._numerics.activation, Role.INPUT, call))
        if not isinstance(y, Tensor):
            raise TypeError(
                f"{self.name or 'Quantized'}: {type(self.module).__name__} gives {type(y).__name__}: only modules that "
                f"give one tensor can be quantized; leave it out of wrap"
            )
        output = self._numerics.output
        return y if output is None else self._quantize(y, output, Role.OUTPUT, call)

    def _quantize(self, x: Tensor, quantizer: Quantizer, role: Role, call: Tensor | int) -> Tensor:
        run, number = quantize_ops.QUANTIZE_LAYER.at(x, call)
        carriers, _ = run(
            x,
            str(quantizer),
            self._signed_seed,
            self._layer_id,
            int(role),
            number,
            not self.training,
            first_sample(),
            "channels_last" if x.dim() == _IMAGE_DIMENSIONS else "c",
            self._numerics.ste,
            self._numerics.carrier,
            self.name,
        )
        return carriers  # type: ignore[no-any-return]
