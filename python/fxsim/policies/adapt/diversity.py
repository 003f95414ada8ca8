"""Gradient diversity: how far the recent gradients of a layer point in different directions.

Source: Kummer et al. 2021, equation 3. It has plain norms, where the measure of the same name in other work
squares them; with gradients of unit length the sum of norms is their number.
"""

from __future__ import annotations

import math


def gradient_diversity(count: int, norm_of_sum: float) -> float:
    """count / norm_of_sum: at least 1, and 1 only where all gradients agree.

    count: gradients summed, all of unit length or zero; zero ones count, so they raise the diversity.
    norm_of_sum: L2 norm of their sum; 0 gives infinity.
    """
    if count < 1:
        raise ValueError(f"gradient_diversity: count is {count}; at least one gradient must have been seen")
    return math.inf if norm_of_sum == 0.0 else count / norm_of_sum
