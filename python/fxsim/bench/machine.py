"""What a figure is true of: the machine, the instruction set, the software."""

from __future__ import annotations

import datetime as dt
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import torch

from fxsim import isa

UNKNOWN: Final = "unknown"


@final
@dataclass(frozen=True, slots=True)
class Machine:
    """Where and with what a benchmark ran. commit: of the source tree, marked "-dirty" where files differ from it."""

    date: str
    commit: str
    cpu: str
    isa: str
    threads: int
    torch: str
    torch_capability: str
    python: str

    @classmethod
    def current(cls) -> Machine:
        """This process."""
        return cls(
            date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
            commit=_commit(),
            cpu=_cpu(),
            isa=isa.active(),
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            torch_capability=torch.backends.cpu.get_cpu_capability(),
            python=platform.python_version(),
        )

    def __str__(self) -> str:
        threads = "one thread" if self.threads == 1 else f"{self.threads} threads"
        return (
            f"{self.date}, {self.cpu}, {self.isa}, {threads}, torch {self.torch} ({self.torch_capability}), "
            f"commit {self.commit}"
        )


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN
    return done.stdout.strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in found.items()}
    name = fields.get("model name") or platform.processor() or UNKNOWN
    model = f", model {fields['model']}" if "model" in fields else ""
    return f"{name}{model}"
