"""The MuPPET policy: block floating point whose word length rises when gradients stop agreeing less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, final

import numpy as np
from numpy.typing import NDArray

from fxsim.policies.base import BlockGradientRule, Observation
from fxsim.policies.muppet.diversity import mean_diversity, tensor_diversity, threshold
from fxsim.policies.norm import euclidean_norm
from fxsim.policies.options import numbers, require, to_options
from fxsim.policies.ranged import RangedPolicy
from fxsim.ranges import WIDEST, Block, Plain, RangedNumerics

EPOCHS_OF_A_RUN: Final = 110
"""Virtual epochs that a run is divided into: about as many as the published runs have."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MuPPETConfig:
    """The settings of MuPPET.

    schedule: the word lengths in order, a text such as "8,12,14,16"; float32 follows the last.
    resolution: epochs between two looks at the diversity, 2 or more. patience: violations until the next word length.
    tail: epochs in float32 at each learning rate. drops: how often the rate falls to a tenth there.
    epoch_steps: steps that count as an epoch; 0 for a 110th of the run.
    random_bits: of every stochastic rounding, 1 to 32.
    per_sample: whether each image has a power of two of its own, as published, rather than one for the batch.

    Source: Rajagopal et al. 2020, section 4; epoch_steps: see docs/policies/muppet.md.
    """

    schedule: str = "8,12,14,16"
    resolution: int = 3
    patience: int = 2
    tail: int = 15
    drops: int = 2
    epoch_steps: int = 0
    random_bits: int = 16
    per_sample: bool = False

    def __post_init__(self) -> None:
        bits = self.word_lengths
        valid = all(2 <= each <= WIDEST for each in bits) and list(bits) == sorted(set(bits))
        require(valid, "MuPPETConfig", "schedule", repr(self.schedule), f"rising word lengths of 2 to {WIDEST} bits")
        require(self.resolution >= 2, "MuPPETConfig", "resolution", self.resolution, "2 or more (1 gives diversity 1)")
        require(self.patience >= 1, "MuPPETConfig", "patience", self.patience, "1 or more")
        require(self.tail >= 1, "MuPPETConfig", "tail", self.tail, "1 or more")
        require(self.drops >= 0, "MuPPETConfig", "drops", self.drops, "0 or more")
        require(self.epoch_steps >= 0, "MuPPETConfig", "epoch_steps", self.epoch_steps, "0 or more")
        require(1 <= self.random_bits <= 32, "MuPPETConfig", "random_bits", self.random_bits, "1 to 32")

    @property
    def word_lengths(self) -> tuple[int, ...]:
        """The schedule as numbers."""
        return numbers("MuPPETConfig", "schedule", self.schedule)


@final
class MuPPET(RangedPolicy):
    """One word length for all layers, each tensor under its own power of two; 8, 12, 14, 16 bits, then float32.

    At the end of an epoch the latest gradient of each weight is remembered. Every `resolution` epochs their diversity
    is compared with the greatest one at this word length; when the ratio has exceeded the threshold `patience` times,
    the next word length begins.

    Source: Rajagopal, Vink, Venieris, Bouganis, "Multi-precision policy enforced training (MuPPET)", ICML 2020.
    """

    name: ClassVar[str] = "muppet"
    quantizes_neighbours: ClassVar[bool] = True

    def __init__(self, config: MuPPETConfig | None = None) -> None:
        super().__init__()
        self.config: MuPPETConfig = MuPPETConfig() if config is None else config
        self._epoch_steps = self.config.epoch_steps
        self._begin()

    def _begin(self) -> None:
        self._stage = self._violations = self._epochs = self._float_epochs = 0
        self._greatest = 0.0
        self._squares: dict[str, float] = {}
        self._sums: dict[str, NDArray[np.float32]] = {}

    def plan(self, total_steps: int) -> None:
        if not self.config.epoch_steps:
            self._epoch_steps = max(1, total_steps // EPOCHS_OF_A_RUN)

    @property
    def word_length(self) -> int | None:
        """Of the next step; None in float32."""
        lengths = self.config.word_lengths
        return lengths[self._stage] if self._stage < len(lengths) else None

    @property
    def gradient_rule(self) -> BlockGradientRule | None:
        bits = self.word_length
        return None if bits is None else BlockGradientRule(Block(bits, self.config.random_bits))

    @property
    def learning_rate_factor(self) -> float:
        return 10.0 ** -min(self._float_epochs // self.config.tail, self.config.drops)

    @property
    def finished(self) -> bool:
        """Whether the tail in float32 is over: further steps go on at the last learning rate."""
        return self._float_epochs >= self.config.tail * (self.config.drops + 1)

    def present(self) -> RangedNumerics:
        bits = self.word_length
        if bits is None:
            return RangedNumerics(weight=Plain(), activation=Plain(), grad_output=Plain())
        block = Block(bits, self.config.random_bits)
        return RangedNumerics(weight=block, activation=block, output=block, grad_output=block)

    def numerics_of(self, layer: str) -> RangedNumerics:
        now = self.present()
        if not self.config.per_sample or layer != self._layers[0].name or not isinstance(now.activation, Block):
            return now
        return replace(now, activation=Block(now.activation.bits, now.activation.random_bits, over="sample"))

    def reset(self) -> None:
        if not self._epoch_steps:
            raise ValueError(
                "MuPPET: the length of an epoch is not known; give attach(..., total_steps=), or "
                "MuPPETConfig(epoch_steps=)"
            )
        self._begin()

    def advance(self, observation: Observation) -> tuple[str, Mapping[str, float]]:
        if (observation.step + 1) % self._epoch_steps:
            return "", {}
        epoch, self._epochs = self._epochs, self._epochs + 1
        if self.word_length is None:
            self._float_epochs += 1
            return "", {}
        for layer in observation.layers:
            norm = euclidean_norm(layer.gradient)
            self._squares[layer.name] = self._squares.get(layer.name, 0.0) + norm**2
            before = self._sums.get(layer.name)
            gradient = np.array(layer.gradient, np.float32)
            self._sums[layer.name] = gradient if before is None else before + gradient
        if (epoch + 1) % self.config.resolution:
            return "", {}
        return self._compare(epoch)

    def _compare(self, epoch: int) -> tuple[str, Mapping[str, float]]:
        diversity = mean_diversity(
            tensor_diversity(self._squares[name], euclidean_norm(total)) for name, total in self._sums.items()
        )
        self._squares, self._sums = {}, {}
        if diversity is None:
            return "", {}
        details = {"epoch": float(epoch), "diversity": diversity, "greatest": self._greatest}
        if diversity >= self._greatest:
            self._greatest = diversity
        elif self._greatest / diversity > threshold(epoch):
            self._violations += 1
        if self._violations >= self.config.patience:
            self._stage, self._violations, self._greatest = self._stage + 1, 0, 0.0
        return "diversity", details

    def settings(self) -> dict[str, str]:
        return {name: str(value) for name, value in to_options(self.config).items()}

    def own_state(self) -> dict[str, Any]:
        return {
            "epoch_steps": self._epoch_steps,
            "stage": self._stage,
            "violations": self._violations,
            "epochs": self._epochs,
            "float_epochs": self._float_epochs,
            "greatest": self._greatest,
            "squares": dict(self._squares),
            "sums": {name: total.copy() for name, total in self._sums.items()},
        }

    def load_own_state(self, state: Mapping[str, Any]) -> None:
        self._epoch_steps, self._stage = int(state["epoch_steps"]), int(state["stage"])
        self._violations, self._epochs = int(state["violations"]), int(state["epochs"])
        self._float_epochs, self._greatest = int(state["float_epochs"]), float(state["greatest"])
        self._squares = {name: float(each) for name, each in state["squares"].items()}
        self._sums = {name: np.array(each, np.float32) for name, each in state["sums"].items()}

    def __repr__(self) -> str:
        return f"MuPPET({self.config!r})"
