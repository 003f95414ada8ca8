"""fx.fold_batch_norm: batch normalization absorbed by the layer before it, for inference."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn

Matrix = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def fold_batch_norm(model: nn.Module, pairs: Mapping[str, str] | None = None) -> nn.Module:
    """A copy for inference in which every batch normalization is part of the layer before it.

    In float64, then rounded to the parameters' dtype, of each output channel:

        scale = gamma / sqrt(running_var + eps)
        weight = weight * scale
        bias = (bias - running_mean) * scale + beta

    The normalization becomes `nn.Identity`. To be called before `convert`, so that what is quantized is what is used.

    Args:
        model: of torch's own layers, with running statistics.
        pairs: the name of the normalization to the name of the layer before it; None: they are found by tracing, and
            all must be found.

    Returns:
        A new model in evaluation mode.

    Raises:
        ValueError: the model cannot be traced; a normalization does not follow a layer that nothing else uses, or has
            no running statistics; a pair names something else.

    Source: Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
    inference", CVPR 2018, section 3.2.
    """
    folded = copy.deepcopy(model).eval()
    for norm, layer in (_traced(folded) if pairs is None else pairs).items():
        _fold(folded, norm, layer)
    return folded


def _fold(model: nn.Module, norm_name: str, layer_name: str) -> None:
    norm, layer = _module(model, norm_name), _module(model, layer_name)
    if not isinstance(norm, Norm) or not isinstance(layer, Matrix):
        raise ValueError(
            f"fold_batch_norm: {norm_name!r} is a {type(norm).__name__} and {layer_name!r} a {type(layer).__name__}: a "
            f"BatchNorm and an nn.Linear or nn.Conv are needed; fold before convert"
        )
    if norm.running_mean is None or norm.running_var is None or norm.num_features != layer.weight.shape[0]:
        raise ValueError(
            f"fold_batch_norm: {norm_name!r} has no running statistics, or other channels than {layer_name!r} gives; "
            f"train it with track_running_stats=True, or pair it with its own layer"
        )
    scale = 1 / (norm.running_var.double() + norm.eps).sqrt()
    if norm.affine:
        scale = scale * norm.weight.detach().double()
    weight = layer.weight.detach()
    bias = torch.zeros_like(scale) if layer.bias is None else layer.bias.detach().double()
    shifted = (bias - norm.running_mean.double()) * scale
    if norm.affine:
        shifted = shifted + norm.bias.detach().double()
    scaled = weight.double() * scale.view(-1, *[1] * (weight.dim() - 1))
    layer.weight = nn.Parameter(scaled.to(weight), layer.weight.requires_grad)
    layer.bias = nn.Parameter(shifted.to(weight), layer.weight.requires_grad)
    parent, _, child = norm_name.rpartition(".")
    setattr(model.get_submodule(parent), child, nn.Identity())


def _module(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError:
        raise ValueError(f"fold_batch_norm: the model has no module {name!r}; give names of named_modules()") from None


def _traced(model: nn.Module) -> dict[str, str]:
    """Every normalization and the layer before it."""
    try:
        graph = fx.Tracer().trace(model)
    except Exception as error:
        raise ValueError(
            f"fold_batch_norm: the model cannot be traced ({error}); name its pairs: pairs={{'bn1': 'conv1', ...}}"
        ) from error
    calls = [node for node in graph.nodes if node.op == "call_module"]
    uses: dict[str, int] = {}
    for node in calls:
        uses[node.target] = uses.get(node.target, 0) + 1
    modules: dict[str, Any] = dict(model.named_modules())
    pairs, alone = {}, []
    for node in calls:
        if isinstance(modules[node.target], Norm):
            before = node.args[0]
            if _folds(before, modules, uses) and uses[node.target] == 1:
                pairs[node.target] = before.target
            else:
                alone.append(node.target)
    if alone:
        raise ValueError(
            f"fold_batch_norm: {', '.join(alone)} does not follow an nn.Linear or nn.Conv that is used once and whose "
            f"output nothing else uses; name the pairs that are to be folded: pairs={{'bn1': 'conv1', ...}}"
        )
    return pairs


def _folds(before: Any, modules: Mapping[str, nn.Module], uses: Mapping[str, int]) -> bool:
    return (
        isinstance(before, fx.Node)
        and before.op == "call_module"
        and isinstance(modules[str(before.target)], Matrix)
        and len(before.users) == 1
        and uses[str(before.target)] == 1
    )
