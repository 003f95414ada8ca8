"""How fast are 8-bit products in an exact accumulator, and in one that saturates, against torch's float32 product?

The kernel alone: operands are int8 arrays, packing is included, nothing is rounded. The saturating accumulator has 20
bits and clips after every step. Bits are compared with NumPy's integers first, step by step where it saturates.
"""

from __future__ import annotations

import numpy as np
import torch

from fxsim import _core
from measure import interleaved, options, report

SIZE = 512
ACCUMULATOR_BITS = 20

Matrix = np.ndarray[tuple[int, int], np.dtype[np.int64]]


def operand(matrix: np.ndarray[tuple[int, int], np.dtype[np.int8]]) -> _core.Operand:
    """A contiguous (rows, k) matrix of <8,0> words."""
    rows, k = matrix.shape
    return _core.Operand(matrix, 8, 0, True, pixels=(rows, 1, 1), taps=(1, 1, k), strides=(k, 0, 0, 1))


def stepped(a: Matrix, b: Matrix) -> Matrix:
    """The products' sums, clipped after every k."""
    high = 2 ** (ACCUMULATOR_BITS - 1) - 1
    held = np.zeros((len(a), len(b)), dtype=np.int64)
    for k in range(a.shape[1]):
        np.clip(held + np.outer(a[:, k], b[:, k]), -high - 1, high, out=held)
    return held


def main() -> None:
    """Check, time, print."""
    given = options(f"s8 x s8 GEMM of {SIZE}^3, against torch.mm in float32", rounds=21)
    rng = np.random.default_rng(0)
    a = rng.integers(-128, 128, size=(SIZE, SIZE), dtype=np.int8)
    b = rng.integers(-128, 128, size=(SIZE, SIZE), dtype=np.int8)
    out = np.zeros((SIZE, SIZE), dtype=np.int32)
    saturating_out = np.zeros((SIZE, SIZE), dtype=np.int32)
    register = _core.Quantizer(ACCUMULATOR_BITS, 0, True, "nearest_even", "saturate")

    def product(inner: _core.Quantizer | None, into: np.ndarray[tuple[int, int], np.dtype[np.int32]]) -> None:
        _core.gemm(
            operand(a),
            operand(b),
            into,
            _core.Accumulator(
                product=None,
                inner=inner,
                at_end=False,
                lanes=1,
                chunk=0,
                outer=None,
                outer_at_end=False,
                outer_lanes=1,
                preload=False,
            ),
            bias=None,
            bias_fl=0,
            output=inner or _core.Quantizer(16 + 9, 0, True, "nearest_even", "saturate"),
            output_rounds=False,
            seed=0,
            stream=0,
            index_base=0,
            index_row_stride=SIZE,
            count=False,
        )

    def exact() -> None:
        product(None, out)

    def saturating() -> None:
        product(register, saturating_out)

    exact()
    saturating()
    wide_a, wide_b = a.astype(np.int64), b.astype(np.int64)
    if not np.array_equal(out, wide_a @ wide_b.T) or not np.array_equal(saturating_out, stepped(wide_a, wide_b)):
        raise SystemExit("gemm_s8: the bits are wrong, so there is nothing to time")

    x, y = torch.from_numpy(a).float(), torch.from_numpy(b).float().T.contiguous()
    contenders = {"exact": exact, "saturating_20_bits": saturating, "torch_float32": lambda: torch.mm(x, y)}
    seconds = interleaved(contenders, rounds=given.rounds, warmup=3)
    macs = SIZE**3
    report(
        given,
        {
            "benchmark": "gemm_s8",
            "size": SIZE,
            "seconds": seconds,
            "gmac_per_s": {name: macs / time / 1e9 for name, time in seconds.items()},
            "speed_relative_to_torch_float32": {
                name: seconds["torch_float32"] / time for name, time in seconds.items()
            },
        },
    )


if __name__ == "__main__":
    main()
