"""Truncated normal initialisation of a model, the start that AdaPT is published with."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fxsim.policies.adapt import tnvs

NORMALISATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


@torch.no_grad()
def initialise(model: nn.Module, *, gain: float = 0.5, generator: torch.Generator | None = None) -> None:
    """Initialise every parameter in place, in `named_modules()` order.

    Weights of two and more dimensions: N(0, gain / fan_in) truncated at +-sqrt(3 gain / fan_in); a bias beside
    one: uniform in +-1 / sqrt(fan_in); normalisation layers: weight 1, bias 0. Other parameters stay as they are.

    gain: see `fxsim.policies.adapt.tnvs.recommended_gain`. generator: source of random numbers; None: torch's own.

    Source: Kummer et al. 2021.
    """
    for module in model.modules():
        weight, bias = (module._parameters.get(name) for name in ("weight", "bias"))
        if isinstance(module, NORMALISATIONS):
            if weight is not None:
                weight.fill_(1.0)
            if bias is not None:
                bias.fill_(0.0)
        elif weight is not None and weight.ndim > 1:
            fan_in = weight[0].numel()
            weight.copy_(truncated_normal(tuple(weight.shape), fan_in, gain, generator))
            if bias is not None:
                bound = 1.0 / math.sqrt(fan_in)
                bias.copy_(_uniform(tuple(bias.shape), generator) * (2.0 * bound) - bound)


def truncated_normal(
    shape: tuple[int, ...], fan_in: int, gain: float, generator: torch.Generator | None = None
) -> Tensor:
    """float64 samples of the truncated normal distribution, by inversion of its distribution function, clamped."""
    low = tnvs.LOWEST_PROBABILITY
    share = low + _uniform(shape, generator) * (1.0 - 2.0 * low)
    cut = tnvs.CUT_IN_SIGMAS
    in_sigmas: Tensor = torch.special.ndtri(share).clamp_(-cut, cut)
    return in_sigmas * tnvs.sigma(fan_in, gain)


def _uniform(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64)
