"""How one network is trained: policy, optimizer, learning rate, initialisation; and the recipes used by default."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, final

import torch
from torch import nn

from fxsim import models
from fxsim.policies import POLICIES, build
from fxsim.policies.adapt import tnvs
from fxsim.rounding import Quantizer
from fxsim.tensor import carries
from fxsim.train.initialise import NORMALISATIONS
from fxsim.train.presentation import PRESENTATIONS, Presentation

Schedule: TypeAlias = Literal["cosine", "constant", "eighths"]
SCHEDULES: Final[tuple[Schedule, ...]] = ("cosine", "constant", "eighths")

Initialisation: TypeAlias = Literal["tnvs", "torch"]
INITIALISATIONS: Final[tuple[Initialisation, ...]] = ("tnvs", "torch")

Loss: TypeAlias = Literal["cross_entropy", "half_squared_error"]
LOSSES: Final[tuple[Loss, ...]] = ("cross_entropy", "half_squared_error")

OptionValue: TypeAlias = str | int | float | bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One network of a run.

    name: what its lines in the run folder are marked with.
    policy: a name of `fxsim.policies.POLICIES`.
    options: of the policy, by name; those left out keep the policy's defaults.
    learning_rate: at the first step. momentum, weight_decay: of torch.optim.SGD.
    schedule: "cosine" falls to 0 over the run, step by step; "constant" stays; "eighths" falls to an eighth after
        two thirds of the run, and again after five sixths, and so stays a power of two.
    initialisation: "tnvs" for truncated normal variance scaling with `gain`, "torch" for the layers' own.
    gain: variance of a weight times its fan-in before truncation, used by "tnvs".
    kept_weights: how parameters are kept between steps, as the text of a quantizer; "" for floats. kept_momentum: how
        the optimizer's momentum is. Both are rounded after every step (`fxsim.optim.Quantized`).
    loss: of the training; test losses are cross entropies always. presentation: see `fxsim.train.presentation`.
    """

    name: str
    policy: str
    options: Mapping[str, OptionValue] = dataclasses.field(default_factory=dict, hash=False)
    learning_rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    initialisation: Initialisation = "torch"
    gain: float = 1.0
    loss: Loss = "cross_entropy"
    presentation: Presentation = "normalised"
    kept_weights: str = ""
    kept_momentum: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", dict(self.options))
        build(self.policy, self.options)  # names an unknown policy, an unknown option, a value out of range
        _require(bool(self.name), "name", self.name, "a text that is not empty")
        _require(0 < self.learning_rate < math.inf, "learning_rate", self.learning_rate, "a number above 0")
        _require(0 <= self.momentum < 1, "momentum", self.momentum, "0 or more, below 1")
        _require(0 <= self.weight_decay < math.inf, "weight_decay", self.weight_decay, "0 or more")
        _require(0 < self.gain < math.inf, "gain", self.gain, "a number above 0")
        _require(self.schedule in SCHEDULES, "schedule", self.schedule, " or ".join(SCHEDULES))
        _require(
            self.initialisation in INITIALISATIONS, "initialisation", self.initialisation, " or ".join(INITIALISATIONS)
        )
        _require(self.loss in LOSSES, "loss", self.loss, " or ".join(LOSSES))
        _require(self.presentation in PRESENTATIONS, "presentation", self.presentation, " or ".join(PRESENTATIONS))
        for name, dtype in (("kept_weights", torch.float32), ("kept_momentum", torch.float64)):
            text = getattr(self, name)
            fits = not text or carries(dtype, Quantizer.parse(text).format)
            _require(fits, name, text, f"a format that {dtype} carries")
        _require(not self.kept_momentum or self.momentum > 0, "kept_momentum", self.kept_momentum, "it with momentum")

    def learning_rate_at(self, step: int, total_steps: int) -> float:
        """The learning rate of step `step`, counted from 0, of a run of `total_steps`.

        Source: Loshchilov and Hutter 2017, SGDR, equation 5, without restarts.
        """
        match self.schedule:
            case "constant":
                return self.learning_rate
            case "cosine":
                return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * step / total_steps))
            case "eighths":
                falls = (3 * step >= 2 * total_steps) + (6 * step >= 5 * total_steps)
                return math.ldexp(self.learning_rate, -3 * falls)

    def full_options(self) -> dict[str, Any]:
        """The policy's options with the defaults filled in."""
        return {**POLICIES[self.policy].options, **self.options}


BASELINE_LEARNING_RATE: Final = MappingProxyType({"lenet5": 0.1, "alexnet": 0.01, "resnet20": 0.1})
"""Of ordinary gradients, by model; others train at the least of these."""

BASELINE_WEIGHT_DECAY: Final = 5e-4

ADAPT_LEARNING_RATE: Final = 0.03
"""AdaPT's gradients have unit norm, so this is a distance per step and tensor, whatever the model."""


_SCHEMES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "sakr": {
            "learning_rate": 0.25,
            "momentum": 0.0,
            "schedule": "eighths",
            "presentation": "zero_to_two",
        },
        "binarynet": {"learning_rate": 0.5},
        "dorefa": {"learning_rate": 0.02},
        "wage": {
            "learning_rate": 8.0,
            "momentum": 0.0,
            "schedule": "eighths",
            "loss": "half_squared_error",
            "presentation": "minus_one_to_one",
        },
    }
)
"""Fields of the recipes of methods that come with a way to be trained."""


def recipe_for(policy: str, model: str, options: Mapping[str, OptionValue] | None = None) -> Recipe:
    """The recipe that a policy uses on a model unless told otherwise.

    AdaPT: SGD of 0.03 with momentum 0.9, cosine to 0, L1 1e-4 (the policy's own option), weight decay 1e-8,
    truncated normal initialisation of gain 0.5, or 2 for deep plain nets. The published 0.1 needs long runs;
    a rate that does not fall never settles, because unit-norm steps do not shrink near a minimum.
    Sakr: plain SGD of 1/4 falling by eighths, images as pixel / 128. WAGE: the same of 8, images in [-1, 1], half the
    squared error. BinaryNet: SGD of 0.5 with momentum 0.9. DoReFa: of 0.02.
    MuPPET: weight decay 1e-4 and a constant rate, which the policy itself lowers at the end.
    All others, the float32 baseline among them: torch's initialisation and SGD with momentum 0.9, weight
    decay 5e-4, cosine to 0.
    """
    given = dict(options or {})
    rate = BASELINE_LEARNING_RATE.get(model, min(BASELINE_LEARNING_RATE.values()))
    if policy == "adapt":
        return Recipe(
            name=policy,
            policy=policy,
            options=given,
            learning_rate=ADAPT_LEARNING_RATE,
            weight_decay=1e-8,
            initialisation="tnvs",
            gain=_gain(model),
        )
    if policy in _SCHEMES:
        return Recipe(name=policy, policy=policy, options=given, **_SCHEMES[policy])
    if policy == "muppet":
        return Recipe(
            name=policy, policy=policy, options=given, learning_rate=rate, weight_decay=1e-4, schedule="constant"
        )
    return Recipe(name=policy, policy=policy, options=given, learning_rate=rate, weight_decay=BASELINE_WEIGHT_DECAY)


def _gain(model: str) -> float:
    with torch.device("meta"):  # shapes only, nothing is drawn
        modules = list(models.build(model, num_classes=10, in_channels=3).modules())
    weighted = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in modules)
    return tnvs.recommended_gain(weighted, normalized=any(isinstance(module, NORMALISATIONS) for module in modules))


def _require(condition: bool, name: str, given: object, accepted: str) -> None:
    if not condition:
        raise ValueError(f"Recipe: {name} is {given!r}; give {accepted}")
