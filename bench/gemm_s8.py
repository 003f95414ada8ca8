"""How fast are 8-bit products in an exact accumulator, against torch's float32 product of the same shape?

The kernel alone: operands are int8 arrays, packing is included, nothing is rounded. Bits are compared with NumPy's
64-bit integer product first.
"""

from __future__ import annotations

import numpy as np
import torch

from fxsim import _core
from measure import interleaved, options, report

SIZE = 512


def operand(matrix: np.ndarray[tuple[int, int], np.dtype[np.int8]]) -> _core.Operand:
    """A contiguous (rows, k) matrix of <8,0> words."""
    rows, k = matrix.shape
    return _core.Operand(matrix, 8, 0, True, pixels=(rows, 1, 1), taps=(1, 1, k), strides=(k, 0, 0, 1))


def main() -> None:
    """Check, time, print."""
    given = options(f"s8 x s8 GEMM of {SIZE}^3, exact accumulator, against torch.mm in float32", rounds=21)
    rng = np.random.default_rng(0)
    a = rng.integers(-128, 128, size=(SIZE, SIZE), dtype=np.int8)
    b = rng.integers(-128, 128, size=(SIZE, SIZE), dtype=np.int8)
    out = np.zeros((SIZE, SIZE), dtype=np.int32)
    exact = _core.Accumulator(
        product=None,
        inner=None,
        at_end=False,
        lanes=1,
        chunk=0,
        outer=None,
        outer_at_end=False,
        outer_lanes=1,
        preload=False,
    )
    result = _core.Quantizer(16 + 9, 0, True, "nearest_even", "saturate")

    def ours() -> None:
        _core.gemm(
            operand(a),
            operand(b),
            out,
            exact,
            bias=None,
            bias_fl=0,
            output=result,
            output_rounds=False,
            seed=0,
            stream=0,
            index_base=0,
            index_row_stride=SIZE,
            count=False,
        )

    ours()
    if not np.array_equal(out, a.astype(np.int64) @ b.astype(np.int64).T):
        raise SystemExit("gemm_s8: the bits are wrong, so there is nothing to time")

    x, y = torch.from_numpy(a).float(), torch.from_numpy(b).float().T.contiguous()
    seconds = interleaved({"fxsim_s8": ours, "torch_float32": lambda: torch.mm(x, y)}, rounds=given.rounds, warmup=3)
    macs = SIZE**3
    report(
        given,
        {
            "benchmark": "gemm_s8",
            "size": SIZE,
            "seconds": seconds,
            "gmac_per_s": {name: macs / time / 1e9 for name, time in seconds.items()},
            "speed_relative_to_torch_float32": seconds["torch_float32"] / seconds["fxsim_s8"],
        },
    )


if __name__ == "__main__":
    main()
