"""FixedTensor: what it accepts, what it keeps, and which floats carry it."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest
import torch

from fxsim.formats import Format
from fxsim.tensor import FixedTensor, carrier_dtype, carries

INTEGERS = [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_raws_are_kept_in_the_formats_type(dtype: torch.dtype) -> None:
    tensor = FixedTensor(torch.arange(6, dtype=dtype).reshape(2, 3), "<12,4>")
    assert tensor.raw.dtype == torch.int16
    assert tensor.raw.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (tensor.format, tensor.shape, tensor.ndim, tensor.numel(), len(tensor)) == (Format(12, 4), (2, 3), 2, 6, 2)


def test_raws_of_the_right_type_are_not_copied() -> None:
    raw = torch.zeros(3, dtype=torch.int8)
    assert FixedTensor(raw, "<8,4>").raw.data_ptr() == raw.data_ptr()


@pytest.mark.parametrize(
    "format", [Format(8, 4), Format(1, 0), Format(3, 0, False), Format(64, 0), Format(63, 0, False)]
)
def test_the_range_is_checked(format: Format) -> None:
    FixedTensor(torch.tensor([format.raw_min, format.raw_max]), format)
    for outside in (format.raw_min - 1, format.raw_max + 1):
        if -(2**63) <= outside < 2**63:
            with pytest.raises(
                ValueError, match=rf"FixedTensor: element \(0, 1\) is {outside}: {format} has raws from"
            ):
                FixedTensor(torch.tensor([[0, outside], [outside, outside]]), format)


def test_unsigned_bytes_are_not_taken_for_signed() -> None:
    with pytest.raises(ValueError, match=r"element \(1,\) is 200: <8,0> has raws from -128 to 127"):
        FixedTensor(torch.tensor([1, 200], dtype=torch.uint8), "<8,0>")
    with pytest.raises(ValueError, match=r"element \(1,\) is -1: u<8,0> has raws from 0 to 255"):
        FixedTensor(torch.tensor([1, -1], dtype=torch.int8), "u<8,0>")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.complex64, torch.uint16])
def test_other_types_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=r"raw is \w+: accepted are int8, uint8, int16, int32, int64"):
        FixedTensor(torch.zeros(2, dtype=dtype), "<8,4>")


def test_what_is_no_tensor_or_format() -> None:
    with pytest.raises(TypeError, match="raw is list: a torch tensor of integers is needed"):
        FixedTensor([1], "<8,4>")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="format = 8: a Format or its text is needed"):
        FixedTensor(torch.zeros(1, dtype=torch.int8), 8)  # type: ignore[arg-type]


def test_empty_tensors() -> None:
    empty = FixedTensor(torch.zeros((0, 3), dtype=torch.int64), "<8,4>")
    assert (empty.raw.dtype, empty.shape) == (torch.int8, (0, 3))
    assert empty.to_float().shape == (0, 3)


def test_equality_is_one_bool() -> None:
    a = FixedTensor(torch.tensor([1, 2]), "<8,4>")
    assert (a == FixedTensor(torch.tensor([1, 2]), "<8,4>")) is True
    assert (a == FixedTensor(torch.tensor([1, 3]), "<8,4>")) is False
    assert (a == FixedTensor(torch.tensor([1, 2]), "<8,5>")) is False
    assert (a == FixedTensor(torch.tensor([1, 2]), "<7,4>")) is False
    assert (a == FixedTensor(torch.tensor([[1, 2]]), "<8,4>")) is False
    assert (a != FixedTensor(torch.tensor([1, 2]), "<8,4>")) is False
    assert a != 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)


def test_views() -> None:
    a = FixedTensor(torch.arange(6).reshape(2, 3), "<8,4>")
    assert a[1] == FixedTensor(torch.tensor([3, 4, 5]), "<8,4>")
    assert a[:, ::2] == FixedTensor(torch.tensor([[0, 2], [3, 5]]), "<8,4>")
    assert a[..., None].shape == (2, 3, 1)
    assert a[torch.tensor([1, 0])] == FixedTensor(torch.tensor([[3, 4, 5], [0, 1, 2]]), "<8,4>")
    assert a.reshape(3, -1) == FixedTensor(torch.arange(6).reshape(3, 2), "<8,4>")
    assert a.permute(1, 0) == FixedTensor(torch.arange(6).reshape(2, 3).T, "<8,4>")
    assert a.permute(1, 0).raw.data_ptr() == a.raw.data_ptr()


def test_it_does_not_change() -> None:
    a = FixedTensor(torch.tensor([1]), "<8,4>")
    with pytest.raises(AttributeError, match="raw cannot be assigned; make a new FixedTensor"):
        a.raw = torch.tensor([2])
    with pytest.raises(AttributeError, match="format cannot be deleted"):
        del a.format


def test_copies_are_equal() -> None:
    a = FixedTensor(torch.arange(6).reshape(2, 3), "u<7,9>")
    assert pickle.loads(pickle.dumps(a)) == a == copy.deepcopy(a)
    assert copy.deepcopy(a).raw.data_ptr() != a.raw.data_ptr()


def test_repr() -> None:
    assert repr(FixedTensor(torch.tensor([1, -2]), "<8,4>")) == "FixedTensor(tensor([ 1, -2], dtype=torch.int8), <8,4>)"


@pytest.mark.parametrize(
    ("format", "dtype"),
    [
        (Format(8, 4), torch.float32),
        (Format(24, 0), torch.float32),
        (Format(24, 0, False), torch.float32),
        (Format(25, 0), torch.float64),
        (Format(53, 10, False), torch.float64),
        (Format(54, 0), None),
        (Format(8, 126), torch.float32),
        (Format(8, 127), torch.float64),
        (Format(8, -120), torch.float32),
        (Format(8, -121), torch.float64),
        (Format(24, -104, False), torch.float32),
        (Format(24, -105, False), torch.float64),
        (Format(53, 192), torch.float64),
        (Format(53, -192), torch.float64),
    ],
)
def test_the_narrowest_carrier(format: Format, dtype: torch.dtype | None) -> None:
    assert carrier_dtype(format) == dtype
    if dtype is None:
        return
    raws = torch.tensor([format.raw_min, format.raw_max, 0, 1 if format.raw_max else 0])
    tensor = FixedTensor(raws, format)
    values = tensor.to_float()
    assert values.dtype == dtype
    exact = [Fraction(int(raw)) * Fraction(2) ** -format.fl for raw in raws]
    assert [Fraction(float(value)) for value in values] == exact
    assert torch.equal(tensor.to_float(torch.float64), values.to(torch.float64))


def test_only_floats_of_two_widths_carry() -> None:
    assert not carries(torch.float16, Format(2, 0))
    assert not carries(torch.int32, Format(2, 0))
    assert carries(torch.float64, Format(2, 0))


def test_to_float_says_what_would_do() -> None:
    with pytest.raises(TypeError, match=r"float32 does not carry <25,0> exactly; float64 does"):
        FixedTensor(torch.tensor([1]), "<25,0>").to_float(torch.float32)
    with pytest.raises(TypeError, match=r"no float type carries <54,0> exactly: float64 holds up to 53 bits"):
        FixedTensor(torch.tensor([1]), "<54,0>").to_float()
    with pytest.raises(TypeError, match=r"float16 does not carry <4,0> exactly; float32 does"):
        FixedTensor(torch.tensor([1]), "<4,0>").to_float(torch.float16)


def test_the_storage_types_agree_with_numpy() -> None:
    for wl in range(1, 64):
        for signed in (True, False):
            format = Format(wl, 0, signed)
            assert (
                torch.zeros(0, dtype=format.dtype).numpy().dtype == format.numpy_dtype == np.dtype(format.numpy_dtype)
            )
