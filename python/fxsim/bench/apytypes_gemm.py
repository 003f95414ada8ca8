"""How fast is a small product in a saturating accumulator, against APyTypes' accumulator context?

8-bit operands, 64x64x64, a 20-bit accumulator that saturates after every step. No sum of these data reaches its limits:
APyTypes 0.5.1 hands out sums beyond them unclipped, and wrong bits are not timed. It runs on one thread of its own, so
CPU time is that of the whole process.
"""

from __future__ import annotations

import importlib
import time
from typing import Any, Final

import torch

from fxsim.accumulator import Accumulator
from fxsim.bench.gemm import operands
from fxsim.bench.measure import Note, Outcome, Settings, interleaved, require_equal, row
from fxsim.ops import matmul

SIZE: Final = 64
ACCUMULATOR_BITS: Final = 20

MISSING: Final = "APyTypes is not installed; install it with: pip install 'fxsim[bench]'"


def run(settings: Settings) -> Outcome:
    """Check and time, if APyTypes is there."""
    try:
        apytypes = importlib.import_module("apytypes")
    except ImportError:
        yield Note(MISSING)
        return
    apytypes.reset_thread_pool(1)
    a, b = operands(8, 16 if settings.toy else SIZE)
    peer_a, peer_b = (apytypes.APyFixedArray.from_array(words.raw.numpy(), int_bits=8, frac_bits=0) for words in (a, b))
    context = {"int_bits": ACCUMULATOR_BITS, "frac_bits": 0, "overflow": apytypes.OverflowMode.SAT}

    def theirs() -> Any:
        with apytypes.APyFixedAccumulatorContext(**context):
            return peer_a @ peer_b

    accumulator = Accumulator(ACCUMULATOR_BITS)
    require_equal("apytypes", matmul(a, b, accumulator=accumulator).raw, torch.from_numpy(theirs().to_numpy()))
    contenders = {"ours": lambda: matmul(a, b, accumulator=accumulator), "theirs": theirs}
    tracks = interleaved(contenders, settings, clock=time.process_time)
    yield row(
        f"s8, {ACCUMULATOR_BITS} bits saturating each step, {SIZE}³", "APyTypes", tracks["ours"], tracks["theirs"]
    )
