"""The parameters of a model with the formats they are kept in and the random streams of their updates."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, final

from torch import nn

from fxsim.formats import Format
from fxsim.nn import Weighted, layers
from fxsim.rng import Role
from fxsim.rounding import Quantizer
from fxsim.tensor import carries

Given: TypeAlias = Quantizer | Format | str | None
"""How something is kept; None: in floats, as torch keeps it."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """One parameter. layer: path of its module. quantizer: how it is kept. layer_id, update, state: of its streams."""

    name: str
    layer: str
    parameter: nn.Parameter
    quantizer: Quantizer | None
    layer_id: int
    update: Role
    state: Role


def kept_parameters(model: nn.Module, weight: Given | Mapping[str, Given]) -> tuple[Kept, ...]:
    """All floating parameters of a model, each once.

    weight: for all of them, or by glob over their names; where several match, the last one holds.

    Weights and biases of fxsim's layers have their layers' streams, other parameters numbers after all layers.

    Raises:
        ValueError: a glob matches no parameter.
        TypeError: a parameter's dtype does not carry its format.
    """
    own = layers(model)
    places = {}
    for name, layer in own:
        if isinstance(layer, Weighted):
            places[f"{name}.weight" if name else "weight"] = (layer.layer_id, Role.UPDATE, Role.STATE)
            places[f"{name}.bias" if name else "bias"] = (layer.layer_id, Role.BIAS_UPDATE, Role.BIAS_STATE)
    found = {name: each for name, each in model.named_parameters() if each.is_floating_point()}
    chosen = _choose(list(found), weight)
    kept, stranger = [], max((layer.layer_id for _, layer in own), default=-1) + 1
    for name, parameter in found.items():
        if name in places:
            place = places[name]
        else:
            place = (stranger, Role.UPDATE, Role.STATE)
            stranger += 1
        quantizer = chosen[name]
        if quantizer is not None and not carries(parameter.dtype, quantizer.format):
            raise TypeError(
                f"Quantized: {name} is {parameter.dtype}, which does not carry {quantizer.format} exactly; choose a "
                f"narrower format, or convert the model to float64"
            )
        kept.append(Kept(name, name.rpartition(".")[0], parameter, quantizer, *place))
    return tuple(kept)


def _choose(names: list[str], weight: Given | Mapping[str, Given]) -> dict[str, Quantizer | None]:
    globs = weight if isinstance(weight, Mapping) else {"*": weight}
    chosen: dict[str, Quantizer | None] = dict.fromkeys(names)
    for pattern, given in globs.items():
        matching = fnmatch.filter(names, pattern)
        if not matching:
            raise ValueError(f"Quantized: weight names {pattern!r}, which matches none of: {', '.join(names)}")
        chosen.update(dict.fromkeys(matching, None if given is None else Quantizer.of(given)))
    return chosen
