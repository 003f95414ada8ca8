"""The gradient of a bias: a sum of gradients, without products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fxsim.accumulator import Accumulator, resolve
from fxsim.formats import Format
from fxsim.reference.accumulate import Element, check_keys
from fxsim.reference.counts import Counts
from fxsim.reference.gemm import integers
from fxsim.reference.linear import Result
from fxsim.reference.quantize import value_of
from fxsim.rng import Key
from fxsim.rounding import Quantizer

_EXACT = Accumulator()


def bias_grad(
    g: npt.NDArray[Any],
    g_format: Format,
    *,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> Result:
    """The sum of an output's gradient over everything but its channels.

    Args:
        g: raws, a matrix (K, N) or an image batch (N, C, OH, OW); k runs over rows, or over (n, oh, ow).
        accumulator: how they are summed; its product register is left out.
        g_format, out, key, index_offset: as in `matmul`.

    Returns:
        Raws (C,), int64; their format; the counts, of which macs are 0.

    Raises:
        ValueError, OverflowError: as in `matmul`.
    """
    gradient = integers("bias_grad", g, g_format)
    rows = np.moveaxis(gradient, 1, -1).reshape(g.shape[0] * math.prod(g.shape[2:]), g.shape[1])
    quantizer = None if out is None else Quantizer.of(out)
    rules = resolve(accumulator, g_format, g_format, len(rows), out=quantizer, product_format=g_format, op="bias_grad")
    check_keys("bias_grad", rules, key)
    counts = Counts(nnz_a=int(np.count_nonzero(rows)))
    raws = [
        Element("bias_grad", index_offset + channel, rules, key, counts).compute(
            [value_of(raw, g_format) for raw in rows[:, channel]], None
        )
        for channel in range(rows.shape[1])
    ]
    return np.array(raws, np.int64), rules.result, counts
