"""What besides the configuration decides the bits of a run: versions, thread count, torch build, CPU capability."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Final, final

import torch

UNINSTALLED: Final = "not installed"
"""Version of an fxsim that runs from its source tree without having been installed."""


def fxsim_version() -> str:
    """The version of the installed package."""
    try:
        return metadata.version("fxsim")
    except metadata.PackageNotFoundError:
        return UNINSTALLED


@final
@dataclass(frozen=True, slots=True)
class Environment:
    """The software and the CPU features a run was started with.

    torch_build: the commit torch was compiled from. cpu_capability: the vector instructions torch uses here,
    as in "AVX512". threads: of torch's intra-op pool.

    Integer arithmetic gives the same bits under any of these; the float operations that stay in a model
    (losses, normalisation, the float32 baseline) promise that only for equal torch_build, cpu_capability
    and threads.
    """

    fxsim: str
    python: str
    numpy: str
    torch: str
    torch_build: str
    cpu_capability: str
    threads: int

    @classmethod
    def current(cls, threads: int) -> Environment:
        """This process, with that many threads."""
        return cls(
            fxsim=fxsim_version(),
            python=platform.python_version(),
            numpy=metadata.version("numpy"),
            torch=torch.__version__,
            torch_build=str(torch.version.git_version),
            cpu_capability=torch.backends.cpu.get_cpu_capability(),
            threads=threads,
        )

    def differences(self, other: Environment) -> tuple[str, ...]:
        """What in `other` may change the bits of float operations, one text each: "threads: 2, now 4"."""
        return tuple(
            f"{name}: {was}, now {is_now}"
            for name in _DECIDES_BITS
            if (was := getattr(self, name)) != (is_now := getattr(other, name))
        )


_DECIDES_BITS: Final = ("fxsim", "torch", "torch_build", "cpu_capability", "threads")
