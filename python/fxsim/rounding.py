"""How a value becomes a word: rounding names, overflow names, and the quantizer that joins them to a format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from fxsim.formats import Format, checked_int, parse_hls

ROUNDINGS: tuple[str, ...] = (
    "floor",
    "ceil",
    "zero",
    "away",
    "nearest_up",
    "nearest_down",
    "nearest_zero",
    "nearest_away",
    "nearest_even",
    "nearest_odd",
    "stochastic",
)
OVERFLOWS: tuple[str, ...] = ("saturate", "saturate_symmetric", "saturate_zero", "wrap", "error")
TAILS: tuple[str, ...] = ("truncate", "half", "nearest_even")

HLS_ROUNDINGS: dict[str, str] = {
    "TRN": "floor",
    "TRN_ZERO": "zero",
    "RND": "nearest_up",
    "RND_MIN_INF": "nearest_down",
    "RND_ZERO": "nearest_zero",
    "RND_INF": "nearest_away",
    "RND_CONV": "nearest_even",
    "RND_CONV_ODD": "nearest_odd",
}
"""The names of ac_fixed, sc_fixed and ap_fixed, which may also carry the prefix AC_, SC_ or AP_."""
HLS_OVERFLOWS: dict[str, str] = {
    "SAT": "saturate",
    "SAT_SYM": "saturate_symmetric",
    "SAT_ZERO": "saturate_zero",
    "WRAP": "wrap",
}

MAX_RANDOM_BITS = 32
DEFAULT_ROUNDING = "nearest_even"
DEFAULT_OVERFLOW = "saturate"

_PREFIX = re.compile(r"^(?:AC|SC|AP)_(?=[A-Z])")
_STOCHASTIC = re.compile(r"stochastic(?:\((\d+)(?:,(\w+))?\))?")
_WRAP_BITS = re.compile(r"((?:(?:AC|SC|AP)_)?WRAP)\((\d+)\)")


@dataclass(frozen=True, slots=True)
class Stochastic:
    """Stochastic rounding: a random integer is added to the dropped fraction, and the carry decides.

    Args:
        random_bits: r, the number of random bits, 1 to 32.
        tail: what becomes of the fraction's bits below 2**-r: "truncate" drops them, "half" adds half a unit,
            "nearest_even" rounds them to nearest, ties to even.

    Raises:
        TypeError: `random_bits` is not an integer.
        ValueError: `random_bits` or `tail` is none of these.

    Source: Fitzgibbon and Felix, "On Stochastic Rounding with Few Random Bits", ARITH 2025, for the tails.
    """

    random_bits: int = 16
    tail: str = "truncate"

    def __post_init__(self) -> None:
        object.__setattr__(self, "random_bits", checked_int("Stochastic: random_bits", self.random_bits))
        if not 1 <= self.random_bits <= MAX_RANDOM_BITS:
            raise ValueError(f"Stochastic: random_bits = {self.random_bits}: accepted are 1 to {MAX_RANDOM_BITS}")
        if self.tail not in TAILS:
            raise ValueError(f"Stochastic: tail = {self.tail!r}: accepted are {_listed(TAILS)}")

    def __str__(self) -> str:
        return f"stochastic({self.random_bits},{self.tail})"


Rounding = str | Stochastic


def parse_rounding(rounding: Rounding) -> Rounding:
    """The rounding's own name: HLS names become behaviour names, "stochastic" becomes `Stochastic()`.

    Raises:
        TypeError: it is neither text nor `Stochastic`.
        ValueError: no rounding has that name.
    """
    if isinstance(rounding, Stochastic):
        return rounding
    if not isinstance(rounding, str):
        raise TypeError(f"rounding = {rounding!r}: a name or Stochastic is needed, not {type(rounding).__name__}")
    if match := _STOCHASTIC.fullmatch("".join(rounding.split())):
        return Stochastic(int(match[1] or Stochastic().random_bits), match[2] or Stochastic().tail)
    name = HLS_ROUNDINGS.get(_PREFIX.sub("", rounding), rounding)
    if name not in ROUNDINGS:
        raise ValueError(
            f"rounding = {rounding!r}: accepted are {_listed(ROUNDINGS)}, and the HLS names {_listed(HLS_ROUNDINGS)}"
        )
    return name


def parse_overflow(overflow: str) -> str:
    """The overflow mode's own name.

    Raises:
        TypeError: it is not text.
        ValueError: no overflow mode has that name, or it is one of HLS's that fxsim does not model.
    """
    if not isinstance(overflow, str):
        raise TypeError(f"overflow = {overflow!r}: a name is needed, not {type(overflow).__name__}")
    if match := _WRAP_BITS.fullmatch("".join(overflow.split())):
        _refuse_saturated_wrap_bits(match[1], int(match[2]))
        overflow = match[1]
    plain = _PREFIX.sub("", overflow)
    if plain == "WRAP_SM":
        raise ValueError(
            f"overflow = {overflow!r}: wrapping in sign and magnitude is not modelled; use 'wrap', or a saturating mode"
        )
    name = HLS_OVERFLOWS.get(plain, overflow)
    if name not in OVERFLOWS:
        raise ValueError(
            f"overflow = {overflow!r}: accepted are {_listed(OVERFLOWS)}, and the HLS names {_listed(HLS_OVERFLOWS)}"
        )
    return name


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Quantizer:
    """A format, and how a real number is brought into it: rounded first, then overflowed.

    Wherever fxsim takes a Quantizer, a Format or its text means these defaults (`Quantizer.of`).

    Args:
        format: a Format or its text.
        rounding: one of `ROUNDINGS`, an HLS name, or `Stochastic(...)`.
        overflow: one of `OVERFLOWS`, or an HLS name.

    Raises:
        TypeError, ValueError: a field is none of these.
    """

    format: Format
    rounding: Rounding = DEFAULT_ROUNDING
    overflow: str = DEFAULT_OVERFLOW

    def __init__(
        self, format: Format | str, rounding: Rounding = DEFAULT_ROUNDING, overflow: str = DEFAULT_OVERFLOW
    ) -> None:
        if not isinstance(format, Format | str):
            raise TypeError(f"Quantizer: format = {format!r}: a Format or its text is needed, such as '<8,4>'")
        object.__setattr__(self, "format", Format.parse(format) if isinstance(format, str) else format)
        object.__setattr__(self, "rounding", parse_rounding(rounding))
        object.__setattr__(self, "overflow", parse_overflow(overflow))

    @staticmethod
    def parse(text: str) -> Quantizer:
        """The quantizer that a text names; `Quantizer.parse(str(q)) == q`.

        `<format>[,<rounding>[,<overflow>]]`, such as "<8,4>,stochastic(16,truncate),wrap"; or an HLS type with its
        modes, such as "ap_fixed<8,4,AP_RND,AP_SAT>", where modes left out are HLS's own: TRN and WRAP.

        Raises:
            ValueError: the text is neither.
        """
        return _parse(text)

    @staticmethod
    def of(given: Quantizer | Format | str) -> Quantizer:
        """The quantizer meant by a Quantizer, a Format (default modes) or a text (`parse`).

        Raises:
            TypeError: it is none of these.
            ValueError: the text names none.
        """
        match given:
            case Quantizer():
                return given
            case Format():
                return Quantizer(given)
            case str():
                return _parse(given)
            case _:
                raise TypeError(
                    f"a Quantizer, a Format or a text such as '<8,4>,floor,wrap' is needed, not {type(given).__name__}"
                )

    def with_format(self, format: Format | str) -> Quantizer:
        """The same modes in another format."""
        return Quantizer(format, self.rounding, self.overflow)

    @property
    def is_stochastic(self) -> bool:
        """Whether the rounding needs random bits, and a call therefore a key."""
        return isinstance(self.rounding, Stochastic)

    @property
    def rounding_name(self) -> str:
        """The rounding's name in `ROUNDINGS`."""
        return "stochastic" if isinstance(self.rounding, Stochastic) else self.rounding

    @property
    def random_bits(self) -> int:
        """Random bits per rounded value; 0 if the rounding is not stochastic."""
        return self.rounding.random_bits if isinstance(self.rounding, Stochastic) else 0

    @property
    def tail(self) -> str:
        """The tail rule of a stochastic rounding; the default one otherwise."""
        return self.rounding.tail if isinstance(self.rounding, Stochastic) else TAILS[0]

    def __str__(self) -> str:
        parts = [str(self.format), str(self.rounding), self.overflow]
        if self.overflow == DEFAULT_OVERFLOW:
            parts.pop()
            if self.rounding == DEFAULT_ROUNDING:
                parts.pop()
        return ",".join(parts)

    def __repr__(self) -> str:
        return f"Quantizer.parse('{self}')"


@lru_cache(maxsize=4096)
def _parse(text: str) -> Quantizer:
    compact = "".join(text.split())
    if hls := parse_hls(compact):
        return _from_hls(text, *hls)
    format_text, *modes = _split(compact)
    if len(modes) > 2:
        raise ValueError(
            f"Quantizer: {text!r} has {len(modes)} modes; at most two follow the format: "
            f"a rounding, then an overflow mode"
        )
    return Quantizer(format_text, *modes)


def _from_hls(text: str, format: Format, modes: tuple[str, ...]) -> Quantizer:
    rounding, overflow, saturated_bits, *excess = (*modes, *("TRN", "WRAP", "0")[len(modes) :])
    if excess or not saturated_bits.isdigit():
        raise ValueError(
            f"Quantizer: {text!r}: the mode arguments are a quantization mode, an overflow mode and a bit count"
        )
    if parse_overflow(overflow) == "wrap":
        _refuse_saturated_wrap_bits(overflow, int(saturated_bits))
    return Quantizer(format, rounding, overflow)


def _refuse_saturated_wrap_bits(name: str, bits: int) -> None:
    if bits > 0:
        raise ValueError(
            f"overflow = '{name}({bits})': wrapping with saturated bits is not modelled; use n = 0, or saturate"
        )


def _split(text: str) -> list[str]:
    """Splits at the commas that stand outside brackets."""
    return re.split(r",(?![^<(]*[>)])", text)


def _listed(names: tuple[str, ...] | dict[str, str]) -> str:
    return ", ".join(names)
