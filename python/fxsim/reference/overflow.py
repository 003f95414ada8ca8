"""What becomes of a rounded integer that its format does not hold."""

from __future__ import annotations

from fxsim.formats import Format
from fxsim.rounding import parse_overflow


class OutsideError(OverflowError):
    """An integer that a format does not hold, or an infinity (raw None), where the mode has no answer."""

    def __init__(self, raw: int | None, format: Format) -> None:
        super().__init__(f"{'an infinity' if raw is None else shown(raw)} is outside {bounds(format)}")
        self.raw = raw


def shown(raw: int) -> str:
    """An integer for errors: what exceeds 64 bits is said to, not written out."""
    if raw >= 2**63:
        return "a value of 2^63 or more"
    return "a value below -2^63" if raw < -(2**63) else str(raw)


def bounds(format: Format) -> str:
    """A format with its range of raws, for errors."""
    return f"{format} ({format.raw_min}..{format.raw_max})"


def overflow_raw(raw: int, format: Format, mode: str) -> int:
    """The integer that is stored for a rounded one.

    Raises:
        OutsideError: the mode is "error" and `raw` lies outside the format.
    """
    mode = parse_overflow(mode)
    if mode == "saturate_symmetric" and format.signed:
        return max(-format.raw_max, min(raw, format.raw_max))
    if format.raw_min <= raw <= format.raw_max:
        return raw
    match mode:
        case "saturate" | "saturate_symmetric":
            return format.raw_min if raw < format.raw_min else format.raw_max
        case "saturate_zero":
            return 0
        case "wrap":
            return (raw - format.raw_min) % (1 << format.wl) + format.raw_min
        case "error":
            raise OutsideError(raw, format)
        case name:
            raise AssertionError(f"no definition of overflow mode {name!r}")


def overflow_infinity(value: float, format: Format, mode: str) -> int:
    """The integer that is stored for an infinity.

    Raises:
        OutsideError: the mode is "wrap" or "error", which have no answer.
    """
    mode = parse_overflow(mode)
    if mode in ("wrap", "error"):
        raise OutsideError(None, format)
    beyond = (1 << format.wl) if value > 0 else -(1 << format.wl)
    return overflow_raw(beyond, format, mode)
