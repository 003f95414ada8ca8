"""Operand widths in bits, from the format texts of records."""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import Final

from fxsim.formats import Format
from fxsim.ops.records import FLOAT32

FLOAT_BITS: Final = MappingProxyType({"fp16": 16, "bf16": 16, FLOAT32: 32, "fp64": 64})
"""Width in bits of each float format a record may name."""

FLOAT32_BIT_OPERATIONS: Final = FLOAT_BITS[FLOAT32] ** 2
"""Bit operations of one float32 multiply-accumulate, by the rule macs * bits_a * bits_b."""


@lru_cache(maxsize=4096)
def bits(text: str) -> int:
    """Width in bits of an operand: the word length of a format, the storage width of a float.

    Raises:
        ValueError: the text is neither a format nor the name of a float.
    """
    known = FLOAT_BITS.get(text)
    return known if known is not None else Format.parse(text).wl
