"""fx.fuse: BatchNorm2d and the ReLU after it become one module."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import nn

from fxsim.nn.batch_norm import BatchNormReLU2d

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Fusible(Protocol):
    """A module that says which of its children may be fused.

    fusible: pairs of names: a BatchNorm2d, and the ReLU that takes its result, or its result plus a residual. Once
        the first is a `BatchNormReLU2d`, `forward` hands it the residual and the second has become an identity.
    """

    fusible: ClassVar[tuple[tuple[str, str], ...]]


def fuse(model: nn.Module, inplace: bool = False) -> nn.Module:
    """Replace every BatchNorm2d whose result surely goes to a ReLU, and to nothing else, by `nn.BatchNormReLU2d`.

    Sure are neighbours in an `nn.Sequential`, which runs as a whole, and the pairs that a module names in its class
    attribute `fusible`, as the blocks of ResNet20 do, addition included. Where `forward` is other code, nothing is
    assumed: modules stay as they are, and `fx.summary` shows what each has become. So do subclasses of the two types,
    modules with hooks between them, and a BatchNorm2d in more than one place, between quantizers, or of another dtype
    than float32.

    Parameters and buffers are the same objects as before, and the keys of `state_dict` stay, so checkpoints of the
    fused and the plain model load into each other. Results differ from torch's in the last places of float32. It may be
    called before or after `fx.convert`.

    Args:
        model: any module.
        inplace: change `model` itself instead of a deep copy.

    Raises:
        ValueError: there is nothing to fuse.
    """
    target = model if inplace else copy.deepcopy(model)
    pairs = list(_pairs(target))
    if not pairs:
        raise ValueError(
            f"fuse: {type(model).__name__} has no BatchNorm2d that is surely followed by a ReLU; accepted are "
            "neighbours in an nn.Sequential and the pairs a module names in `fusible`, of exactly these types, in "
            "float32 and without a quantizer around them"
        )
    for pair in pairs:
        path = f"{pair.path}.{pair.norm_name}" if pair.path else pair.norm_name
        setattr(pair.parent, pair.norm_name, _fused(pair.norm, path))
        setattr(pair.parent, pair.relu_name, nn.Identity())
    return target


class _Pair(NamedTuple):
    """A BatchNorm2d and the ReLU after it, children of `parent`, whose path in the model is `path`."""

    path: str
    parent: nn.Module
    norm_name: str
    norm: nn.BatchNorm2d
    relu_name: str


def _pairs(model: nn.Module) -> Iterator[_Pair]:
    places = [child for module in model.modules() for child in module._modules.values()]
    for path, parent in model.named_modules():
        for norm_name, relu_name in _candidates(parent):
            norm, relu = parent._modules.get(norm_name), parent._modules.get(relu_name)
            if type(norm) is not nn.BatchNorm2d or type(relu) is not nn.ReLU:
                continue
            if _plain(norm, relu) and places.count(norm) == 1:
                yield _Pair(path, parent, norm_name, norm, relu_name)


def _candidates(parent: nn.Module) -> Iterable[tuple[str, str]]:
    if type(parent) is nn.Sequential:
        return itertools.pairwise(parent._modules)
    named: tuple[tuple[str, str], ...] = getattr(type(parent), "fusible", ())
    return named


def _plain(norm: nn.BatchNorm2d, relu: nn.ReLU) -> bool:
    """Whether all is float32, and nobody looks at what passes between the two."""
    tensors = (*norm.parameters(), *norm.buffers())
    if any(each.dtype != torch.float32 for each in tensors if each.is_floating_point()):
        return False
    return not any(getattr(each, hooks) for each in (norm, relu) for hooks in _HOOKS)


def _fused(norm: nn.BatchNorm2d, name: str) -> BatchNormReLU2d:
    fused = BatchNormReLU2d(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats, device="meta"
    )
    fused._parameters.update(norm._parameters)
    fused._buffers.update(norm._buffers)
    fused.name = name
    return fused.train(norm.training)
