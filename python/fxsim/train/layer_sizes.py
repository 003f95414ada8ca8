"""The sizes of a model's layers, as the costs of a precision assignment count them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fxsim.policies.sakr import LayerSize


@torch.no_grad()
def layer_sizes(model: nn.Module, x: Tensor) -> dict[str, LayerSize]:
    """Sizes of all convolutions and linear layers, by name, in order of execution, for one image.

    x: images as the model takes them; one is enough. An activation is counted as its layer made it, before pooling: a
    layer's input is the output of the layer before. A layer that takes the very tensor an earlier one took (a
    shortcut) shares its activations.

    Raises ValueError where a layer runs twice in a forward.
    """
    sizes: dict[str, LayerSize] = {}
    taken: set[int] = set()
    kept: list[Tensor] = []  # so that no address is used twice
    before = x[0].numel()

    def note(name: str, layer: Any, given: Tensor, made: Tensor) -> None:
        nonlocal before
        if name in sizes:
            raise ValueError(f"layer_sizes: {name} runs twice in a forward; give a model that uses each layer once")
        kept.append(given)
        weight = layer.weight
        shared = given.data_ptr() in taken
        taken.add(given.data_ptr())
        outputs = made[0].numel()
        sizes[name] = LayerSize(weight.numel(), before, outputs, weight[0].numel(), shared)
        if not shared:
            before = outputs

    handles = [
        module.register_forward_hook(lambda layer, given, made, name=name: note(name, layer, given[0], made))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    was_training = model.training
    try:
        model.eval()(x)
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return sizes
