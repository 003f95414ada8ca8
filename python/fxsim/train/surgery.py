"""A plain model given the shape that a published method is defined on, before its layers are converted.

Methods that need certain activations, a normalisation, or no biases say so here, in one table. Modules are exchanged
where they stand, so any model whose activations are modules can be changed; `torch.relu` in a forward stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, final

import torch
from torch import nn

from fxsim.nn.activations import Clamp, RowNorm, Sign
from fxsim.nn.codes import wage_width
from fxsim.numerics import Numerics
from fxsim.policies.base import Policy
from fxsim.train.initialise import NORMALISATIONS

ACTIVATIONS: Final = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU)
WEIGHTED: Final = (nn.Conv2d, nn.Linear)

SAKR_CLIP: Final = 2.0


@final
@dataclass(frozen=True, slots=True)
class Shape:
    """What a method asks of a model.

    activation: stands where any activation stood. normalised: a BatchNorm before every activation that has none.
    normalised_output: another one after the last layer. plain: no normalisation at all. biases: kept or removed;
    of layers that stay float they are always kept. max_pool: instead of average pools inside the network.
    least_width: weights are stretched where they are, so that the largest of a layer has at least this magnitude.
    numerics_of_outer: what first and last layers have instead of the policy's numerics.
    """

    activation: Callable[[], nn.Module]
    normalised: bool = False
    normalised_output: bool = False
    plain: bool = False
    biases: bool = True
    max_pool: bool = False
    least_width: Callable[[int], float] | None = None
    numerics_of_outer: Callable[[Numerics], tuple[Numerics, Numerics]] | None = None


SHAPES: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "sakr": Shape(activation=lambda: Clamp(0.0, SAKR_CLIP)),
        "binarynet": Shape(
            activation=Sign,
            normalised=True,
            normalised_output=True,
            biases=False,
            max_pool=True,
            numerics_of_outer=lambda inner: (_with_input(inner, "<8,5>"), _with_input(inner, "<8,6>")),
        ),
        "dorefa": Shape(activation=lambda: Clamp(0.0, 1.0), normalised=True, biases=False),
        "wage": Shape(activation=nn.ReLU, plain=True, biases=False, least_width=wage_width),
    }
)
"""By the policy's name; a policy without a row takes models as they are."""


def reshape(policy: Policy, model: nn.Module) -> dict[str, Numerics]:
    """Change a model in place into what the policy's method is defined on; a model without a row is left alone.

    Returns:
        the numerics of layers that differ from the others, as overrides of `convert`.

    Raises ValueError where first and last layer stay float and no other is left.
    """
    shape = SHAPES.get(policy.name)
    numerics = policy.start_numerics()
    if shape is None or not isinstance(numerics, Numerics):
        return {}
    names = [name for name, module in model.named_modules() if type(module) in WEIGHTED]
    outer = set(names[:1] + names[-1:]) if policy.float_layers else set()
    if outer and len(names) < 3:
        raise ValueError(
            f"convert_for: policy {policy.name} leaves the first and the last weighted layer in float, and the model "
            f"has only {len(names)}; give a model with three or more"
        )
    _exchange_activations(model, shape)
    if not shape.biases:
        _remove_biases(model, outer)
    if shape.plain:
        _exchange(model, NORMALISATIONS, lambda _: nn.Identity())
    if shape.least_width is not None:
        _stretch(model, shape.least_width)
    if shape.max_pool:
        _exchange(model, (nn.AvgPool2d,), _max_pool)
    return _overrides(model, shape, numerics, names)


def _overrides(model: nn.Module, shape: Shape, numerics: Numerics, names: list[str]) -> dict[str, Numerics]:
    overrides: dict[str, Numerics] = {}
    if not names:
        return overrides
    if shape.numerics_of_outer is not None:
        overrides[names[0]], overrides[names[-1]] = shape.numerics_of_outer(numerics)
    if shape.normalised_output:
        last = model.get_submodule(names[-1])
        norm = _norm_after(last)
        model.set_submodule(names[-1], nn.Sequential(last, norm))
        if names[-1] in overrides:
            overrides[f"{names[-1]}.0"] = overrides.pop(names[-1])
    return overrides


def _exchange_activations(model: nn.Module, shape: Shape) -> None:
    """Walk in `named_modules()` order, which is the order of execution in models that are made that way."""
    before: nn.Module | None = None
    normalised = False
    for name, module in list(model.named_modules()):
        if type(module) in WEIGHTED:
            before, normalised = module, False
        elif isinstance(module, NORMALISATIONS):
            normalised = True
        elif isinstance(module, ACTIVATIONS):
            activation = shape.activation()
            if shape.normalised and not normalised and before is not None:
                activation = nn.Sequential(_norm_after(before), activation)
            model.set_submodule(name, activation)


def _norm_after(layer: nn.Module) -> nn.Module:
    if isinstance(layer, nn.Conv2d):
        return nn.BatchNorm2d(layer.out_channels)
    assert isinstance(layer, nn.Linear)  # noqa: S101 - one of WEIGHTED
    return RowNorm(layer.out_features)


def _remove_biases(model: nn.Module, kept: set[str]) -> None:
    for name, module in model.named_modules():
        if type(module) in WEIGHTED and name not in kept:
            module.register_parameter("bias", None)


@torch.no_grad()
def _stretch(model: nn.Module, least_width: Callable[[int], float]) -> None:
    """A layer's weights times one factor, so that the largest reaches the width for its fan-in."""
    for module in model.modules():
        if type(module) in WEIGHTED:
            weight = module.get_parameter("weight")
            largest = float(weight.abs().max()) if weight.numel() else 0.0
            if largest > 0.0:
                weight.mul_(max(least_width(weight[0].numel()) / largest, 1.0))


def _max_pool(module: nn.Module) -> nn.Module:
    assert isinstance(module, nn.AvgPool2d)  # noqa: S101 - `_exchange` was asked for no other
    return nn.MaxPool2d(module.kernel_size, module.stride, module.padding)


def _exchange(model: nn.Module, kinds: tuple[type[nn.Module], ...], make: Callable[[nn.Module], nn.Module]) -> None:
    for name, module in list(model.named_modules()):
        if isinstance(module, kinds) and name:
            model.set_submodule(name, make(module))


def _with_input(numerics: Numerics, activation: str) -> Numerics:
    return Numerics(numerics.weight, activation, carrier=numerics.carrier, ste=numerics.ste, code=numerics.code)
