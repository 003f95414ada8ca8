"""The modules as torch modules: arguments, dtypes, layouts, names in errors."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fxsim as fx

NUMERICS = fx.Numerics("<6,3>", "<6,3>", "<10,4>")


def test_torch_s_arguments_mean_the_same() -> None:
    module = fx.nn.Conv2d(
        4, 6, (3, 2), stride=2, padding="valid", groups=2, bias=False, dtype=torch.float64, numerics=NUMERICS
    )
    twin = nn.Conv2d(4, 6, (3, 2), stride=2, padding="valid", groups=2, bias=False, dtype=torch.float64)
    assert isinstance(module, nn.Conv2d)
    assert module.weight.shape == twin.weight.shape
    assert module.weight.dtype == torch.float64
    x = torch.randn(2, 4, 7, 6, dtype=torch.float64)
    assert module(x).shape == twin(x).shape
    assert module(x[0]).shape == twin(x[0]).shape
    assert torch.equal(module(x[0]), module(x)[0])
    assert module(x).is_contiguous(memory_format=torch.channels_last)


def test_padding_same_where_both_sides_agree() -> None:
    module = fx.nn.Conv2d(1, 1, (3, 5), padding="same", dilation=(2, 1), numerics=NUMERICS)
    x = torch.randn(1, 1, 6, 6)
    assert module(x).shape == x.shape
    words = (fx.quantize(x, "<6,3>"), module.int_weight(), module.int_bias())
    assert torch.equal(module(x), fx.conv2d(*words, padding=(2, 2), dilation=(2, 1), out="<10,4>").to_float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_vector_is_one_row(dtype: torch.dtype) -> None:
    module = fx.nn.Linear(5, 3, numerics=NUMERICS)
    x = torch.randn(5, dtype=dtype)
    assert module(x).dtype == dtype
    assert torch.equal(module(x), module(x[None])[0])


def test_layouts_do_not_matter() -> None:
    module = fx.nn.Conv2d(
        3, 4, 3, numerics=fx.Numerics("<6,3>,stochastic", "<6,3>,stochastic", "<10,4>,stochastic")
    ).eval()
    x = torch.randn(2, 3, 6, 6)
    y = module(x)
    assert torch.equal(module(x.to(memory_format=torch.channels_last)), y)
    assert torch.equal(module(x.transpose(2, 3).contiguous().transpose(2, 3)), y)
    module.weight.data = module.weight.data.to(memory_format=torch.channels_last)
    assert torch.equal(module(x), y)


def test_numbers_out_of_range_are_refused() -> None:
    for wrong, text in (
        ({"layer_id": 1 << 16}, "Linear: layer_id = 65536: accepted are 0 to 65535"),
        ({"seed": -1}, r"Linear: seed = -1: accepted are 0 to 2\*\*64 - 1"),
    ):
        with pytest.raises(ValueError, match=text):
            fx.nn.Linear(2, 2, numerics=NUMERICS, **wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Linear: numerics is str: a Numerics is needed"):
        fx.nn.Linear(2, 2, numerics="<8,4>")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shard: first_sample = -1: samples are numbered from 0"), fx.shard(-1):
        pass


def test_errors_begin_with_the_layer_s_name() -> None:
    model = fx.convert(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(4, 1)), NUMERICS)
    with pytest.raises(ValueError, match=r"^0: conv2d: a kernel of \(3, 3\) with dilation \(1, 1\) has no place"):
        model(torch.ones(1, 1, 2, 2))
    with torch.no_grad():
        model[2].weight.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"^2: quantize weight: element \(0, 0\) is NaN"):
        model(torch.ones(1, 1, 4, 4))
    fx.set_numerics(model, "0", fx.Numerics("<8,4>", "<8,0>", "<3,0>,nearest_even,error"))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
    with pytest.raises(OverflowError, match=r"^0: conv2d: the output overflows at output index 0: .* is outside <3,0>"):
        model(torch.ones(1, 1, 4, 4))
    fx.set_numerics(model, "0", fx.Numerics("<33,4>", "<8,0>"))
    with pytest.raises(ValueError, match=r"^0: conv2d: operand b is <33,4>: operands have 1 to 32 bits"):
        model(torch.ones(1, 1, 4, 4))


def test_an_override_holds_from_the_next_forward() -> None:
    module = fx.nn.Linear(3, 2, numerics=NUMERICS)
    x = torch.randn(4, 3)
    before = module(x)
    module.numerics = fx.Numerics("<3,1>", "<3,1>", "<4,1>")
    assert not torch.equal(module(x), before)
    module.numerics = NUMERICS
    assert torch.equal(module(x), before)
