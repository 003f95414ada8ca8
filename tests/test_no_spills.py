"""The inner loops of the micro-kernels keep their vectors in registers, each in its own, in the module as built."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fxsim import _core

CHECKER = Path(__file__).parent / "spills.py"

pytestmark = pytest.mark.skipif(not shutil.which("objdump"), reason="objdump is not installed")


def check(binary: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, CHECKER, binary], capture_output=True, text=True, check=False)


def test_no_micro_kernel_spills() -> None:
    done = check(_core.__file__)
    assert done.returncode == 0, done.stdout
    seen = done.stdout.split()
    wanted = {"x86_64": {"vpmaddwd", "vpdpwssd"}, "aarch64": {"smlal", "smlal2"}}
    assert wanted.get(platform.machine(), set()) <= set(seen), done.stdout


# A product of so many rows and columns that its sums do, or do not, fit the registers of any processor.
SAMPLE = """
typedef float Vector __attribute__((vector_size(16)));
namespace fxsim::isa {{
namespace {{
void {name}(const float* p, const Vector* r, long depth, Vector* out) {{
  Vector sum[{rows}][4] = {{}};
  for (long k = 0; k < depth; ++k) {{
#pragma GCC unroll 16
    for (int i = 0; i < {rows}; ++i) {{
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) sum[i][j] += p[k * {rows} + i] * r[k * 4 + j];
    }}
  }}
#pragma GCC unroll 16
  for (int i = 0; i < {rows}; ++i) {{
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) out[i * 4 + j] = sum[i][j];
  }}
}}
}}
void (*const {name}_)(const float*, const Vector*, long, Vector*) = &{name};
}}
"""


def build(folder: Path, rows: int, name: str) -> Path:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    source, binary = folder / "sample.cpp", folder / "sample.o"
    source.write_text(SAMPLE.format(rows=rows, name=name) + f"auto keep = fxsim::isa::{name}_;\n")
    subprocess.run([compiler, "-std=c++20", "-O3", "-c", source, "-o", binary], check=True)
    return binary


def test_sums_that_fit_the_registers_pass(tmp_path: Path) -> None:
    done = check(build(tmp_path, 2, "run_sample"))
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("1 inner loops of 1 micro-kernels: ")


@pytest.mark.parametrize("name", ["run_sample", "take_sample"])
def test_sums_that_do_not_fit_the_registers_are_found(tmp_path: Path, name: str) -> None:
    done = check(build(tmp_path, 12, name))
    assert done.returncode == 1
    first = done.stdout.splitlines()[0]
    assert f"fxsim::isa::(anonymous namespace)::{name}(" in first
    assert " in its inner loop: " in first
    assert "sp" in first.rpartition(": ")[2]


def test_a_binary_without_micro_kernels_is_refused(tmp_path: Path) -> None:
    done = check(build(tmp_path, 2, "sample"))
    assert done.returncode == 1
    assert done.stdout.endswith("were its symbols stripped?\n")


X86 = """
0000000000001000 <fxsim::isa::(anonymous namespace)::run_block<fxsim::isa::(anonymous namespace)::Ops, 6>(short*)>:
    1000:\tmov    %rsp,%rbp
    1003:\tlea    0x40(%rsp),%rdx
    {before}
    1010:\tvpdpwssd %zmm1,%zmm2,%zmm3
    {within}
    1030:\tjne    1010 <f+0x10>
    1032:\tvmovdqa64 %zmm3,0x40(%rsp)
    1040:\tret
"""


@pytest.mark.parametrize(
    ("before", "within", "found"),
    [
        ("nop", "vmovdqa64 %zmm4,0x40(%rsp)", True),
        ("nop", "vpaddd -0x40(%rbp),%zmm4,%zmm4", True),
        ("nop", "vmovdqa64 (%rdx),%zmm4", True),
        ("mov    %rdi,%rdx", "vmovdqa64 (%rdx),%zmm4", False),
        ("nop", "vmovdqa64 (%rsi),%zmm4", False),
        ("nop", "mov    0x8(%rsp),%rax", False),
        ("nop", "vpaddd %zmm1,%zmm4,%zmm4", False),
        ("nop", "vmovdqa32 %zmm3,%zmm4", True),
        ("vmovdqa32 %zmm3,%zmm4", "nop", False),
    ],
)
def test_what_is_found_on_x86(tmp_path: Path, before: str, within: str, found: bool) -> None:
    done = check_listing(tmp_path, X86.format(before=f"1006:\t{before}", within=f"1018:\t{within}"))
    assert done.stdout.endswith("1 inner loops of 1 micro-kernels: vpdpwssd\n")
    assert done.returncode == (1 if found else 0), done.stdout


@pytest.mark.parametrize(("name", "found"), [("one_tile", True), ("run_outer", True), ("run_words", False)])
def test_copies_are_found_where_nothing_needs_them(tmp_path: Path, name: str, found: bool) -> None:
    listing = X86.format(before="1006:\tnop", within="1018:\tvmovdqa64 %zmm3,%zmm4").replace("run_block", name)
    done = check_listing(tmp_path, listing)
    assert (": vmovdqa64 %zmm3,%zmm4\n" in done.stdout) == found
    assert done.returncode == (1 if found else 0), done.stdout


@pytest.mark.parametrize(("name", "found"), [("one_pass", True), ("run_words", False)])
def test_words_narrowed_one_by_one_are_found(tmp_path: Path, name: str, found: bool) -> None:
    listing = X86.format(before="1006:\tnop", within="1018:\tvpextrd $0x1,%xmm0,%r8d").replace("run_block", name)
    done = check_listing(tmp_path, listing)
    assert (": vpextrd $0x1,%xmm0,%r8d\n" in done.stdout) == found
    assert done.returncode == (1 if found else 0), done.stdout


def test_keys_on_the_stack_are_a_quantizers_own(tmp_path: Path) -> None:
    listing = X86.format(before="1006:\tnop", within="1018:\tvpxor 0x40(%rsp),%ymm1,%ymm2")
    assert check_listing(tmp_path, listing.replace("run_block", "one_pass")).returncode == 0


def check_listing(folder: Path, listing: str) -> subprocess.CompletedProcess[str]:
    """Of what an objdump would write."""
    objdump = folder / "objdump"
    objdump.write_text(f"#!/bin/sh\ncat <<'END'\n{listing}END\n")
    objdump.chmod(0o755)
    return subprocess.run(
        [sys.executable, CHECKER, "any", "--objdump", objdump], capture_output=True, text=True, check=False
    )
