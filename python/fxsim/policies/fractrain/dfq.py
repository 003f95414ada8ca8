"""DFQ: a learned gate chooses the precision of every block for every sample; alone, or under PFQ's stages."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

from fxsim.policies.affine import affine_numerics
from fxsim.policies.base import End, Gating, Observation
from fxsim.policies.fractrain.clock import Clock, epoch_length
from fxsim.policies.fractrain.cost import product_costs, target_sign
from fxsim.policies.options import numbers, require, to_options
from fxsim.policies.ranged import RangedPolicy
from fxsim.ranges import WIDEST, RangedNumerics

SKIPPED: Final = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DFQConfig:
    """The settings of DFQ.

    activations, gradients: bits that a gate chooses among, pair by pair; 0 and 0: the block is skipped, where it keeps
    the shape. weight: bits of weights.
    target: cost to be held, in percent of float32 training. beta: weight of the cost in the loss.

    Source: Fu et al. 2020, section 4.1, and the authors' code; beta: see docs/policies/dfq.md.
    """

    activations: str = "3,4,4,6,6"
    gradients: str = "6,6,8,8,12"
    weight: int = 4
    target: float = 3.0
    beta: float = 2.0

    def __post_init__(self) -> None:
        computed = [pair for pair in self.candidates if pair != SKIPPED]
        require(bool(computed), "DFQConfig", "activations", repr(self.activations), "a candidate other than 0 and 0")
        bits = [self.weight, *(each for pair in computed for each in pair)]
        require(all(1 <= each <= WIDEST for each in bits), "DFQConfig", "bits", bits, f"1 to {WIDEST} bits")
        require(self.target >= 0, "DFQConfig", "target", self.target, "a percentage of 0 or more")
        require(self.beta >= 0, "DFQConfig", "beta", self.beta, "0 or more")

    @property
    def candidates(self) -> tuple[tuple[int, int], ...]:
        """(activation, gradient) bits of each candidate."""
        activations = numbers("DFQConfig", "activations", self.activations)
        gradients = numbers("DFQConfig", "gradients", self.gradients)
        same = len(activations) == len(gradients)
        require(same, "DFQConfig", "gradients", repr(self.gradients), f"{len(activations)} numbers, as activations has")
        return tuple(zip(activations, gradients, strict=True))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FracTrainConfig(DFQConfig):
    """The settings of FracTrain: DFQ's, the first target lower, and how it rises.

    target: in the first stage. step: what each later stage adds to it. width: of the range above the target in which
    the cost is left alone. turns: number of later stages.
    eps, alpha, epoch_steps, total_steps: of PFQ.
    """

    target: float = 1.5
    step: float = 0.5
    width: float = 0.5
    turns: int = 3
    eps: float = 0.15
    alpha: float = 0.4
    epoch_steps: int = 0
    total_steps: int = 0

    def __post_init__(self) -> None:
        DFQConfig.__post_init__(self)
        for name in ("step", "width", "turns", "eps", "epoch_steps", "total_steps"):
            require(getattr(self, name) >= 0, "FracTrainConfig", name, getattr(self, name), "0 or more")
        require(0 < self.alpha <= 1, "FracTrainConfig", "alpha", self.alpha, "a number above 0 and at most 1")


class _Gated(RangedPolicy):
    """What DFQ and FracTrain share: candidates, and the loss that holds their cost."""

    float_layers: ClassVar[tuple[End, ...]] = ("first", "last")

    config: DFQConfig

    @property
    @final
    def gating(self) -> Gating:
        weight = self.config.weight
        return Gating(
            candidates=tuple(
                None if pair == SKIPPED else affine_numerics(weight, *pair) for pair in self.config.candidates
            ),
            costs=tuple(product_costs(a, weight, g) for a, g in self.config.candidates),  # 0 for one that is skipped
        )

    @final
    def gate_factor(self, cost_percent: float) -> float:
        return self.sign(cost_percent) * self.config.beta

    @abc.abstractmethod
    def sign(self, cost_percent: float) -> int:
        """Whether the cost is rewarded (-1), punished (+1) or left alone."""

    @final
    def present(self) -> RangedNumerics:
        return next(each for each in reversed(self.gating.candidates) if each is not None)

    @final
    def settings(self) -> dict[str, str]:
        return {name: str(value) for name, value in to_options(self.config).items()}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config!r})"


@final
class DFQ(_Gated):
    """Dynamic fractional quantization: gates choose, and the cost of what they choose is pulled to a target.

    Weights have one word length throughout; the first and the last weighted layer stay float32, as published.

    Source: Fu, You, Zhao, Wang, Li, Gopalakrishnan, Wang, Lin, "FracTrain: Fractionally squeezing bit savings both
    temporally and spatially for efficient DNN training", NeurIPS 2020, section 3.3.
    """

    name: ClassVar[str] = "dfq"

    def __init__(self, config: DFQConfig | None = None) -> None:
        super().__init__()
        self.config = DFQConfig() if config is None else config

    def sign(self, cost_percent: float) -> int:
        return target_sign(cost_percent, self.config.target)

    def reset(self) -> None:
        """Nothing is remembered."""

    def advance(self, observation: Observation) -> tuple[str, Mapping[str, float]]:  # noqa: ARG002
        return "", {}

    def own_state(self) -> dict[str, Any]:
        return {}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """There is none."""


@final
class FracTrain(_Gated):
    """DFQ whose target cost rises in PFQ's stages.

    Source: Fu, You, Zhao, Wang, Li, Gopalakrishnan, Wang, Lin, "FracTrain: Fractionally squeezing bit savings both
    temporally and spatially for efficient DNN training", NeurIPS 2020, section 3.4.
    """

    name: ClassVar[str] = "fractrain"

    config: FracTrainConfig

    def __init__(self, config: FracTrainConfig | None = None) -> None:
        super().__init__()
        self.config = FracTrainConfig() if config is None else config
        self._total = self.config.total_steps
        self._clock: Clock | None = None

    def plan(self, total_steps: int) -> None:
        if not self.config.total_steps:
            self._total = total_steps

    @property
    def stage(self) -> int:
        """From 0."""
        return 0 if self._clock is None else self._clock.stage

    @property
    def target(self) -> float:
        """The cost that the present stage holds, in percent of float32 training."""
        return self.config.target + self.stage * self.config.step

    def sign(self, cost_percent: float) -> int:
        return target_sign(cost_percent, self.target, self.config.width)

    def reset(self) -> None:
        if not self._total:
            raise ValueError(
                "FracTrain: the length of the run is not known; give attach(..., total_steps=), or "
                "FracTrainConfig(total_steps=)"
            )
        self._clock = self._new_clock()

    def _new_clock(self) -> Clock:
        config = self.config
        length = config.epoch_steps or epoch_length(self._total)
        return Clock(config.eps, config.alpha, config.turns, self._total, length)

    def advance(self, observation: Observation) -> tuple[str, Mapping[str, float]]:
        if self._clock is None:
            raise RuntimeError("FracTrain: the run has not begun; call start() or load_state_dict() first")
        reason = self._clock.advance(observation.step, observation.task_loss)
        return reason, {"stage": float(self.stage), "target": self.target} if reason else {}

    def own_state(self) -> dict[str, Any]:
        return {"total": self._total, "clock": None if self._clock is None else self._clock.to_dict()}

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self._total = int(state["total"])
        self._clock = self._new_clock()
        self._clock.load(state["clock"])
