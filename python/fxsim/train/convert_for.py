"""A plain model made ready for a policy."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import nn

from fxsim.nn.convert import convert
from fxsim.numerics import Numerics
from fxsim.policies.base import Policy

NEIGHBOURS: tuple[type[nn.Module], ...] = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AvgPool3d,
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.MaxPool3d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveMaxPool3d,
)
"""Layers between weighted ones that round their inputs and outputs under a policy with `quantizes_neighbours`."""


def convert_for(
    policy: Policy,
    model: nn.Module,
    *,
    seed: int = 0,
    overrides: Mapping[str, Numerics] | None = None,
    inplace: bool = False,
) -> nn.Module:
    """The model with the layers, and the arithmetic, that the policy starts with.

    Under a floating point policy nothing is converted. seed: of the layers' random streams. overrides: as in
    `fxsim.convert`; of these a policy that adapts formats keeps the accumulators. inplace: change `model` itself
    rather than a deep copy.

    Raises ValueError where a floating point policy is given overrides.
    """
    numerics = policy.start_numerics()
    if numerics is None:
        if overrides:
            raise ValueError(
                f"convert_for: policy {policy.name} leaves the model in floating point, but overrides name "
                f"{', '.join(overrides)}; drop them, or choose policy static"
            )
        return model if inplace else copy.deepcopy(model)
    wrap = NEIGHBOURS if policy.quantizes_neighbours else ()
    return convert(model, numerics, overrides=overrides, inplace=inplace, wrap=wrap, seed=seed)
