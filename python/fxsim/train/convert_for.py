"""A plain model made ready for a policy."""

from __future__ import annotations

import copy
import glob
from collections.abc import Mapping

import torch
from torch import nn

from fxsim.nn import RangeBatchNorm2d, gate_blocks, layers
from fxsim.nn.convert import convert
from fxsim.numerics import Numerics
from fxsim.policies.base import Arithmetic, Policy
from fxsim.train.surgery import reshape

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
    overrides: Mapping[str, Arithmetic | None] | None = None,
    inplace: bool = False,
) -> nn.Module:
    """The model with the layers, and the arithmetic, that the policy starts with.

    Under a floating point policy nothing is converted. Some policies exchange activations and other modules first
    (`fxsim.train.surgery`). seed: of the layers' random streams. overrides: as in
    `fxsim.convert`; of these a policy that adapts formats keeps the accumulators. inplace: change `model` itself
    rather than a deep copy.

    Layers that the policy leaves in float32 (`float_layers`) stay torch's own, unless an override says otherwise.
    Under a policy with `range_norm` batch normalisation becomes range normalisation, with fresh statistics.
    Where it has gates, blocks are wrapped (`fxsim.nn.gate_blocks`); gates draw their initial weights from
    `seed`.

    Raises ValueError where a floating point policy is given overrides, or a policy with gates finds no block.
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
    target = model if inplace else copy.deepcopy(model)
    chosen = {**_left_float(policy, target), **reshape(policy, target), **(overrides or {})}
    if policy.range_norm is not None:
        _normalize_by_range(target, policy.range_norm)
    converted = convert(target, numerics, overrides=chosen, inplace=True, wrap=wrap, seed=seed)
    if policy.gating is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            gate_blocks(converted, policy.gating.candidates)
        for name, layer in layers(converted):
            layer.name = name
    return converted


def _normalize_by_range(model: nn.Module, numerics: Numerics) -> None:
    """Put range normalisation in the place of batch normalisation, with its parameters, eps and momentum."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is not nn.BatchNorm2d:
                continue
            momentum = 0.1 if child.momentum is None else child.momentum
            norm = RangeBatchNorm2d(child.num_features, child.eps, momentum, numerics=numerics)
            if child.affine:
                norm.weight, norm.bias = child.weight, child.bias
            setattr(parent, name, norm.train(child.training))


def _left_float(policy: Policy, model: nn.Module) -> dict[str, None]:
    """The names of the layers that stay float; characters that a glob would interpret are escaped."""
    names = [name for name, module in model.named_modules() if type(module) in (nn.Linear, nn.Conv2d)]
    ends = {"first": names[:1], "last": names[-1:]}
    return {glob.escape(name): None for end in policy.float_layers for name in ends[end]}
