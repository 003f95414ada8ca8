"""Which layer's format a parameter follows, and which random stream its gradient is rounded with.

Weights of fxsim's matrix layers have formats of their own. Every other parameter (biases, the vectors of a
normalisation layer, parameters of modules that stayed plain torch) takes the format of the weighted layer before it
in `named_modules()` order; what stands before the first weighted layer takes the first one's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard, final

from torch import Tensor, nn

from fxsim.nn import Layer, Weighted, layers
from fxsim.rng import Role


@final
@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One parameter in its place.

    leader: name of the weighted layer whose format it has. owner: the fxsim module around it; None if there is none.
    is_weight: it is its leader's weight. layer_id, role: of its gradient's random stream.
    """

    name: str
    parameter: nn.Parameter
    leader: str
    owner: Layer | None
    is_weight: bool
    layer_id: int
    role: Role

    def carrier(self) -> Tensor:
        """The values the network computes with, connected to the parameter for autograd."""
        if isinstance(self.owner, Weighted):
            is_bias = self.role is Role.GRAD_BIAS
            carrier = self.owner.bias_carrier() if is_bias else self.owner.weight_carrier()
            if carrier is not None:
                return carrier
        return self.parameter


@final
@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The parameters of a model in order, its weighted layers, and who follows whom.

    weighted: the layers with a format of their own, by name. followers: all fxsim modules that take the format of a
    layer (itself included), by that layer's name.
    """

    slots: tuple[Slot, ...]
    weighted: dict[str, Weighted]
    followers: dict[str, tuple[Layer, ...]]


def places(model: nn.Module) -> Places:
    """Walk the model once. A model without fxsim layers has no slots."""
    fixed = dict(layers(model))
    leaders = _leaders(fixed)
    weighted = {name: module for name, module in fixed.items() if leaders[name] == name and _leads(module)}
    if not weighted:
        return Places((), {}, {})
    followers = {
        leader: tuple(module for name, module in fixed.items() if leaders[name] == leader) for leader in weighted
    }
    return Places(tuple(_slots(model, fixed, leaders)), weighted, followers)


def _leaders(fixed: dict[str, Layer]) -> dict[str, str]:
    """The leader of every fxsim module; layers that share a weight follow the first of them."""
    first_with: dict[int, str] = {}
    leaders: dict[str, str] = {}
    leader = next((name for name, module in fixed.items() if _leads(module)), "")
    for name, module in fixed.items():
        if _leads(module):
            leader = first_with.setdefault(id(module.weight), name)
        leaders[name] = leader
    return leaders


def _leads(module: nn.Module) -> TypeGuard[Weighted]:
    """Whether a module has a format of its own."""
    return isinstance(module, Weighted) and module.LEADS


def _slots(model: nn.Module, fixed: dict[str, Layer], leaders: dict[str, str]) -> list[Slot]:
    slots: list[Slot] = []
    seen: set[int] = set()
    leader = next(iter(leaders.values()))
    stranger_id = len(fixed)
    for path, module in model.named_modules():
        owner_name = _owner(path, fixed)
        leader = leaders.get(path, leader)
        for short, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            owner = None if owner_name is None else fixed[owner_name]
            is_weight = path == owner_name and _leads(module) and short == "weight"
            slots.append(
                Slot(
                    name=f"{path}.{short}" if path else short,
                    parameter=parameter,
                    leader=leader,
                    owner=owner,
                    is_weight=is_weight,
                    layer_id=stranger_id if owner is None else owner.layer_id,
                    role=Role.GRAD_BIAS if short == "bias" else Role.GRAD_WEIGHT,
                )
            )
            if owner is None:
                stranger_id += 1
    return slots


def _owner(path: str, fixed: dict[str, Layer]) -> str | None:
    """The innermost fxsim module at or around `path`."""
    while path not in fixed:
        if not path:
            return None
        path = path.rpartition(".")[0]
    return path
