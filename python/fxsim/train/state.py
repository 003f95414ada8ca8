"""States with NumPy arrays, as policies keep them, and with tensors, as torch.save and torch.load prefer them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def to_tensors(state: Any) -> Any:
    """The same nesting of dicts and lists, every array a tensor with memory of its own."""
    match state:
        case np.ndarray():
            return torch.from_numpy(state.copy())
        case Mapping():
            return {key: to_tensors(value) for key, value in state.items()}
        case list():
            return [to_tensors(value) for value in state]
        case _:
            return state


def to_arrays(state: Any) -> Any:
    """The same nesting of dicts and lists, every tensor an array with memory of its own."""
    match state:
        case torch.Tensor():
            return state.detach().cpu().numpy().copy()
        case Mapping():
            return {key: to_arrays(value) for key, value in state.items()}
        case list():
            return [to_arrays(value) for value in state]
        case _:
            return state
