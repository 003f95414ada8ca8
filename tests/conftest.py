"""FXSIM_REQUIRE_ISA=name[,name] makes a test session fail unless kernels ran on each of these instruction sets.

With `pytest -n` tests run in several processes: each tells which instruction sets it used, and all of them count.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

VARIABLE = "FXSIM_REQUIRE_ISA"
_TOLD = "fxsim_isas_used"
_used_by_workers: set[str] = set()


def _required() -> list[str]:
    return os.environ.get(VARIABLE, "").replace(",", " ").split()


def _unused() -> list[str]:
    from fxsim import isa

    return [name for name in _required() if name not in _used_by_workers.union(isa.used())]


def pytest_configure(config: pytest.Config) -> None:
    if not _required():
        return
    from fxsim import isa

    missing = [name for name in _required() if name not in isa.available()]
    if missing:
        raise pytest.UsageError(
            f"{VARIABLE} asks for {', '.join(missing)}, which this machine cannot run; it has "
            f"{', '.join(isa.available())}"
        )


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _used_by_workers.update(getattr(node, "workeroutput", {}).get(_TOLD, ()))  # a crashed one leaves nothing


def pytest_sessionfinish(session: pytest.Session) -> None:
    told: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if told is not None:
        from fxsim import isa

        told[_TOLD] = isa.used()
    elif _required() and _unused() and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _required() and _unused():
        terminalreporter.write_line(f"{VARIABLE}: no test ran a kernel on {', '.join(_unused())}", red=True)
