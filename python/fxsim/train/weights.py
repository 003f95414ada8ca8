"""How many weights of a network are zero once they are quantized."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fxsim.nn import Conv2d, Linear


def sparsity_fields(model: nn.Module) -> dict[str, Any]:
    """The fields of a metrics line about zeros among the weights in use: raw integers, or floats of a plain layer."""
    zeros, elements = {}, {}
    for name, layer in model.named_modules():
        weight = _weight(layer)
        if weight is not None:
            elements[name] = weight.numel()
            zeros[name] = weight.numel() - int(torch.count_nonzero(weight))
    return {
        "sparsity": sum(zeros.values()) / max(sum(elements.values()), 1),
        "sparsity_by_layer": {name: zeros[name] / max(elements[name], 1) for name in elements},
    }


def _weight(layer: nn.Module) -> Tensor | None:
    if isinstance(layer, Conv2d | Linear):
        return layer.int_weight().raw
    if isinstance(layer, nn.Conv2d | nn.Linear):
        return layer.weight.detach()
    return None
