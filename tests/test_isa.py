"""Instruction sets can be listed, asked for and forced, and give the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import fxsim as fx


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    fx.isa.force(None)


def test_the_active_one_is_available() -> None:
    assert "portable" in fx.isa.available()
    assert fx.isa.active() in fx.isa.available()


@pytest.mark.parametrize("name", fx.isa.available())
def test_each_can_be_forced_and_gives_the_same_bits(name: str) -> None:
    numerics = fx.Numerics("<6,3>", "<6,3>", "<9,4>,stochastic", accumulator=fx.Accumulator(10))
    module = fx.nn.Linear(40, 30, numerics=numerics).eval()
    x = torch.randn(20, 40)
    expected = module(x)
    fx.isa.force(name)
    assert fx.isa.active() == name
    assert torch.equal(module(x), expected)


def test_an_unknown_one_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="abacus"):
        fx.isa.force("abacus")
    with pytest.raises(ValueError, match=f"choose one of {', '.join(fx.isa.available())}"):
        fx.isa.force("abacus")


def _run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python process of its own, which is told nothing of instruction sets but what is given."""
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("FXSIM_")}
    return subprocess.run(
        [sys.executable, *command], env=quiet | environment, capture_output=True, text=True, check=False
    )


def test_the_environment_chooses_one() -> None:
    done = _run("-c", "import fxsim; print(fxsim.isa.active(), fxsim.isa.used())", FXSIM_ISA="portable")
    assert done.stdout == "portable []\n"


def test_the_environment_cannot_choose_what_is_not_there() -> None:
    done = _run("-c", "import fxsim", FXSIM_ISA="abacus")
    assert done.returncode == 1
    assert (
        'ImportError: FXSIM_ISA is "abacus", which is not available on this machine; set it to one of '
        f"{', '.join(fx.isa.available())}\n"
    ) in done.stderr


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_session_fails_where_a_required_one_ran_no_kernel(processes: str) -> None:
    case = f"{Path(__file__)}::test_each_can_be_forced_and_gives_the_same_bits[portable]"
    done = _run("-m", "pytest", "-q", "-n", processes, case, FXSIM_REQUIRE_ISA="reference, portable")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "FXSIM_REQUIRE_ISA: no test ran a kernel on reference\n" in done.stdout
    assert "1 passed" in done.stdout


def test_a_session_asks_for_what_its_processes_used_together() -> None:
    case = f"{Path(__file__)}::test_each_can_be_forced_and_gives_the_same_bits"
    cases = [f"{case}[{name}]" for name in ("reference", "portable")]
    done = _run("-m", "pytest", "-q", "-n", "2", *cases, FXSIM_REQUIRE_ISA="reference, portable")
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "2 passed" in done.stdout


def test_a_session_is_refused_where_a_required_one_is_not_there() -> None:
    done = _run("-m", "pytest", "-q", __file__, FXSIM_REQUIRE_ISA="portable,abacus")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert (
        f"FXSIM_REQUIRE_ISA asks for abacus, which this machine cannot run; it has {', '.join(fx.isa.available())}"
    ) in done.stderr


def test_detection_agrees_with_the_operating_system() -> None:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        pytest.skip("this system has no /proc/cpuinfo")
    flags = set(info.read_text().split())
    needs = {
        "avx2": {"avx2", "fma"},
        "avx512": {"avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"},
        "avx512vnni": {"avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"},
        "neon": {"asimd"},
        "neon_dot": {"asimd", "asimddp"},
    }
    expected = ["reference", "portable", *(name for name, features in needs.items() if features <= flags)]
    assert fx.isa.available() == expected
