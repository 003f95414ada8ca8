"""Icarus Verilog as a fixture: an array compiled once for its parameters, many GEMMs in one process."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from fxsim.export import Vector

SOURCES = Path(__file__).parent


class Counters(NamedTuple):
    """A line of the bench's counters, in its order."""

    macs: int
    zero_a_macs: int
    zero_b_macs: int
    zero_macs: int
    product_overflows: int
    step_overflows: int
    outer_overflows: int
    collisions: int
    last_mac: int
    last_output: int


@dataclass(frozen=True)
class Simulated:
    """What the array gave for one GEMM. words: the lines of its outputs, "x" where nothing came out."""

    words: tuple[str, ...]
    counters: Counters


Simulate = Callable[[dict[str, int], Path, Sequence[tuple[Vector, int]]], list[Simulated]]


@pytest.fixture
def simulate(tmp_path: Path) -> Simulate:
    """From parameters of bench.sv, a folder of golden vectors, and vectors with cycles between folds."""
    for tool in ("iverilog", "vvp"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")

    def run(parameters: dict[str, int], folder: Path, gemms: Sequence[tuple[Vector, int]]) -> list[Simulated]:
        sizes = {
            "A_WORDS": max(each.m * each.k for each, _ in gemms),
            "B_WORDS": max(each.k * each.n for each, _ in gemms),
            "Y_WORDS": max(each.m * each.n for each, _ in gemms),
            "DEPTH": max(each.m for each, _ in gemms),
        }
        program, jobs, counters = (tmp_path / name for name in ("bench.vvp", "jobs", "counters"))
        chosen = [f"-Pbench.{name}={value}" for name, value in {**parameters, **sizes}.items()]
        source = str(SOURCES / "bench.sv")
        subprocess.run(["iverilog", "-g2012", "-I", str(SOURCES), "-o", str(program), *chosen, source], check=True)
        outputs = [tmp_path / f"{number}.out" for number in range(len(gemms))]
        jobs.write_text(
            "".join(
                f"{folder / each.name} {output} {each.m} {each.n} {each.k} {interval}\n"
                for (each, interval), output in zip(gemms, outputs, strict=True)
            )
        )
        subprocess.run(["vvp", "-n", str(program), f"+jobs={jobs}", f"+counters={counters}"], check=True)
        counted = [Counters(*map(int, line.split())) for line in counters.read_text().splitlines()]
        return [
            Simulated(tuple(output.read_text().split()), each) for output, each in zip(outputs, counted, strict=True)
        ]

    return run
