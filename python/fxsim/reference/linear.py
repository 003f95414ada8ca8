"""Matrix products and the three products of a linear layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.reference.counts import Counts
from fxsim.reference.gemm import Dot, Settings, biases, gemm, integers
from fxsim.rng import Key
from fxsim.rounding import Quantizer

Result = tuple[npt.NDArray[np.int64], Format, Counts]

_EXACT = Accumulator()


def matmul(
    a: npt.NDArray[Any],
    a_format: Format,
    b: npt.NDArray[Any],
    b_format: Format,
    *,
    bias: npt.NDArray[Any] | None = None,
    bias_format: Format | None = None,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
    name: str = "matmul",
) -> Result:
    """`a @ b + bias` on raws.

    Args:
        a: raws (..., M, K); b: raws (..., K, N), leading dimensions broadcast; bias: raws (N,).
        a_format, b_format, bias_format: what they mean.
        accumulator, out, key, index_offset: as in `Settings`.
        name: the operation, for errors.

    Returns:
        Raws (..., M, N), int64, numbered in C order; their format; the counts.

    Raises:
        ValueError: an operand is too wide, a raw out of range, or a key missing.
        OverflowError: the first overflow under "error", or a result beyond 64 bits.
    """
    left, right = integers(name, a, a_format), integers(name, b, b_format)
    m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    rows, columns = np.broadcast_to(left, (*batch, m, k)), np.broadcast_to(right, (*batch, k, n))
    column_bias = biases(name, bias, bias_format, n)
    dots = (
        Dot(list(rows[(*where, row)]), list(columns[(*where, slice(None), column)]), column_bias[column])
        for *where, row, column in np.ndindex(*batch, m, n)
    )
    settings = Settings.of(accumulator, out, key, index_offset)
    raws, result, counts = gemm(name, dots, k, a_format, b_format, bias_format, settings)
    counts.nnz_a, counts.nnz_b = int(np.count_nonzero(left)), int(np.count_nonzero(right))
    return np.array(raws, np.int64).reshape(*batch, m, n), result, counts


def linear(
    x: npt.NDArray[Any],
    x_format: Format,
    w: npt.NDArray[Any],
    w_format: Format,
    *,
    bias: npt.NDArray[Any] | None = None,
    bias_format: Format | None = None,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> Result:
    """`x @ w.T + bias`: x (..., K), w (N, K), result (..., N); the rest as in `matmul`."""
    raw, result, counts = matmul(
        _matrix(x),
        x_format,
        w.T,
        w_format,
        bias=bias,
        bias_format=bias_format,
        accumulator=accumulator,
        out=out,
        key=key,
        index_offset=index_offset,
        name="linear",
    )
    return raw.reshape(*x.shape[:-1], w.shape[0]), result, counts


def linear_dgrad(
    g: npt.NDArray[Any],
    g_format: Format,
    w: npt.NDArray[Any],
    w_format: Format,
    *,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> Result:
    """The gradient of the input, `g @ w`: g (..., N), w (N, K), result (..., K); k runs over out features."""
    raw, result, counts = matmul(
        _matrix(g),
        g_format,
        w,
        w_format,
        accumulator=accumulator,
        out=out,
        key=key,
        index_offset=index_offset,
        name="linear_dgrad",
    )
    return raw.reshape(*g.shape[:-1], w.shape[1]), result, counts


def linear_wgrad(
    g: npt.NDArray[Any],
    g_format: Format,
    x: npt.NDArray[Any],
    x_format: Format,
    *,
    accumulator: Accumulator = _EXACT,
    out: Quantizer | Format | str | None = None,
    key: Key | None = None,
    index_offset: int = 0,
) -> Result:
    """The gradient of the weight, `g.T @ x`: g (..., N), x (..., K), result (N, K); k runs over rows in C order."""
    return matmul(
        _matrix(g).T,
        g_format,
        _matrix(x),
        x_format,
        accumulator=accumulator,
        out=out,
        key=key,
        index_offset=index_offset,
        name="linear_wgrad",
    )


def _matrix(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """All leading dimensions as one, in C order."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
