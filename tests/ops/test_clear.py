"""Gradients that become 0 where a mask holds: every density, length and memory format."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fxsim import _core
from fxsim.ops import _words


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("density", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (2, 3, 4, 5), (3, 16, 67, 67)])
def test_clear(shape: tuple[int, ...], density: float, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(shape, generator=generator, dtype=dtype)
    mask = torch.rand(shape, generator=generator) < density
    expected = torch.where(mask, torch.zeros((), dtype=dtype), values)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        assert torch.equal(_words.clear(values.clone(), mask), expected)


def test_memory_formats() -> None:
    values, mask = torch.randn(2, 6, 5, 4), torch.rand(2, 6, 5, 4) < 0.3
    expected = torch.where(mask, torch.zeros(()), values)
    last = torch.channels_last
    for v in (values, values.contiguous(memory_format=last), values.transpose(0, 3).clone().transpose(0, 3)):
        for m in (mask, mask.contiguous(memory_format=last)):
            assert torch.equal(_words.clear(v.clone(), m), expected)
    gaps = torch.zeros(2, 6, 5, 8)[..., ::2]
    gaps.copy_(values)
    assert torch.equal(_words.clear(gaps, mask), expected)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="clear: values has another shape than the input"):
        _core.clear(np.zeros(3, np.float32), np.zeros(4, np.bool_))
    with pytest.raises(TypeError, match="clear: values is an array of int8; it takes float32 or float64"):
        _core.clear(np.zeros(3, np.int8), np.zeros(3, np.bool_))  # type: ignore[arg-type]
