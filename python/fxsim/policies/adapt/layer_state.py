"""What AdaPT remembers of one layer, and its form in a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from fxsim.formats import Format
from fxsim.policies.adapt.config import AdaPTConfig
from fxsim.policies.base import FloatArray, LayerShape


@final
@dataclass(slots=True, eq=False)
class LayerState:
    """The state of one weight tensor.

    layer_id: of its random streams. format, lookback, resolution: as decided last.
    gradient_sum: sum of the unit gradients since the last switch, float32, shaped like the weight.
    count: gradients seen since then, those that were zero included. seen: whether any was not zero.
    raw_gradients: the unprocessed gradients since then, float32; kept for algorithm 4 only.
    """

    layer_id: int
    format: Format
    lookback: int
    resolution: int
    gradient_sum: NDArray[np.float32]
    count: int = 0
    seen: bool = False
    raw_gradients: list[NDArray[np.float32]] = field(default_factory=list)

    @classmethod
    def initial(cls, layer: LayerShape, config: AdaPTConfig) -> Self:
        """The state of a layer before its first step."""
        return cls(
            layer_id=layer.layer_id,
            format=config.start,
            lookback=config.lb_lwr,
            resolution=config.r_lwr,
            gradient_sum=np.zeros(layer.shape, np.float32),
        )

    def add(self, gradient: FloatArray, *, vanished: bool, raw: FloatArray | None) -> None:
        """Take one step's gradient into account."""
        self.count += 1
        if not vanished:
            self.gradient_sum += gradient
            self.seen = True
        if raw is not None:
            self.raw_gradients.append(np.array(raw, np.float32))

    def restart(self, format: Format) -> None:
        """Adopt a newly decided format and forget the gradients that led to it."""
        self.format = format
        self.gradient_sum.fill(0.0)
        self.count = 0
        self.seen = False
        self.raw_gradients = []

    def to_dict(self) -> dict[str, Any]:
        return {
            "layer_id": self.layer_id,
            "format": str(self.format),
            "lookback": self.lookback,
            "resolution": self.resolution,
            "gradient_sum": self.gradient_sum.copy(),
            "count": self.count,
            "seen": self.seen,
            "raw_gradients": [gradient.copy() for gradient in self.raw_gradients],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        return cls(
            layer_id=int(state["layer_id"]),
            format=Format.parse(state["format"]),
            lookback=int(state["lookback"]),
            resolution=int(state["resolution"]),
            gradient_sum=np.array(state["gradient_sum"], np.float32),
            count=int(state["count"]),
            seen=bool(state["seen"]),
            raw_gradients=[np.array(gradient, np.float32) for gradient in state["raw_gradients"]],
        )
