"""The Kullback-Leibler divergence of two histograms, in bits.

Source: Kummer et al. 2021, equation 2: D(P || Q) with P the quantized and Q the original distribution. (Its
algorithm 3 writes the arguments in the other order.)
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

KLDirection: TypeAlias = Literal["quantized_original", "original_quantized"]
KL_DIRECTIONS: tuple[KLDirection, ...] = ("quantized_original", "original_quantized")

EMPTY_BIN_COUNT = 0.5
"""What an empty bin of the reference counts as, where the other histogram has something in it."""


def kl_bits(p_counts: NDArray[np.int64], q_counts: NDArray[np.int64]) -> float:
    """D(P || Q) = sum p log2(p / q), where p and q are the counts divided by their sums.

    Bins that P leaves empty contribute 0. Where only Q is empty, q is half a count, so the result is finite.
    """
    p_total, q_total = int(p_counts.sum()), int(q_counts.sum())
    occupied = p_counts > 0
    p = p_counts[occupied] / p_total
    q = np.maximum(q_counts[occupied], EMPTY_BIN_COUNT) / q_total
    return math.fsum(p * np.log2(p / q))


def information_loss(
    original: NDArray[np.int64], quantized: NDArray[np.int64], direction: KLDirection = "quantized_original"
) -> float:
    """Bits lost by quantization, from the two histograms' counts over the same bins."""
    if direction == "quantized_original":
        return kl_bits(quantized, original)
    return kl_bits(original, quantized)
