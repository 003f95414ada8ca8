"""`quantize_in_place`: the bits of the op, in the tensor itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import fxsim as fx
from fxsim.ops.quantize_in_place import quantize_in_place
from fxsim.rng import Key

KEY = Key(2**64 - 1, 2**63 + 5)
TEXT = str(fx.Quantizer("<8,4>", fx.Stochastic(16), "saturate"))


def tensors() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = 3.0 * torch.randn(4, 3, 5, 2, generator=generator)
    return [
        x,
        x.contiguous(memory_format=torch.channels_last),
        x.double(),
        x[:, :, ::2],
        x[0, 0].t(),
        x[:0],
        x.flatten(),
        torch.tensor(1.03),
    ]


@pytest.mark.parametrize("x", tensors(), ids=lambda x: f"{tuple(x.shape)}, {tuple(x.stride())}, {x.dtype}")
def test_it_gives_what_quantize_gives_whatever_the_layout(x: Tensor) -> None:
    order = "channels_last" if x.dim() > 2 else "c"
    expected = fx.quantize(x, TEXT, key=KEY, index_order=order).to_float(x.dtype)
    x = x.clone()
    version = x._version
    quantize_in_place(x, TEXT, KEY, index_order=order, layer="fc")
    assert torch.equal(x, expected)
    assert x._version > version


def test_a_format_too_wide_for_the_dtype_is_rounded_once_to_nearest_even() -> None:
    x = torch.tensor([0.3, 8.0])
    quantize_in_place(x, "<40,36>", KEY)
    largest = 2**39 - 1  # of the format; 2**39 is the float next to it
    assert torch.equal(x, torch.tensor([0.3, (largest + 1) * 2.0**-36]))


class Seen(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


def test_a_mode_that_watches_sees_the_op_and_gets_the_same_bits() -> None:
    x = tensors()[0]
    watched = x.clone()
    with Seen() as seen:
        quantize_in_place(watched, TEXT, KEY, index_order="channels_last")
    quantize_in_place(x, TEXT, KEY, index_order="channels_last")
    assert torch.equal(watched, x)
    assert "fxsim::quantize" in seen.names


def test_a_count_hears_of_it_once_and_lists_no_float_operation() -> None:
    x = tensors()[0]
    with fx.count() as counts:
        quantize_in_place(x, TEXT, KEY, index_order="channels_last", layer="conv.weight")
    (record,) = counts.records
    assert (record.layer, record.op, record.batch, record.output) == ("conv.weight", "quantize", 4, TEXT)
    assert record.random_draws == x.numel()
    assert record.inexact > 0
    assert not counts.uncounted


def test_what_is_refused_is_named_and_left_as_it_was() -> None:
    x = torch.tensor([0.3, float("nan")])
    with pytest.raises(ValueError, match=r"fc\.bias: quantize: .*NaN"):
        quantize_in_place(x, TEXT, KEY, layer="fc.bias")
    assert float(x[0]) == float(torch.tensor(0.3))
    with pytest.raises(TypeError, match="fc: quantize: x is float16: accepted are float32 and float64; convert it"):
        quantize_in_place(torch.ones(2, dtype=torch.float16), TEXT, KEY, layer="fc")
    with pytest.raises(ValueError, match="x has 1 dimensions; use 'c'"):
        quantize_in_place(torch.ones(2), TEXT, KEY, index_order="channels_last")
