"""Records of what the optimizer does: no op of fxsim, but part of every step's cost."""

from __future__ import annotations

from torch import nn

from fxsim.ops import publish_update, records


def publish_updates(model: nn.Module) -> None:
    """Tell listeners of the float32 update of every parameter with a gradient."""
    if records.listening():
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                publish_update(name.rpartition(".")[0], parameter.numel())
