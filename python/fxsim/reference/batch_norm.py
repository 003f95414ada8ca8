"""Float32 batch normalisation with ReLU and addition: every operation in the order that fixes its bits.

Images are float32 arrays (pixels, channels). One NumPy operation below is one IEEE operation on each channel, in the
precision of its operands; nothing is summed by NumPy.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

BLOCK: Final = 256
"""Pixels whose sums are taken in float32; sums over blocks are taken in float64."""


class Statistics(NamedTuple):
    """Mean and variance of each channel, and what the running ones become; all float32 (channels,)."""

    mean: Floats
    variance: Floats
    running_mean: Floats | None
    running_variance: Floats | None


class Gradients(NamedTuple):
    """Of x and of the residual, (pixels, channels), and of weight and bias, (channels,); all float32."""

    x: Floats
    residual: Floats
    weight: Floats
    bias: Floats


def batch_statistics(
    x: Floats, running_mean: Floats | None = None, running_variance: Floats | None = None, momentum: float = 0.1
) -> Statistics:
    """The statistics of two or more pixels; running ones move towards the mean and the unbiased variance."""
    origin = x[0].astype(np.float64)
    total, squares = np.zeros_like(origin), np.zeros_like(origin)
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK]
        distances = block - block[0]
        s = _sum_of_lanes(distances).astype(np.float64)
        q = _sum_of_lanes(distances * distances).astype(np.float64)
        apart = block[0].astype(np.float64) - origin
        total += s + len(block) * apart
        squares += q + (2.0 * s + len(block) * apart) * apart
    count = float(len(x))
    mean = origin + total / count
    spread = squares - total * (total / count)
    spread[spread < 0] = 0.0
    return Statistics(
        mean.astype(np.float32),
        (spread / count).astype(np.float32),
        None if running_mean is None else _toward(running_mean, mean, momentum),
        None if running_variance is None else _toward(running_variance, spread / (count - 1.0), momentum),
    )


def batch_norm_relu(
    x: Floats,
    mean: Floats,
    variance: Floats,
    weight: Floats | None,
    bias: Floats | None,
    residual: Floats | None,
    *,
    eps: float,
    relu: bool,
) -> Floats:
    """(x - mean) * scale + bias + residual, and under `relu` 0 where that is at most 0."""
    _, scale = _scales(variance, weight, eps)
    y = (x - mean) * scale
    y = y + (np.float32(0) if bias is None else bias)
    if residual is not None:
        y = y + residual
    return np.where(y <= 0, np.float32(0), y) if relu else y


def batch_norm_relu_backward(
    grad: Floats,
    x: Floats,
    mean: Floats,
    variance: Floats,
    weight: Floats | None,
    bias: Floats | None,
    residual: Floats | None,
    *,
    eps: float,
    relu: bool,
    batch_statistics: bool,
) -> Gradients:
    """The gradients of that. Unless `batch_statistics`, mean and variance are constants."""
    inverse, scale = _scales(variance, weight, eps)
    if relu:
        y = batch_norm_relu(x, mean, variance, weight, bias, residual, eps=eps, relu=False)
        grad = np.where(y <= 0, np.float32(0), grad)
    total, products = np.zeros_like(inverse), np.zeros_like(inverse)
    for start in range(0, len(x), BLOCK):
        block = grad[start : start + BLOCK]
        total += _sum_of_lanes(block).astype(np.float64)
        products += _sum_of_lanes(block * (x[start : start + BLOCK] - mean)).astype(np.float64)
    along = products * inverse
    shift = slope = np.zeros_like(scale)
    if batch_statistics:
        shift = (total / float(len(x))).astype(np.float32)
        slope = (along * inverse / float(len(x))).astype(np.float32)
    grad_x = ((grad - shift) - (x - mean) * slope) * scale
    return Gradients(grad_x, grad, along.astype(np.float32), total.astype(np.float32))


def _sum_of_lanes(block: Floats) -> Floats:
    """Even pixels in order, odd pixels in order, and the two sums."""
    lanes = np.zeros((2, block.shape[1]), np.float32)
    for pixel, values in enumerate(block):
        lanes[pixel % 2] += values
    result: Floats = lanes[0] + lanes[1]
    return result


def _scales(variance: Floats, weight: Floats | None, eps: float) -> tuple[Doubles, Floats]:
    """One over the standard deviation; and that times the weight, as float32."""
    inverse = 1.0 / np.sqrt(variance.astype(np.float64) + eps)
    scale = inverse if weight is None else weight.astype(np.float64) * inverse
    return inverse, scale.astype(np.float32)


def _toward(running: Floats, seen: Doubles, momentum: float) -> Floats:
    return ((1.0 - momentum) * running.astype(np.float64) + momentum * seen).astype(np.float32)
