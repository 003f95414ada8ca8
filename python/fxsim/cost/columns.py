"""Columns of numbers that nobody can change, and integer arithmetic on them that does not wrap."""

from __future__ import annotations

import math
import operator
from functools import reduce
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Reals: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

_Scalar = TypeVar("_Scalar", np.int64, np.float64, np.bool_)

LIMIT: Final = 2**60
"""`product` stays below it, so that eight results can be added in an int64."""


def frozen_ints(where: str, given: npt.ArrayLike) -> Ints:
    """A read-only int64 column of the given whole numbers; copied unless it is one already.

    Raises:
        TypeError: the numbers are not integers.
        ValueError: they are not one-dimensional.
    """
    array = np.asarray(given)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{where} has dtype {array.dtype}; give whole numbers, such as int64")
    return _frozen(where, array, np.int64)


def frozen_reals(where: str, given: npt.ArrayLike) -> Reals:
    """A read-only float64 column.

    Raises:
        ValueError: the numbers are not one-dimensional.
    """
    return _frozen(where, np.asarray(given), np.float64)


def frozen_flags(where: str, given: npt.ArrayLike) -> Flags:
    """A read-only bool column.

    Raises:
        TypeError: the values are not bools.
        ValueError: they are not one-dimensional.
    """
    array = np.asarray(given)
    if array.dtype != np.bool_:
        raise TypeError(f"{where} has dtype {array.dtype}; give bools")
    return _frozen(where, array, np.bool_)


def _frozen(where: str, array: npt.NDArray[Any], dtype: type[_Scalar]) -> npt.NDArray[_Scalar]:
    if array.ndim != 1:
        raise ValueError(f"{where} has shape {array.shape}; a column has one dimension")
    if array.dtype == dtype and not array.flags.writeable:
        return array
    column = array.astype(dtype)
    column.flags.writeable = False
    return column


def product(where: str, *factors: Ints | int) -> Ints:
    """The product of non-negative columns, exact.

    Raises:
        OverflowError: a row's product reaches 2**60.
    """
    # a float64 product of k factors is off by a relative k * 2**-53 at most: far less than what LIMIT leaves to 2**63
    largest = reduce(operator.mul, (np.asarray(factor, np.float64) for factor in factors))
    if np.any(largest >= LIMIT):
        row = int(np.argmax(largest))
        text = " * ".join(str(int(np.broadcast_to(factor, largest.shape).reshape(-1)[row])) for factor in factors)
        raise OverflowError(f"{where}, row {row}: {text} reaches 2**60; split the row into several with fewer calls")
    return np.asarray(math.prod(factors))


def ceil_div(n: Ints | int, d: Ints | int) -> Ints:
    """⌈n / d⌉ of integers, d > 0."""
    return np.asarray(-(-np.asarray(n) // d))
