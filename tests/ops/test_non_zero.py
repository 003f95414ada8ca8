"""Counts of non-zero elements in the core: every storage, order of memory, and more than a byte can count."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fxsim import _core
from fxsim.ops import _bridge

SHAPES = [(1, 1, 1, 1), (3, 5, 7, 17), (255, 2, 3, 4), (256, 2, 3, 4), (700, 1, 2, 3), (2, 3, 4, 255), (2, 2, 2, 256),
          (2, 1, 3, 1000), (0, 2, 3, 4), (2, 3, 4, 0), (2, 70, 9, 8)]  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("density", [0.3, 1.0])
def test_counts(shape: tuple[int, ...], dtype: type[np.integer], density: float, threads: int) -> None:
    random = np.random.default_rng(1)
    values = np.where(random.random(shape) < density, random.choice(np.array([1, 2, 100]), shape), 0).astype(dtype)
    nchw = np.ascontiguousarray(values.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    gaps = np.repeat(values, 2, axis=2)[:, :, ::2]
    torch.set_num_threads(threads)
    for array in (values, nchw, gaps, values[:, ::-1]):
        assert np.array_equal(_bridge.count_images(array), np.count_nonzero(array, axis=0))
        assert np.array_equal(_bridge.count_channels(array), np.count_nonzero(array, axis=3))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"count: array has 3 dimensions; it takes \(n, y, x, c\)"):
        _core.count_images(np.zeros((2, 3, 4), np.int8))
    with pytest.raises(TypeError, match="count: array is an array of float32"):
        _core.count_channels(np.zeros((2, 3, 4, 5), np.float32))
