"""fx.nn.RangedModule: a module between ranged layers, on grids that follow its tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fxsim.nn._layer import Layer
from fxsim.nn._slab import first_sample
from fxsim.ranges import Block, Plain, RangedNumerics
from fxsim.rng import Role


class RangedModule(Layer):
    """A module that still computes in floats, under a `RangedNumerics` of blocks.

    A module without parameters (pooling) has its output rounded to `output`, and the gradient of its input to
    `grad_input`. One with parameters (normalisation) computes with its parameters rounded to `bias_quantizer`.
    Where the quantizer is missing or no block, nothing is rounded.

    Args:
        module: takes one float tensor and gives one.
        numerics: word lengths and roundings.
        layer_id: the layer of its random streams; `convert` numbers layers itself.
        seed: the seed of the run.

    Raises:
        TypeError: `numerics` is no RangedNumerics.
    """

    def __init__(self, module: torch.nn.Module, numerics: RangedNumerics, *, layer_id: int = 0, seed: int = 0) -> None:
        super().__init__()
        self.module = module
        settled: Any = numerics
        self._enroll(settled, layer_id, seed)

    @property  # type: ignore[override]
    def numerics(self) -> RangedNumerics:
        """Word lengths and roundings; what is assigned holds from the next forward."""
        return self._ranged

    @numerics.setter
    def numerics(self, numerics: RangedNumerics) -> None:
        if not isinstance(numerics, RangedNumerics):
            raise TypeError(f"RangedModule: numerics is {type(numerics).__name__}: a RangedNumerics is needed")
        self._ranged = numerics
        self._numerics_text = numerics.to_text()

    def _parse(self, text: str) -> RangedNumerics:
        return RangedNumerics.from_text(text)

    def forward(self, x: Tensor) -> Tensor:
        """module(x), rounded."""
        call = self._call(x)
        parameters = dict(self.module.named_parameters())
        if parameters:
            kept = self._ranged.bias_quantizer
            quantizer = str(kept) if isinstance(kept, Block) else _NONE
            roles = (Role.WEIGHT, Role.BIAS)
            rounded = {
                name: self._round(parameter, quantizer, _NONE, roles[name != "weight"], call)
                for name, parameter in parameters.items()
            }
            return torch.func.functional_call(self.module, rounded, (x,))  # type: ignore[no-any-return]
        output, grad_input = self._ranged.output, self._ranged.grad_input or self._ranged.output
        x = self._round(x, _NONE, _text(grad_input), Role.INPUT, call)
        return self._round(self.module(x), _text(output), _NONE, Role.OUTPUT, call)

    def _round(self, x: Tensor, quantizer: str, grad_quantizer: str, role: Role, call: Tensor) -> Tensor:
        if quantizer == grad_quantizer == _NONE:
            return x
        rounded: Tensor = torch.ops.fxsim.range_round.default(
            x,
            quantizer,
            grad_quantizer,
            self._signed_seed,
            self._layer_id,
            int(role),
            call,
            not self.training,
            first_sample(),
            self.name,
        )
        return rounded


_NONE = str(Plain())


def _text(quantizer: Block | None) -> str:
    return _NONE if quantizer is None else str(quantizer)
