"""Histograms of a tensor before and after quantization, over the bins of the original.

Source: Kummer et al. 2021, equation 1, as normalised bin counts. (As printed it is a cumulative distribution
with one element too few; a divergence needs probabilities.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from fxsim.formats import Format
from fxsim.policies.adapt.trial import Prepared, round_stochastically

CHUNK = 1 << 14
"""Elements treated at a time: the working arrays then stay in the second-level cache."""


@final
@dataclass(frozen=True, slots=True)
class Bins:
    """`count` equal bins on [low, high]; what lies outside goes into the first or last.

    Bins of zero width, those of a tensor whose elements are all equal, tell only values equal to it (first bin)
    from others (last bin).
    """

    low: float
    high: float
    count: int

    def tally(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """How many values are in each bin. `values` is used as working space."""
        last = self.count - 1
        if self.high > self.low:
            np.subtract(values, self.low, out=values)
            np.multiply(values, self.count / (self.high - self.low), out=values)
            np.clip(values, 0, last, out=values)
        else:
            values = np.where(values == self.low, 0.0, float(last))
        return np.bincount(values.astype(np.intp), minlength=self.count)


def bins_of(tensor: Prepared, count: int) -> Bins:
    """`count` equal bins from the smallest to the largest element."""
    return Bins(tensor.low, tensor.high, count)


def original_histogram(tensor: Prepared, bins: Bins) -> NDArray[np.int64]:
    """Counts of the elements as they are."""
    counts = np.zeros(bins.count, np.int64)
    for first in range(0, tensor.values.size, CHUNK):
        counts += bins.tally(tensor.values[first : first + CHUNK].copy())
    return counts


def quantized_histogram(tensor: Prepared, bins: Bins, format: Format) -> NDArray[np.int64]:
    """Counts of the elements rounded stochastically to `format`."""
    counts = np.zeros(bins.count, np.int64)
    space = np.empty(min(CHUNK, tensor.values.size))
    for first in range(0, tensor.values.size, CHUNK):
        values = tensor.values[first : first + CHUNK]
        out = space[: values.size]
        round_stochastically(values, tensor.draws[first : first + CHUNK], format, out)
        counts += bins.tally(np.multiply(out, 2.0**-format.fl, out=out))
    return counts
