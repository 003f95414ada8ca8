"""The CPT policy."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from fxsim.policies.affine import affine_numerics
from fxsim.policies.base import End, Observation
from fxsim.policies.cpt.schedule import SHORTEST_CYCLE, cycles_for, cyclic_bits
from fxsim.policies.options import require, to_options
from fxsim.policies.ranged import RangedPolicy
from fxsim.ranges import WIDEST, RangedNumerics

_LOGGER = logging.getLogger(__name__)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CPTConfig:
    """The settings of CPT.

    low, high: bounds of the bits of weights and activations. grad_low, grad_high: of output gradients; equal by
    default. cycles: number of cycles in a run. total_steps: length of the run, 0 for the length that training tells.
    range_test: batches that the training loop tries each precision on before the first step, to put what it finds in
    the place of low; 0 for no test.

    Source: Fu et al. 2021, section 4.1.
    """

    low: int = 3
    high: int = 8
    grad_low: int = 8
    grad_high: int = 8
    cycles: int = 32
    total_steps: int = 0
    range_test: int = 0

    def __post_init__(self) -> None:
        for low, high in (("low", "high"), ("grad_low", "grad_high")):
            least, most = getattr(self, low), getattr(self, high)
            require(1 <= least <= WIDEST, "CPTConfig", low, least, f"1 to {WIDEST} bits")
            require(least <= most <= WIDEST, "CPTConfig", high, most, f"{low} = {least} to {WIDEST} bits")
        require(self.cycles >= 1, "CPTConfig", "cycles", self.cycles, "1 or more")
        require(self.total_steps >= 0, "CPTConfig", "total_steps", self.total_steps, "0 or more")
        require(self.range_test >= 0, "CPTConfig", "range_test", self.range_test, "0 or more")


@final
class CPT(RangedPolicy):
    """Precision that swings between two bounds like a learning rate: low for exploration, high for convergence.

    Evaluation, and the trained network, use the upper bound. The last weighted layer stays float32, as published.

    Source: Fu, Guo, Li, Yu, Ding, Lin, "CPT: Efficient deep neural network training via cyclic precision", ICLR 2021.
    """

    name: ClassVar[str] = "cpt"
    float_layers: ClassVar[tuple[End, ...]] = ("last",)

    def __init__(self, config: CPTConfig | None = None) -> None:
        super().__init__()
        self.config: CPTConfig = CPTConfig() if config is None else config
        self._total = self.config.total_steps
        self._low = self.config.low
        self._step = 0

    def plan(self, total_steps: int) -> None:
        if not self.config.total_steps:
            self._total = total_steps

    @property
    def total_steps(self) -> int:
        """Length of the run; 0 while it is not known."""
        return self._total

    @property
    def low(self) -> int:
        """The lower bound in force: the configured one, or what a precision range test has found."""
        return self._low

    def set_low(self, low: int) -> None:
        """Replace the lower bound, as a precision range test does before the first step.

        Raises:
            ValueError: it is not between 1 and the upper bound.
        """
        require(1 <= low <= self.config.high, "CPT", "low", low, f"1 to {self.config.high}")
        self._low = low

    def present(self) -> RangedNumerics:
        config = self.config
        if not self._total:  # the first step of any run has the lowest precision
            return affine_numerics(self._low, self._low, config.grad_low, evaluation=config.high)
        cycles = cycles_for(self._total, config.cycles)
        bits = cyclic_bits(self._step, self._total, cycles, self._low, config.high)
        gradient = cyclic_bits(self._step, self._total, cycles, config.grad_low, config.grad_high)
        return affine_numerics(bits, bits, gradient, evaluation=config.high)

    def reset(self) -> None:
        if not self._total:
            raise ValueError(
                "CPT: the length of the run is not known; give attach(..., total_steps=), or CPTConfig(total_steps=)"
            )
        cycles = cycles_for(self._total, self.config.cycles)
        if cycles < self.config.cycles:
            _LOGGER.warning(
                "CPT: a run of %d steps has room for %d cycles of at least %d steps, not %d",
                self._total,
                cycles,
                SHORTEST_CYCLE,
                self.config.cycles,
            )
        self._step = 0

    def advance(self, observation: Observation) -> tuple[str, Mapping[str, float]]:
        self._step = observation.step + 1
        return "cycle", {}

    def finish(self) -> None:
        self._step = self._total

    def settings(self) -> dict[str, str]:
        return {name: str(value) for name, value in to_options(self.config).items()}

    def own_state(self) -> dict[str, Any]:
        return {"step": self._step, "total": self._total, "low": self._low}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self._step, self._total, self._low = (int(state[name]) for name in ("step", "total", "low"))

    def __repr__(self) -> str:
        return f"CPT({self.config!r})"
