"""From measurements on a floating point training to C_o, the precision assignment.

Source: Sakr and Shanbhag, ICLR 2019, claim 1; criterion 4 in its exact form, see docs/policies/sakr.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from fxsim.policies.sakr.assignment import Assignment, LayerAssignment
from fxsim.policies.sakr.claim1 import (
    ACTIVATION_GRADIENT_FACTOR,
    WEIGHT_GRADIENT_FACTOR,
    accumulator_precision,
    activation_gradient_step,
    gradient_range,
    precision,
    precision_offsets,
    weight_gradient_step,
)

LARGEST_B_MIN: Final = 12
IMAGE_BITS: Final = 8

Mismatch: TypeAlias = Callable[[Mapping[str, tuple[int, int]]], float]
"""The share of samples on which a net with these (B_W, B_A) decides otherwise than the float net: p_m."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMeasurement:
    """What was measured of one layer in the floating point training.

    weights: |G_W|. weight_noise_gain, activation_noise_gain: E_W, and E_A of its input.
    weight_sigma_max, weight_sigma_min: extremes over the training of the running deviation of its weight gradient.
    activation_sigma_max: of its output's gradient. input_sigma_max: of its input's gradient; 0 where there is none.
    sensitivity: S, the sum over weights and elements of the output's gradient of (d g_w / d g_a)**2.
    """

    weights: int
    weight_noise_gain: float
    activation_noise_gain: float
    weight_sigma_max: float
    weight_sigma_min: float
    activation_sigma_max: float
    sensitivity: float
    input_sigma_max: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0) or (value == 0.0 and name != "input_sigma_max"):
                raise ValueError(
                    f"sakr: {name} was measured as {value}; a layer needs finite gradients that are not all zero: "
                    f"measure a training that learns"
                )


def assign(
    measurements: Mapping[str, LayerMeasurement],
    mismatch: Mismatch,
    *,
    least_learning_rate: float,
    target: float = 0.01,
    first: str | None = None,
) -> Assignment:
    """C_o: close to the least precisions whose training follows the floating point one.

    measurements: of all weighted layers, by name, in model order. mismatch: asked for B_min = 1, 2, ... until it is
    below `target`. least_learning_rate: the smallest of the training to come, gamma_min. first: the layer that sees the
    images, whose activation needs no more than their 8 bits; None: the first.

    Raises ValueError where there are no layers, or where even B_min = 12 misses the target.
    """
    if not measurements:
        raise ValueError("sakr: there are no layers to assign precisions to; measure a model with weighted layers")
    forward = feedforward(measurements, mismatch, target=target, first=first)
    return Assignment(
        {name: _layer(measured, *forward[name], least_learning_rate) for name, measured in measurements.items()}
    )


def feedforward(
    measurements: Mapping[str, LayerMeasurement], mismatch: Mismatch, *, target: float, first: str | None = None
) -> dict[str, tuple[int, int]]:
    """(B_W, B_A) of every layer: equation (1), with the least B_min whose mismatch is below the target."""
    names = list(measurements)
    image = names[0] if first is None else first
    gains = [m.weight_noise_gain for m in measurements.values()]
    gains += [m.activation_noise_gain for m in measurements.values()]
    offsets = precision_offsets(gains)
    tried = []
    for b_min in range(1, LARGEST_B_MIN + 1):
        bits = {name: _pair(name, image, offsets, i, len(names), b_min) for i, name in enumerate(names)}
        tried.append(mismatch(bits))
        if tried[-1] < target:
            return bits
    raise ValueError(
        f"sakr: no B_min up to {LARGEST_B_MIN} has a mismatch below {target} (the last is {tried[-1]}); "
        f"raise the target, or train the float net longer"
    )


def _pair(name: str, image: str, offsets: Sequence[int], i: int, layers: int, b_min: int) -> tuple[int, int]:
    weight, activation = offsets[i] + b_min, offsets[layers + i] + b_min
    return max(weight, 2), max(min(activation, IMAGE_BITS) if name == image else activation, 2)


def _layer(measured: LayerMeasurement, weight: int, activation: int, least_learning_rate: float) -> LayerAssignment:
    weight_range = gradient_range(measured.weight_sigma_max, WEIGHT_GRADIENT_FACTOR)
    weight_step = weight_gradient_step(measured.weight_sigma_min)
    activation_range = gradient_range(measured.activation_sigma_max, ACTIVATION_GRADIENT_FACTOR)
    activation_step = activation_gradient_step(weight_step, measured.weights, measured.sensitivity)
    input_range = (
        gradient_range(measured.input_sigma_max, ACTIVATION_GRADIENT_FACTOR) if measured.input_sigma_max else 0
    )
    return LayerAssignment(
        weight=weight,
        activation=activation,
        weight_gradient=precision(weight_range, weight_step),
        weight_gradient_range=weight_range,
        activation_gradient=precision(activation_range, activation_step),
        activation_gradient_range=activation_range,
        accumulator=accumulator_precision(weight, least_learning_rate, weight_step),
        input_gradient_range=input_range,
    )
