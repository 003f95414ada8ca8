"""What every benchmark here shares: interleaved timing in one process, and a record of where it ran."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

import fxsim as fx


def interleaved(contenders: Mapping[str, Callable[[], object]], *, rounds: int, warmup: int = 1) -> dict[str, float]:
    """Median seconds of each contender, all of them run once a round, so that a slow moment meets every one."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(-warmup, rounds):
        for name, run in contenders.items():
            begun = time.perf_counter()
            run()
            if turn >= 0:
                times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in times.items()}


def options(question: str, *, rounds: int) -> argparse.Namespace:
    """The command line: --rounds, --threads and --json, after the threads have been set."""
    parser = argparse.ArgumentParser(description=question)
    parser.add_argument("--rounds", type=int, default=rounds, help="timed repetitions (default %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch's pool (default %(default)s)")
    parser.add_argument("--json", type=Path, help="write the result to this file too")
    parsed = parser.parse_args()
    torch.set_num_threads(parsed.threads)
    return parsed


def report(given: argparse.Namespace, result: Mapping[str, Any]) -> None:
    """Print the result as JSON, with the machine it is true of, and write it where --json says."""
    record = {**result, "rounds": given.rounds, "where": _where()}
    text = json.dumps(record, indent=2)
    print(text)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(text + "\n")


def _where() -> dict[str, str | int]:
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "commit": _commit(),
        "cpu": _cpu(),
        "isa": fx.isa.active(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
    }


def _commit() -> str:
    """The commit of this tree, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
