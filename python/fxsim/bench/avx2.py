"""How fast are exact 8-bit products on AVX2, against torch's float32 on AVX2 too?

The libraries choose their instruction sets once, so both run in a process of their own that allows no wider one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from functools import partial
from typing import Any, Final

import torch

from fxsim import isa
from fxsim.bench.gemm import operands
from fxsim.bench.measure import Note, Outcome, Row, Settings, WrongBitsError, interleaved, require_equal, row
from fxsim.ops import matmul

SIZES: Final = (512, 1024)

ENVIRONMENT: Final = {
    "FXSIM_ISA": "avx2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}

WRONG: Final = 3
"""Exit status of a process that found wrong bits."""


def run(settings: Settings) -> Outcome:
    """Check and time in another process, if this machine has AVX2."""
    if "avx2" not in isa.available():
        yield Note(f"this machine has no AVX2; it has {', '.join(isa.available())}")
        return
    asked = {"rounds": settings.rounds, "toy": settings.toy, "threads": torch.get_num_threads()}
    command = [sys.executable, "-m", "fxsim.bench.avx2", json.dumps(asked)]
    environment = {**os.environ, **ENVIRONMENT, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == WRONG:
        raise WrongBitsError(done.stderr.strip())
    if done.returncode:
        raise ChildProcessError(f"avx2: the process ended with status {done.returncode}: {done.stderr.strip()}")
    for fields in json.loads(done.stdout):
        yield Row(**fields)


def rows(settings: Settings) -> Outcome:
    """What the other process finds."""
    for nominal in SIZES:
        a, b = operands(8, 8 if settings.toy else nominal)
        require_equal("avx2 gemm", matmul(a, b).raw, torch.mm(a.raw.long(), b.raw.long()))
        x, y = a.raw.float(), b.raw.float()
        tracks = interleaved({"ours": partial(matmul, a, b), "theirs": partial(torch.mm, x, y)}, settings)
        against = "torch.mm float32, AVX2"
        yield row(f"s8, exact, {nominal}³, AVX2", against, tracks["ours"], tracks["theirs"], must=1.1, aim=1.35)


def main(asked: dict[str, Any]) -> None:
    """The other process: rows as JSON on standard output."""
    torch.set_num_threads(asked["threads"])
    try:
        found = [dataclasses.asdict(each) for each in rows(Settings(rounds=asked["rounds"], toy=asked["toy"]))]
    except WrongBitsError as error:
        sys.stderr.write(str(error))
        sys.exit(WRONG)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
