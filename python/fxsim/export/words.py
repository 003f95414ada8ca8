"""Words as text that Verilog's $readmemh takes: hexadecimal, two's complement at the word length, a word a line."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fxsim.formats import Format

_DIGITS: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_NEWLINE: Final = ord("\n")
_BAD: Final = 255
_VALUES: Final = np.array([_DIGITS.tolist().index(code) if code in _DIGITS.tolist() else _BAD for code in range(256)])


def digits(format: Format) -> int:
    """Hexadecimal digits of a word: as few as hold its bits."""
    return -(-format.wl // 4)


def to_hex(raw: npt.NDArray[Any], format: Format) -> bytes:
    """The text of raws in C order. Bits above the word length, in the first digit, are 0."""
    words = raw.astype(np.int64).reshape(-1).view(np.uint64) & np.uint64((1 << format.wl) - 1)
    width = digits(format)
    lines = np.full((len(words), width + 1), _NEWLINE, np.uint8)
    for place in range(width):
        lines[:, place] = _DIGITS[(words >> np.uint64(4 * (width - 1 - place))) & np.uint64(15)]
    return lines.tobytes()


def from_hex(text: bytes, format: Format, name: str) -> npt.NDArray[np.int64]:
    """The raws that `to_hex` wrote, one after another.

    Raises:
        ValueError: a line is no word of that format; the text begins with `name` and names the first such line.
    """
    width = digits(format)
    lines = np.frombuffer(text, np.uint8)
    if len(lines) % (width + 1):
        raise ValueError(f"{name}: {len(text)} bytes: {format} has {width} digits and a line end for each word")
    table = lines.reshape(-1, width + 1)
    values = _VALUES[table[:, :width]]
    first = (1 << (format.wl - 4 * (width - 1))) - 1
    good = (values <= 15).all(axis=1) & (values[:, 0] <= first) & (table[:, width] == _NEWLINE)
    if not good.all():
        line = int(np.argmin(good))
        shown = table[line].tobytes().decode("ascii", "replace")
        raise ValueError(
            f"{name}: line {line + 1} is {shown!r}: {width} digits 0 to f are needed, the first at most {first:x}"
        )
    words = np.zeros(len(table), np.uint64)
    for place in range(width):
        words = (words << np.uint64(4)) | values[:, place].astype(np.uint64)
    if not format.signed:
        return words.view(np.int64)
    unused = np.int64(64 - format.wl)
    return (words.view(np.int64) << unused) >> unused
