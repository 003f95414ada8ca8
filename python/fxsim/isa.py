"""Which instruction set the kernels use. Every one gives the same bits.

The environment variable FXSIM_ISA makes the same choice as `force` when the process starts: importing fxsim fails with
an ImportError where it names an instruction set that this machine cannot run.
"""

from __future__ import annotations

from fxsim.ops import _bridge


def available() -> list[str]:
    """Instruction sets that this machine can run, by name, slowest first; the last one is the default.

    `reference` is the plain scalar loop that the others are compared with, `portable` runs everywhere.
    """
    return _bridge.isa_available()


def active() -> str:
    """The name of the instruction set in use."""
    return _bridge.isa_active()


def used() -> list[str]:
    """Those that have run a kernel since the process started, in the order of `available`."""
    return _bridge.isa_used()


def force(name: str | None) -> None:
    """Use one instruction set from now on, in all threads; None gives the choice back.

    Raises:
        ValueError: no such instruction set is available here.
    """
    _bridge.isa_force(name)
