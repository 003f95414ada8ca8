"""The random numbers of a tensor's elements, for roundings that no op does."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fxsim.rng import Key, uniform_bits


def draws_for(x: Tensor, key: Key, bits: int) -> Tensor:
    """One integer below 2**bits for every element of x, as float64, shaped like x.

    Elements are numbered as in all roundings: tensors of three and more dimensions channels last, others in C order.
    """
    drawn = torch.from_numpy(uniform_bits(key, x.numel(), bits).astype(np.float64))
    if x.ndim < 3:
        return drawn.view(x.shape)
    return drawn.view(x.shape[0], *x.shape[2:], x.shape[1]).movedim(-1, 1)
