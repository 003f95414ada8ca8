"""The Euclidean norm, the same for every number of threads."""

from __future__ import annotations

import math

import numpy as np

from fxsim.policies.base import FloatArray

CHUNK = 1 << 15
"""Elements squared at a time: their float64 squares stay in the second-level cache."""


def euclidean_norm(x: FloatArray) -> float:
    """The L2 norm of all elements, summed in float64; 0.0 for an empty array.

    BLAS norms depend on the number of threads. Here the chunks are summed by NumPy's pairwise sum, whose order
    depends on the length alone, and the chunk sums exactly.
    """
    flat = x.ravel()
    sums = []
    for first in range(0, flat.size, CHUNK):
        part = flat[first : first + CHUNK].astype(np.float64)
        sums.append(float(np.add.reduce(np.multiply(part, part, out=part))))
    return math.sqrt(math.fsum(sums))
