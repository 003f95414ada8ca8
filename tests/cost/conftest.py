"""What a convolution multiplies, by plain loops."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from torch import Tensor

Triples = list[tuple[float, float, float]]


def _triples(x: Tensor, w: Tensor, y: Tensor, stride: int, padding: int, dilation: int, groups: int) -> Triples:
    x, w, y = x.detach(), w.detach(), y.detach()
    (n, c_out, oh, ow), (_, c_in, kh, kw) = y.shape, w.shape
    found = []
    for image, o, i, py, px, ty, tx in itertools.product(*map(range, (n, c_out, c_in, oh, ow, kh, kw))):
        row, column = py * stride + ty * dilation - padding, px * stride + tx * dilation - padding
        if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
            channel = o // (c_out // groups) * c_in + i
            elements = x[image, channel, row, column], w[o, i, ty, tx], y[image, o, py, px]
            found.append((elements[0].item(), elements[1].item(), elements[2].item()))
    return found


@pytest.fixture
def triples() -> Callable[..., Triples]:
    """Every (input, weight, output) element that a 2-d convolution combines off the padding."""
    return _triples
