"""PFQ: the whole network's precision rises in stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from fxsim.policies.affine import affine_numerics
from fxsim.policies.base import End, Observation
from fxsim.policies.fractrain.clock import Clock, epoch_length
from fxsim.policies.options import numbers, require, to_options
from fxsim.policies.ranged import RangedPolicy
from fxsim.ranges import WIDEST, RangedNumerics


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PFQConfig:
    """The settings of PFQ.

    forward, backward: bits of weights and activations, and of output gradients, stage by stage.
    eps: greatest difference between epoch losses that have settled, as a share of the first ten. alpha: what the
    first two turns multiply it with. epoch_steps: steps whose mean loss is looked at; 0 for a 40th of the run.
    total_steps: length of the run, 0 for the length that training tells.

    Source: Fu et al. 2020, section 4.1, and the authors' code; deadlines and eps: see docs/policies/pfq.md.
    """

    forward: str = "3,4,6,8"
    backward: str = "6,6,8,8"
    eps: float = 0.15
    alpha: float = 0.4
    epoch_steps: int = 0
    total_steps: int = 0

    def __post_init__(self) -> None:
        valid = all(1 <= bits <= WIDEST for pair in self.ladder for bits in pair)
        require(valid, "PFQConfig", "forward, backward", self.ladder, f"1 to {WIDEST} bits")
        require(self.eps >= 0, "PFQConfig", "eps", self.eps, "0 or more")
        require(0 < self.alpha <= 1, "PFQConfig", "alpha", self.alpha, "a number above 0 and at most 1")
        require(self.epoch_steps >= 0, "PFQConfig", "epoch_steps", self.epoch_steps, "0 or more")
        require(self.total_steps >= 0, "PFQConfig", "total_steps", self.total_steps, "0 or more")

    @property
    def ladder(self) -> tuple[tuple[int, int], ...]:
        """(forward, backward) bits, stage by stage."""
        forward = numbers("PFQConfig", "forward", self.forward)
        backward = numbers("PFQConfig", "backward", self.backward)
        same = len(forward) == len(backward)
        require(same, "PFQConfig", "backward", repr(self.backward), f"{len(forward)} numbers, as forward has")
        return tuple(zip(forward, backward, strict=True))


@final
class PFQ(RangedPolicy):
    """Progressive fractional quantization: 3/6, 4/6, 6/8, 8/8 bits, each stage when the loss has settled.

    Evaluation uses the stage's own bits. The last weighted layer stays float32, as published.

    Source: Fu, You, Zhao, Wang, Li, Gopalakrishnan, Wang, Lin, "FracTrain: Fractionally squeezing bit savings both
    temporally and spatially for efficient DNN training", NeurIPS 2020, section 3.2.
    """

    name: ClassVar[str] = "pfq"
    float_layers: ClassVar[tuple[End, ...]] = ("last",)

    def __init__(self, config: PFQConfig | None = None) -> None:
        super().__init__()
        self.config: PFQConfig = PFQConfig() if config is None else config
        self._total = self.config.total_steps
        self._clock: Clock | None = None

    def plan(self, total_steps: int) -> None:
        if not self.config.total_steps:
            self._total = total_steps

    @property
    def stage(self) -> int:
        """From 0."""
        return 0 if self._clock is None else self._clock.stage

    def present(self) -> RangedNumerics:
        forward, backward = self.config.ladder[self.stage]
        return affine_numerics(forward, forward, backward)

    def reset(self) -> None:
        if not self._total:
            raise ValueError(
                "PFQ: the length of the run is not known; give attach(..., total_steps=), or PFQConfig(total_steps=)"
            )
        self._clock = self._new_clock()

    def _new_clock(self) -> Clock:
        config = self.config
        length = config.epoch_steps or epoch_length(self._total)
        return Clock(config.eps, config.alpha, len(config.ladder) - 1, self._total, length)

    def advance(self, observation: Observation) -> tuple[str, Mapping[str, float]]:
        if self._clock is None:
            raise RuntimeError("PFQ: the run has not begun; call start() or load_state_dict() first")
        reason = self._clock.advance(observation.step, observation.task_loss)
        return reason, {"stage": float(self.stage)} if reason else {}

    def settings(self) -> dict[str, str]:
        return {name: str(value) for name, value in to_options(self.config).items()}

    def own_state(self) -> dict[str, Any]:
        return {"total": self._total, "clock": None if self._clock is None else self._clock.to_dict()}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self._total = int(state["total"])
        self._clock = self._new_clock()
        self._clock.load(state["clock"])

    def __repr__(self) -> str:
        return f"PFQ({self.config!r})"
