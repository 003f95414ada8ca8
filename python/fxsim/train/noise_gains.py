"""Noise gains: how strongly noise in a layer's weights, or in its input, disturbs the decisions of a net.

Source: Sakr, Kim and Shanbhag, "Analytical Guarantees on Numerical Precision of Deep Neural Networks", ICML 2017;
Sakr and Shanbhag, ICLR 2019, equation 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn


@final
@dataclass(frozen=True, slots=True)
class NoiseGains:
    """E_W, and E_A of the layer's input."""

    weight: float
    activation: float


def noise_gains(model: nn.Module, x: Tensor, layers: Sequence[tuple[str, nn.Module]]) -> dict[str, NoiseGains]:
    """E = mean over samples of sum_{i != y} sum |d (Z_i - Z_y) / d tensor|**2 / (2 (Z_i - Z_y)**2), by layer.

    Z: the logits, y the class that the net itself decides for, whose noisy decision is compared; classes that tie with
    it exactly are left out. x: images, taken one by one; the model should be in eval mode.

    The gains are heavy-tailed: sets of 60 images may differ tenfold, which moves offsets by a bit at most.
    """
    sums = {name: [0.0, 0.0] for name, _ in layers}
    for image in x:
        inputs: dict[str, Tensor] = {}
        handles = [layer.register_forward_pre_hook(_keep(inputs, name)) for name, layer in layers]
        logits = model(image[None].clone().requires_grad_(True))[0]
        for handle in handles:
            handle.remove()
        tensors = [layer.get_parameter("weight") for _, layer in layers] + [inputs[name] for name, _ in layers]
        values = logits.detach().tolist()
        decided = int(logits.argmax())
        for other in range(len(logits)):
            margin = values[other] - values[decided]
            if other == decided or margin == 0.0:
                continue
            gradients = torch.autograd.grad(
                logits[other] - logits[decided], tensors, retain_graph=True, allow_unused=True
            )
            for number, (name, _) in enumerate(layers):
                for kind, gradient in enumerate((gradients[number], gradients[len(layers) + number])):
                    if gradient is not None:
                        sums[name][kind] += float(gradient.to(torch.float64).square().sum()) / (2.0 * margin**2)
    return {name: NoiseGains(weight / len(x), activation / len(x)) for name, (weight, activation) in sums.items()}


def _keep(inputs: dict[str, Tensor], name: str) -> Any:
    def hook(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        inputs[name] = given[0]

    return hook
