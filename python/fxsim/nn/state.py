"""The integers of a model: what a device would be given."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fxsim.formats import Format
from fxsim.nn._weighted import Weighted
from fxsim.nn.convert import layers
from fxsim.nn.ranged import Ranged
from fxsim.tensor import FixedTensor


def int_state_dict(model: nn.Module) -> dict[str, FixedTensor]:
    """Weights and biases of all fxsim layers as the next forward will use them, by parameter name."""
    state = {}
    for prefix, layer in _weighted(model):
        state[f"{prefix}weight"] = layer.int_weight()
        bias = layer.int_bias()
        if bias is not None:
            state[f"{prefix}bias"] = bias
    return state


def load_int_state_dict(model: nn.Module, state: Mapping[str, FixedTensor]) -> None:
    """Set the float parameters of all fxsim layers to these words, so that they quantize to them again.

    Raises:
        ValueError: names or shapes differ from the model's, or a format from the layer's; nothing is changed.
        TypeError: a parameter's dtype is too narrow for a format; nothing is changed.
    """
    wanted = dict(_parameters(model))
    if wanted.keys() != state.keys():
        missing, unknown = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
        raise ValueError(
            f"load_int_state_dict: missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}; "
            f"give the state of the same model"
        )
    loaded = [(parameter, _checked(name, parameter, form, state[name])) for name, (parameter, form) in wanted.items()]
    with torch.no_grad():
        for parameter, values in loaded:
            parameter.copy_(values)


def _weighted(model: nn.Module) -> list[tuple[str, Weighted]]:
    for name, layer in layers(model):
        if isinstance(layer, Ranged):
            raise TypeError(
                f"int_state_dict: {name} lays its grid over the weight it has, so its words mean nothing without scale "
                f"and zero; call its range_words(), or save the model's state_dict()"
            )
    return [(f"{name}." if name else "", layer) for name, layer in layers(model) if isinstance(layer, Weighted)]


def _parameters(model: nn.Module) -> list[tuple[str, tuple[Tensor, Format]]]:
    found = []
    for prefix, layer in _weighted(model):
        found.append((f"{prefix}weight", (layer.weight, layer.numerics.weight.format)))
        if layer.bias is not None:
            found.append((f"{prefix}bias", (layer.bias, layer.numerics.bias_quantizer.format)))
    return found


def _checked(name: str, parameter: Tensor, form: Format, words: FixedTensor) -> Tensor:
    if words.format != form or words.shape != parameter.shape:
        raise ValueError(
            f"load_int_state_dict: {name} is {words.format} of shape {tuple(words.shape)}: the layer has {form} and "
            f"{tuple(parameter.shape)}; set the layer's numerics first"
        )
    try:
        return words.to_float(parameter.dtype)
    except TypeError as error:
        raise TypeError(f"load_int_state_dict: {name}: {error}") from None
