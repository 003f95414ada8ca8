"""Memory that was freed serves again without a page fault."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")

# 64 MB are more than glibc keeps by itself, whatever was freed before, and 1 MB is less than it takes from the system.
PROGRAM = """
import resource
import sys

import torch

from fxsim.cli import main, memory


def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for size in (1 << 18, 1 << 24):
        torch.ones(size)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


if sys.argv[1:] == ["--version"]:
    try:
        main.main()
    except SystemExit:
        pass
faults()
print(min(faults() for _ in range(5)))
"""


def least_faults(*arguments: str) -> int:
    own = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True, timeout=120, env=own
    )
    return int(done.stdout.split()[-1])


def test_the_command_keeps_what_tensors_give_back() -> None:
    # Pages are 4 KB to 2 MB large; what is kept needs none of 64 MB.
    assert least_faults("--version") < 16


def test_python_by_itself_does_not() -> None:
    assert least_faults() >= 16
