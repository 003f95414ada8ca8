"""Records of what the optimizer does: no op of fxsim, but part of every step's cost."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from fxsim.ops import publish_update, records


def publish_updates(model: nn.Module, kept: Mapping[str, str]) -> None:
    """Tell listeners of the update of every parameter with a gradient.

    kept: formats of parameters that are not kept in float32, by parameter name.
    """
    if records.listening():
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                output = kept.get(name, records.FLOAT32)
                publish_update(name.rpartition(".")[0], parameter.numel(), output=output)
