"""The memory that a training step frees, kept for the next one."""

from __future__ import annotations

import ctypes
from typing import Final

# Numbers of glibc's malloc.h.
_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4


def keep_freed_memory() -> None:
    """Let this process keep the memory that tensors give back, however large they were.

    By itself glibc returns large blocks to the system, which clears every page anew when the next step asks for it.
    The process stays as large as its largest step was. Where there is another C library, nothing changes. A program of
    one's own gets the same from MALLOC_MMAP_MAX_=0 and MALLOC_TRIM_THRESHOLD_=-1 in its environment.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)
