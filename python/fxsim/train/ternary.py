"""TernGrad's gradients on torch tensors: s, 0 and -s, so that the mean of the clipped gradient is kept.

Source: Wen, Xu, Yan, Wu, Wang, Chen and Li, "TernGrad: Ternary Gradients to Reduce Communication in Distributed Deep
Learning", NIPS 2017, equations 1, 2 and 8.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from fxsim.nn.draws import draws_for
from fxsim.policies.base import TernaryRule
from fxsim.rng import Key, Role, stream


def scale_of(gradient: Tensor, clip: float) -> float:
    """s = min(clip sigma, max |g|), or max |g| where sigma or clip is 0; a float32.

    sigma: the population deviation, summed in float64 in an order that depends on the size alone.
    """
    values = gradient.detach().numpy().astype(np.float64)
    largest = float(np.abs(values).max(initial=0.0))
    sigma = float(np.sqrt(np.square(values - values.mean()).mean())) if values.size else 0.0
    limit = clip * sigma
    return float(np.float32(min(limit, largest) if limit > 0.0 else largest))


def ternary(gradient: Tensor, rule: TernaryRule, key: Key) -> Tensor:
    """Every element s, 0 or -s. gradient: float32. Random numbers belong to elements as in all roundings.

    An element is kept where U s < |g| 2**r, U a random integer of r bits; deterministic: where 2 |g| > s. Exact: s and
    |g| are float32, so that both sides fit float64.
    """
    scale = scale_of(gradient, rule.clip)
    magnitude = gradient.to(torch.float64).abs()
    if rule.stochastic:
        draws = draws_for(gradient, key, rule.random_bits)
        kept = draws * scale < magnitude * math.ldexp(1.0, rule.random_bits)
    else:
        kept = 2.0 * magnitude > scale
    return torch.sign(gradient) * kept * scale


@torch.no_grad()
def ternarize(model: nn.Module, rule: TernaryRule, seed: int, step: int) -> None:
    """Apply the rule to the gradients of all parameters, in place, each parameter by itself."""
    last = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)][-1:]
    for number, (name, parameter) in enumerate(model.named_parameters()):
        exempt = rule.except_last and name.rpartition(".")[0] in last
        if parameter.grad is None or parameter.numel() < rule.least_elements or exempt:
            continue
        role = Role.GRAD_BIAS if name.endswith("bias") else Role.GRAD_WEIGHT
        parameter.grad.copy_(ternary(parameter.grad, rule, Key(seed, stream(number, role, step))))
