"""Tensors of stored integers with the format that gives them meaning, and the floats that can carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import torch

from fxsim.formats import Format

if TYPE_CHECKING:
    from types import EllipsisType

    _Index = int | slice | torch.Tensor | EllipsisType | None

_STORABLE: Final = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)

_CARRIERS: Final = {torch.float32: (24, 126), torch.float64: (53, 1022)}
"""Of each carrier, narrowest first: the bits of its significand, and minus the exponent of its least normal number."""


def carries(dtype: torch.dtype, format: Format) -> bool:
    """Whether a float type holds every value of a format exactly, with the step a normal number.

    float32 carries up to 24 bits and float64 up to 53, signed or not, as long as no value is subnormal or infinite.
    """
    if dtype not in _CARRIERS:
        return False
    significand, lowest = _CARRIERS[dtype]
    finite = format.wl - format.fl <= lowest + 2  # |raw| * step < 2**(wl - fl), or 2**(wl - 1 - fl) where signed
    return format.wl <= significand and format.fl <= lowest and finite


def carrier_dtype(format: Format) -> torch.dtype | None:
    """The narrowest float type that carries a format; None if neither float32 nor float64 does."""
    return next((dtype for dtype in _CARRIERS if carries(dtype, format)), None)


@final
class FixedTensor:
    """A tensor of fixed-point numbers: integers `raw`, each worth `raw * 2**-format.fl`. Never differentiable.

    Args:
        raw: tensor of int8, uint8, int16, int32 or int64, of any shape and layout. It is kept in `format.dtype`:
            without a copy where it has that type already.
        format: its Format, or the text of one.

    Raises:
        TypeError: `raw` is not such a tensor, or `format` not a format.
        ValueError: an element lies outside the format; the text names the first in C order.
    """

    __slots__ = ("format", "raw")

    raw: torch.Tensor
    format: Format

    def __init__(self, raw: torch.Tensor, format: Format | str) -> None:
        if not isinstance(format, Format | str):
            raise TypeError(f"FixedTensor: format = {format!r}: a Format or its text is needed")
        format = Format.parse(format) if isinstance(format, str) else format
        if not isinstance(raw, torch.Tensor):
            raise TypeError(f"FixedTensor: raw is {type(raw).__name__}: a torch tensor of integers is needed")
        if raw.dtype not in _STORABLE:
            accepted = ", ".join(_dtype_name(dtype) for dtype in _STORABLE)
            raise TypeError(
                f"FixedTensor: raw is {_dtype_name(raw.dtype)}: accepted are {accepted}; convert it, or quantize floats"
            )
        _check_range(raw, format)
        self._set(raw.to(format.dtype), format)

    @classmethod
    def _trusted(cls, raw: torch.Tensor, format: Format) -> FixedTensor:
        """Wraps raws that are known to have `format.dtype` and to lie in range."""
        tensor = cls.__new__(cls)
        tensor._set(raw, format)
        return tensor

    def _set(self, raw: torch.Tensor, format: Format) -> None:
        object.__setattr__(self, "raw", raw)
        object.__setattr__(self, "format", format)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"FixedTensor: {name} cannot be assigned; make a new FixedTensor")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"FixedTensor: {name} cannot be deleted")

    def __reduce__(self) -> tuple[object, ...]:
        return FixedTensor, (self.raw, self.format)

    @property
    def shape(self) -> torch.Size:
        """The shape of `raw`."""
        return self.raw.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.raw.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.raw.numel()

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, index: _Index | tuple[_Index, ...]) -> FixedTensor:
        return FixedTensor._trusted(self.raw[index], self.format)

    def reshape(self, *shape: int) -> FixedTensor:
        """The same elements in C order in another shape, as `torch.Tensor.reshape`."""
        return FixedTensor._trusted(self.raw.reshape(shape), self.format)

    def permute(self, *dims: int) -> FixedTensor:
        """The dimensions in another order; nothing is copied."""
        return FixedTensor._trusted(self.raw.permute(dims), self.format)

    def to_float(self, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The values as floats, exactly.

        Args:
            dtype: float32 or float64; None: the narrower of them that carries the format.

        Returns:
            A new tensor of the same shape.

        Raises:
            TypeError: the type, or every type, is too narrow for the format.
        """
        narrowest = carrier_dtype(self.format)
        if narrowest is None:
            raise TypeError(
                f"to_float: no float type carries {self.format} exactly: float64 holds up to 53 bits; "
                f"requantize it, or use raw"
            )
        chosen = dtype or narrowest
        if not carries(chosen, self.format):
            raise TypeError(
                f"to_float: {_dtype_name(chosen)} does not carry {self.format} exactly; {_dtype_name(narrowest)} does"
            )
        return self.raw.to(chosen) * self.format.step

    def __eq__(self, other: object) -> bool:
        """One bool: same format, same shape, same integers."""
        if not isinstance(other, FixedTensor):
            return NotImplemented
        return self.format == other.format and torch.equal(self.raw, other.raw)

    __hash__ = None  # type: ignore[assignment]  # the integers can change in place

    def __repr__(self) -> str:
        return f"FixedTensor({self.raw}, {self.format})"


def _check_range(raw: torch.Tensor, format: Format) -> None:
    # Compared as Python ints: a scalar beyond the tensor's own type would be refused or wrapped by torch.
    if raw.numel() == 0:
        return
    lowest, highest = (int(bound) for bound in torch.aminmax(raw))
    if format.raw_min <= lowest and highest <= format.raw_max:
        return
    wide = raw.to(torch.int64)
    outside = (wide < format.raw_min) | (wide > format.raw_max)
    index = tuple(int(i) for i in outside.nonzero()[0])
    raise ValueError(
        f"FixedTensor: element {index} is {int(raw[index])}: {format} has raws from {format.raw_min} to "
        f"{format.raw_max}; name a wider format, and requantize from there"
    )


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
