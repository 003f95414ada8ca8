"""Checks by name: `nox -s lint`, `types`, `tests`, `cpp`, `asan`; plain `nox` runs the first four."""

import subprocess
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "cpp"]
nox.options.reuse_existing_virtualenvs = True

ROOT = Path(__file__).parent
# What exercises the compiled kernels; the rest of the suite is pure Python and gains nothing from sanitizers.
KERNEL_TESTS = ["tests/ops", "tests/nn", "tests/properties", "tests/test_layouts_threads.py"]


def _cpp_files() -> list[str]:
    return sorted(str(path) for path in (ROOT / "cpp").rglob("*") if path.suffix in {".hpp", ".cpp"})


@nox.session
def lint(session: nox.Session) -> None:
    """Run ruff and clang-format; neither changes a file."""
    session.install("ruff>=0.9")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("clang-format", "--dry-run", "--Werror", *_cpp_files(), external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy --strict over the package."""
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the Python suite."""
    session.install("-c", "constraints.txt", "-e", ".[test]")
    session.run("pytest", *(session.posargs or ["-n", "auto"]))


@nox.session(venv_backend="none")
def cpp(session: nox.Session) -> None:
    """Build with warnings as errors and run the C++ tests (needs pybind11 in the calling environment)."""
    session.run("cmake", "--workflow", "--preset", "default")


@nox.session
def asan(session: nox.Session) -> None:
    """Run the C++ tests and the kernel part of the Python suite under AddressSanitizer and UBSan."""
    session.install("-c", "constraints.txt", "numpy", "torch", "pybind11", "pytest", "pytest-timeout", "hypothesis")
    session.run("cmake", "--workflow", "--preset", "asan", external=True)
    session.run("cmake", "--install", "build/asan", external=True)
    # The sanitized module is loaded into an ordinary Python, so the runtime has to be there before everything else.
    # Leaks are not looked for: the interpreter keeps what it keeps.
    runtime = [
        subprocess.run(["g++", f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    session.run(
        "pytest",
        *(session.posargs or KERNEL_TESTS),
        env={
            "PYTHONPATH": str(ROOT / "build/asan/site"),
            "LD_PRELOAD": " ".join(runtime),
            "ASAN_OPTIONS": "detect_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        },
    )
