"""Which instruction set the kernels use. Every one gives the same bits.

The environment variable FXSIM_ISA makes the same choice as `force` when the process starts.
"""

from __future__ import annotations

from fxsim.ops import _bridge


def available() -> list[str]:
    """Instruction sets that this machine can run, by name."""
    return _bridge.isa_available()


def active() -> str:
    """The name of the instruction set in use."""
    return _bridge.isa_active()


def force(name: str | None) -> None:
    """Use one instruction set from now on, in all threads; None gives the choice back.

    Raises:
        ValueError: no such instruction set is available here.
    """
    _bridge.isa_force(name)
