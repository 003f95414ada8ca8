"""Scalable 8-bit training: affine codes everywhere, and two copies of each output gradient."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Final, final

from fxsim.numerics import Numerics
from fxsim.policies.fixed import FixedPolicy
from fxsim.ranges import Affine, RangedNumerics

NORM: Final = Numerics("<16,12>", "<16,8>", "<16,11>", carrier="round")
"""Of range normalisation: its vectors in [-8, 8), its input in [-128, 128), its output in [-16, 16)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SBMConfig:
    """The settings of SBM.

    bits: of weights, activations and biases. grad_bits: of the gradient copy that is propagated. wgrad_bits: of the
    copy that weight gradients are made of. momentum: share of the old value in running ranges.

    Source: Banner, Hubara, Hoffer, Soudry 2018, sections 3 to 5; momentum: see docs/policies/sbm.md.
    """

    bits: int = 8
    grad_bits: int = 8
    wgrad_bits: int = 16
    momentum: float = 0.9


@final
class SBM(FixedPolicy):
    """Eight bits for weights, activations and propagated gradients, sixteen for the gradients of weights.

    Both gradient copies are rounded stochastically, independently of each other; all else to nearest. The update is
    float32. Batch normalisation becomes range normalisation.

    Source: Banner, Hubara, Hoffer, Soudry, "Scalable methods for 8-bit training of neural networks", NeurIPS 2018.
    """

    name: ClassVar[str] = "sbm"

    def __init__(self, config: SBMConfig | None = None) -> None:
        super().__init__()
        self.config = SBMConfig() if config is None else config
        self._numerics = RangedNumerics(
            weight=Affine(self.config.bits),
            activation=Affine(self.config.bits, "sample_mean"),
            grad_output=Affine(self.config.grad_bits, random_bits=16),
            grad_copy=Affine(self.config.wgrad_bits, random_bits=16),
            momentum=Fraction(str(self.config.momentum)),
        )

    def start_numerics(self) -> RangedNumerics:
        return self._numerics

    @property
    def range_norm(self) -> Numerics:
        return NORM

    def settings(self) -> dict[str, str]:
        return {"numerics": self._numerics.to_text()}

    def __repr__(self) -> str:
        return f"SBM({self.config!r})"
