"""Fixed-point formats: how many bits a word has, and what each of them is worth."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, SupportsFloat

import numpy as np

if TYPE_CHECKING:
    import torch

MAX_SIGNED_BITS = 64
MAX_UNSIGNED_BITS = 63
MAX_FL = 192
COVERING_FL = 64
"""`Format.covering` looks for fl between -64 and 64, the range of an operand."""

_NATIVE = re.compile(r"(u?)<(-?\d+),(-?\d+)>")
_HLS = re.compile(r"(ac|ap|sc)_(u?)fixed<([^<>]*)>")
_SIMULINK = re.compile(r"([su])fix(\d+)(?:_E(n?)(\d+))?")
_ACCEPTED = "'<8,4>', 'u<8,4>', 'ap_fixed<8,4>', 'ap_ufixed<8,4>', 'ac_fixed<8,4,true>', 'sfix8_En4' or 'ufix8_E4'"


@dataclass(frozen=True, slots=True, repr=False)
class Format:
    """The meaning of a stored integer: `raw` stands for the real number `raw * 2**-fl`.

    Args:
        wl: word length in bits, 1 to 64 (unsigned: 1 to 63).
        fl: fractional length, -192 to 192; may be negative, and may exceed `wl`.
        signed: two's complement if true, else plain binary.

    Raises:
        TypeError: `wl` or `fl` is not an integer.
        ValueError: `wl` or `fl` lies outside the ranges above.
    """

    wl: int
    fl: int
    signed: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "wl", checked_int("Format: wl", self.wl))
        object.__setattr__(self, "fl", checked_int("Format: fl", self.fl))
        object.__setattr__(self, "signed", bool(self.signed))
        widest = MAX_SIGNED_BITS if self.signed else MAX_UNSIGNED_BITS
        if not 1 <= self.wl <= widest:
            kind = "a signed" if self.signed else "an unsigned"
            raise ValueError(f"Format: wl = {self.wl}: {kind} format has 1 to {widest} bits; choose a wl in that range")
        if not -MAX_FL <= self.fl <= MAX_FL:
            raise ValueError(f"Format: fl = {self.fl}: accepted are {-MAX_FL} to {MAX_FL}; rescale the data")

    @staticmethod
    def parse(text: str) -> Format:
        """The format that a text names; `Format.parse(str(f)) == f`.

        Besides fxsim's own `<wl,fl>` and `u<wl,fl>`, the types of HLS (`ap_fixed<W,I>`, `ap_ufixed<W,I>`,
        `ac_fixed<W,I,S>` and SystemC's spelling, with fl = W - I) and of Simulink (`sfix8_En4`, `ufix8_E4`).

        Raises:
            ValueError: the text is none of these, or carries HLS modes, which belong to `Quantizer.parse`.
        """
        return _parse(text)

    @staticmethod
    def from_pdr(bits: int, pdr: SupportsFloat | Fraction, signed: bool = True) -> Format:
        """The format of `bits` bits with a predetermined dynamic range: [-pdr, pdr), unsigned [0, 2*pdr).

        Raises:
            ValueError: `pdr` is not a power of two, so that no fixed-point step divides it.
        """
        exponent = _power_of_two(_real("Format.from_pdr: pdr", pdr))
        if exponent is None:
            raise ValueError(
                f"Format.from_pdr: pdr = {pdr}: a dynamic range is a power of two such as 0.5, 1 or 4; round it to one"
            )
        return Format(bits, bits - 1 - exponent, signed)

    @staticmethod
    def covering(lo: SupportsFloat | Fraction, hi: SupportsFloat | Fraction, wl: int, signed: bool = True) -> Format:
        """The finest format of `wl` bits whose range holds the reals `lo` and `hi`, with fl between -64 and 64.

        Both bounds are compared exactly, before any rounding. `lo == hi == 0` gives fl = 64.

        Raises:
            ValueError: a bound is not finite, `lo` exceeds `hi`, or no such format exists.
        """
        low, high = _real("Format.covering: lo", lo), _real("Format.covering: hi", hi)
        if low > high:
            raise ValueError(f"Format.covering: lo = {lo} exceeds hi = {hi}; swap them")
        for fl in range(COVERING_FL, -COVERING_FL - 1, -1):
            candidate = Format(wl, fl, signed)
            if candidate._value(candidate.raw_min) <= low and high <= candidate._value(candidate.raw_max):
                return candidate
        kind = "signed" if signed else "unsigned"
        raise ValueError(
            f"Format.covering: no {kind} format of {wl} bits with fl from {-COVERING_FL} to {COVERING_FL} "
            f"holds {lo} to {hi}; widen it, make it signed, or rescale the data"
        )

    @property
    def step(self) -> float:
        """The distance between neighbouring values, 2**-fl (exact)."""
        return math.ldexp(1.0, -self.fl)

    @property
    def raw_min(self) -> int:
        """The lowest stored integer."""
        return -(1 << (self.wl - 1)) if self.signed else 0

    @property
    def raw_max(self) -> int:
        """The highest stored integer."""
        return (1 << (self.wl - 1 if self.signed else self.wl)) - 1

    @property
    def min(self) -> float:
        """The lowest value (exact)."""
        return math.ldexp(self.raw_min, -self.fl)

    @property
    def max(self) -> float:
        """The highest value: exact up to 53 bits, else the nearest float."""
        return float(self._value(self.raw_max))

    @property
    def numpy_dtype(self) -> np.dtype[np.signedinteger | np.unsignedinteger]:
        """The NumPy type that stores raws: int8, uint8, int16, int32 or int64.

        Unsigned formats up to 8 bits are stored as uint8; wider ones in the narrowest signed type that holds them.
        """
        if not self.signed and self.wl <= 8:
            return np.dtype(np.uint8)
        bits = self.wl if self.signed else self.wl + 1
        storage = next(size for size in (8, 16, 32, 64) if bits <= size)
        return np.dtype(f"int{storage}")

    @property
    def dtype(self) -> torch.dtype:
        """The torch type that stores raws, the counterpart of `numpy_dtype`."""
        import torch  # here, so that formats alone need no torch

        dtype: torch.dtype = getattr(torch, self.numpy_dtype.name)
        return dtype

    def __str__(self) -> str:
        return f"{'' if self.signed else 'u'}<{self.wl},{self.fl}>"

    def __repr__(self) -> str:
        return f"Format({self}: {self.min} to {self.max})"

    def _value(self, raw: int) -> Fraction:
        return Fraction(raw) * Fraction(2) ** -self.fl


def parse_hls(text: str) -> tuple[Format, tuple[str, ...]] | None:
    """Splits an HLS type into its format and its mode arguments; None if the text is no HLS type.

    Raises:
        ValueError: it looks like one, but its arguments make no sense.
    """
    match = _HLS.fullmatch("".join(text.split()))
    if match is None or (match[1], match[2]) == ("ac", "u"):
        return None
    arguments = match[3].split(",")
    signed = match[2] == ""
    modes = arguments[2:]
    if match[1] == "ac" and modes:
        if modes[0] not in ("true", "false"):
            raise ValueError(f"Format: {text!r}: the third argument of ac_fixed is 'true' (signed) or 'false'")
        signed = modes.pop(0) == "true"
    try:
        width, integer_bits = (int(argument) for argument in arguments[:2])
    except ValueError:
        raise ValueError(f"Format: {text!r}: the first two arguments are the integers W and I") from None
    return Format(width, width - integer_bits, signed), tuple(modes)


def checked_int(what: str, value: object) -> int:
    """A Python int from any integer type, NumPy's included.

    Raises:
        TypeError: it is none, or a bool.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{what} = {value!r}: an integer is needed, not {type(value).__name__}")
    return int(value)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Format:
    compact = "".join(text.split())
    if match := _NATIVE.fullmatch(compact):
        return Format(int(match[2]), int(match[3]), match[1] == "")
    if match := _SIMULINK.fullmatch(compact):
        exponent = int(match[4] or 0)
        return Format(int(match[2]), exponent if match[3] else -exponent, match[1] == "s")
    hls = parse_hls(compact)
    if hls is None:
        raise ValueError(f"Format: {text!r} is not a format; write {_ACCEPTED}")
    form, modes = hls
    if modes:
        raise ValueError(
            f"Format: {text!r} also names modes ({', '.join(modes)}): "
            f"a format has none; use Quantizer.parse, or drop them"
        )
    return form


def _real(name: str, value: SupportsFloat | Fraction) -> Fraction:
    """The exact value of a finite number."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, int | np.integer):
        return Fraction(int(value))
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} = {value} is not finite; give a finite number")
    return Fraction(number)


def _power_of_two(value: Fraction) -> int | None:
    """log2 of a power of two; None for anything else."""
    numerator, denominator = value.numerator, value.denominator
    if numerator <= 0 or numerator & (numerator - 1) or denominator & (denominator - 1):
        return None
    return numerator.bit_length() - denominator.bit_length()
