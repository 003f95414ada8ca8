"""Wrong input is refused where it enters, with what was given, what is accepted and what to change."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import fxsim as fx
from fxsim import ops


def words(*shape: int, format: str = "<8,4>") -> fx.FixedTensor:
    return fx.FixedTensor(torch.ones(shape, dtype=torch.int64), format)


def image(value: float) -> Tensor:
    """Zeros but for one element (1, 2, 3, 0)."""
    x = torch.zeros(2, 3, 4, 4)
    x[1, 2, 3, 0] = value
    return x


def refuses(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)) as caught:
        call()
    assert type(caught.value) is error


OVERFLOWS = ["saturate", "saturate_symmetric", "saturate_zero", "wrap", "error"]


@pytest.mark.parametrize("overflow", OVERFLOWS)
@pytest.mark.parametrize("index_order", ["c", "channels_last"])
def test_nan_is_never_data(overflow: str, index_order: str) -> None:
    x = image(float("nan"))
    x[0, 0, 0, 0] = 1e30  # an overflow that comes first is not what is reported
    refuses(
        lambda: fx.quantize(x, "<8,4>", overflow=overflow, index_order=index_order),
        ValueError,
        "quantize: element (1, 2, 3, 0) is NaN; only numbers can be quantized: replace it first",
    )


@pytest.mark.parametrize("index_order", ["c", "channels_last"])
def test_the_first_nan_is_named_in_index_order(index_order: str) -> None:
    x = torch.zeros(1, 2, 1, 2)
    x[0, 0, 0, 1] = x[0, 1, 0, 0] = float("nan")
    first = {"c": "(0, 0, 0, 1)", "channels_last": "(0, 1, 0, 0)"}[index_order]
    refuses(lambda: fx.quantize(x, "<8,4>", index_order=index_order), ValueError, f"element {first} is NaN")


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_infinity_saturates_or_is_refused(value: float) -> None:
    sign = 1 if value > 0 else -1
    for overflow, raw in [("saturate", (-128, 127)), ("saturate_symmetric", (-127, 127)), ("saturate_zero", (0, 0))]:
        assert fx.quantize(image(value), "<8,4>", overflow=overflow).raw[1, 2, 3, 0] == raw[sign > 0]
    refuses(
        lambda: fx.quantize(image(value), "<8,4>", overflow="wrap"),
        OverflowError,
        "quantize: element (1, 2, 3, 0) is infinite, which <8,4> takes under the saturating modes only; "
        'choose overflow="saturate" or replace it',
    )
    refuses(
        lambda: fx.quantize(image(value), "<8,4>", overflow="error"), OverflowError, "quantize: element (1, 2, 3, 0) "
    )


def test_an_overflow_under_error_names_the_first() -> None:
    x = image(8.0)
    x[1, 2, 3, 1] = 100.0
    refuses(
        lambda: fx.quantize(x, "<8,4>", overflow="error"),
        OverflowError,
        "quantize: element (1, 2, 3, 0) rounds to raw 128, outside <8,4> (-128..127); "
        "widen the format, or choose another overflow mode",
    )
    wide = fx.quantize(x, "<16,4>")
    refuses(
        lambda: fx.requantize(wide, "<8,4>", overflow="error"),
        OverflowError,
        "requantize: element (1, 2, 3, 0) rounds to raw 128, outside <8,4> (-128..127)",
    )


@pytest.mark.parametrize(
    ("x", "given"),
    [
        (torch.ones(3, dtype=torch.float16), "float16"),
        (torch.ones(3, dtype=torch.bfloat16), "bfloat16"),
        (torch.ones(3, dtype=torch.int32), "int32"),
        (torch.ones(3, dtype=torch.bool), "bool"),
        (torch.ones(3, dtype=torch.complex64), "complex64"),
        (np.ones(3, np.int64), "int64"),
    ],
)
def test_only_floats_are_quantized(x: Tensor, given: str) -> None:
    refuses(
        lambda: fx.quantize(x, "<8,4>"),
        TypeError,
        f"quantize: x is {given}: accepted are float32 and float64; convert it",
    )


def test_what_is_no_tensor_is_refused() -> None:
    refuses(
        lambda: fx.quantize([1.0], "<8,4>"),  # type: ignore[arg-type]
        TypeError,
        "quantize: x is list: a tensor or array of float32 or float64 is needed",
    )
    for name, call in {
        "requantize: t": lambda: fx.requantize(torch.ones(3), "<8,4>"),  # type: ignore[arg-type]
        "matmul: a": lambda: fx.matmul(torch.ones(3, 3), words(3, 3)),  # type: ignore[arg-type]
        "linear: w": lambda: fx.linear(words(3, 3), torch.ones(3, 3)),  # type: ignore[arg-type]
        "conv2d: bias": lambda: fx.conv2d(words(1, 1, 3, 3), words(1, 1, 3, 3), torch.ones(1)),  # type: ignore[arg-type]
    }.items():
        refuses(call, TypeError, f"{name} is Tensor: a FixedTensor is needed; make one with fx.quantize")


A, B, X, W = words(2, 3), words(3, 2), words(2, 4, 5, 5), words(6, 2, 3, 3)

SHAPES = [
    (lambda: fx.matmul(B, B), "matmul: a has shape (3, 2) and b (3, 2): accepted are (..., M, K) and (..., K, N)"),
    (lambda: fx.matmul(words(3), B), "matmul: a has shape (3,) and b (3, 2): accepted are"),
    (lambda: fx.matmul(words(2, 2, 3), words(4, 3, 2)), "leading dimensions (2,) and (4,) do not broadcast"),
    (lambda: fx.matmul(A, B, bias=words(3)), "matmul: bias has shape (3,): accepted is (2,), one for each output"),
    (lambda: fx.linear(A, B), "linear: x has shape (2, 3) and w (3, 2): accepted are (..., K) and (N, K)"),
    (lambda: fx.conv2d(A, W), "conv2d: x has shape (2, 3) and weight (6, 2, 3, 3): accepted are (N, C, H, W) and"),
    (lambda: fx.conv2d(X, W), "conv2d: x has 4 channels, weight has shape (6, 2, 3, 3) and groups = 1: x needs"),
    (lambda: fx.conv2d(X, W, groups=3), "and groups = 3: x needs 2 * groups channels, and C_out must be a multiple"),
    (lambda: fx.conv2d(X, W, groups=2, stride=0), "conv2d: stride = (0, 0): accepted are integers of at least 1"),
    (lambda: fx.conv2d(X, W, groups=2, padding=-1), "conv2d: padding = (-1, -1): accepted are integers of at least 0"),
    (lambda: fx.conv2d(X, W, groups=2, dilation=0), "conv2d: dilation = (0, 0): accepted are integers of at least 1"),
    (lambda: fx.conv2d(X[:, :, :2, :2], W, groups=2), "conv2d: a kernel of (3, 3) with dilation (1, 1) has no place"),
    (lambda: fx.conv2d(X, W, B, groups=2), "conv2d: bias has shape (3, 2): accepted is (6,), one for each output"),
    (lambda: ops.conv2d_dgrad(X, W, (5, 5), groups=2), "these settings make an output of shape (2, 6, 3, 3); change g"),
    (lambda: ops.conv2d_wgrad(X, X, 3, groups=2), "these settings make an output of shape (2, 4, 3, 3); change g"),
    (lambda: ops.linear_dgrad(A, A), "linear_dgrad: g has shape (2, 3) and w (2, 3): accepted are (..., N) and (N, K)"),
    (lambda: ops.linear_wgrad(A, B), "linear_wgrad: g has shape (2, 3) and x (3, 2): accepted are (..., N) and"),
    (lambda: fx.quantize(torch.ones(3), "<8,4>", index_offset=-1), "quantize: index_offset = -1: the elements before"),
    (lambda: fx.quantize(torch.ones(3), "<8,4>", index_order="hwc"), "'hwc': accepted are 'c' and 'channels_last'"),
    (lambda: fx.quantize(torch.ones(3, 3), "<8,4>", index_order="channels_last"), "x has 2 dimensions; use 'c'"),
]


@pytest.mark.parametrize(("call", "text"), SHAPES, ids=[text[:50] for _, text in SHAPES])
def test_shapes_that_do_not_fit(call: Callable[[], object], text: str) -> None:
    refuses(call, ValueError, text)


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize(
    ("format", "text"),
    [
        (
            "<40,8>",
            "operands have 1 to 32 bits; requantize it, or name an output format where it was made",
        ),
        ("<8,70>", "operands have fl from -64 to 64; requantize it, or rescale the data"),
    ],
)
def test_operands_out_of_bounds(side: str, format: str, text: str) -> None:
    a, b = (words(2, 3, format=format), B) if side == "a" else (A, words(3, 2, format=format))
    refuses(lambda: fx.matmul(a, b), ValueError, f"matmul: operand {side} is {format}: {text}")


NO_KEY = "rounds stochastically and key is None; give key=fx.Key(seed, stream)"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: fx.quantize(torch.ones(3), "<8,4>", "stochastic"),
            "quantize: rounding is stochastic and key is None; give key=fx.Key(seed, stream)",
        ),
        (lambda: fx.requantize(A, "<8,2>,stochastic"), "requantize: rounding is stochastic and key is None"),
        (lambda: fx.matmul(A, B, out="<8,4>,stochastic"), f"matmul: out {NO_KEY}"),
        (lambda: fx.matmul(A, B, accumulator=fx.Accumulator(9, "stochastic")), f"matmul: accumulator {NO_KEY}"),
    ],
)
def test_chance_needs_a_key(call: Callable[[], object], text: str) -> None:
    refuses(call, ValueError, text)


def test_overflows_of_a_product_name_place_and_value() -> None:
    a, b = fx.FixedTensor(torch.full((2, 3), 100), "<8,0>"), fx.FixedTensor(torch.full((3, 2), 2), "<8,0>")
    cases = {
        "the accumulator overflows at output index 0, k = 1: 400 is outside <9,0> (-256..255)": fx.Accumulator(
            "<9,0>", overflow="error"
        ),
        "the product overflows at output index 0, k = 0: 200 is outside <8,0> (-128..127)": fx.Accumulator(
            product="<8,0>,nearest_even,error"
        ),
    }
    for text, accumulator in cases.items():
        refuses(
            lambda accumulator=accumulator: fx.matmul(a, b, accumulator=accumulator),  # type: ignore[misc]
            OverflowError,
            f"matmul: {text}; widen it, or choose another overflow mode",
        )
    refuses(
        lambda: fx.matmul(a, b, out="<9,0>,nearest_even,error"),
        OverflowError,
        "matmul: the output overflows at output index 0: 600 is outside <9,0> (-256..255); widen it",
    )


def test_an_exact_result_beyond_64_bits_asks_for_an_output_format() -> None:
    lowest = fx.FixedTensor(torch.full((1, 8), -(2**31)), "<32,0>")
    refuses(
        lambda: fx.linear(lowest, lowest),
        OverflowError,
        "linear: the exact result at output index 0 does not fit <64,0> (-9223372036854775808..9223372036854775807); "
        "name an output format or an accumulator width",
    )
    assert fx.linear(lowest, lowest, out="<32,-36>").raw.tolist() == [[2**29]]


NUMERICS = fx.Numerics(weight="<8,4>", activation="<6,3>", output="<12,4>")


def layer(numerics: fx.Numerics = NUMERICS) -> torch.nn.Module:
    return fx.convert(torch.nn.Sequential(torch.nn.Linear(3, 2)), numerics)


def untouched(model: torch.nn.Module, x: Tensor) -> Callable[[], None]:
    """A check that neither parameters, gradients nor the input have changed since."""
    kept = [each.detach().clone() for each in (*model.parameters(), x)]

    def check() -> None:
        assert all(each.grad is None for each in model.parameters())
        now = [each.detach() for each in (*model.parameters(), x)]
        assert all(torch.equal(a, b) or bool(a.isnan().any()) for a, b in zip(kept, now, strict=True))

    return check


def test_a_layer_says_its_name_and_leaves_everything_as_it_was() -> None:
    for x, error, text in [
        (torch.full((2, 3), torch.nan), ValueError, "0: quantize input: element (0, 0) is NaN"),
        (torch.ones(2, 4), ValueError, "0: linear: x has shape (2, 4): accepted is (..., 3), the in features"),
        (torch.ones(2, 3).half(), TypeError, "0: linear: x is float16: accepted are float32 and float64; convert it"),
        (torch.ones(2, 3, dtype=torch.int64), TypeError, "0: linear: x is int64: accepted are float32 and float64"),
    ]:
        model = layer()
        check = untouched(model, x)
        refuses(lambda model=model, x=x: model(x), error, text)  # type: ignore[misc]
        check()


def test_a_format_too_wide_for_the_carrier_is_refused_before_anything_runs() -> None:
    x = torch.ones(2, 3)
    wide = fx.Numerics(weight="<8,4>", activation="<6,3>", output="<30,4>")
    refuses(
        lambda: layer(wide)(x),
        TypeError,
        "0: linear: float32 does not carry the output format <30,4> exactly: float64 does; "
        'convert the model and its input, or choose carrier="round"',
    )
    assert layer(wide).double()(x.double()).dtype is torch.float64
    wider = fx.Numerics(weight="<8,4>", activation="<6,3>", output="<60,4>")
    refuses(
        lambda: layer(wider).double()(x.double()),
        TypeError,
        "0: linear: float64 does not carry the output format <60,4> exactly: no float type does; "
        'choose a narrower format, or carrier="round"',
    )
    rounded = fx.Numerics(weight="<8,4>", activation="<6,3>", output="<30,4>", carrier="round")
    assert layer(rounded)(x).dtype is torch.float32


def test_to_float_refuses_what_it_cannot_carry() -> None:
    refuses(
        lambda: words(2, format="<30,4>").to_float(torch.float32),
        TypeError,
        "to_float: float32 does not carry <30,4> exactly; float64 does",
    )
    refuses(lambda: words(2, format="<60,4>").to_float(), TypeError, "to_float: no float type carries <60,4> exactly")


def test_a_gradient_that_is_nan_names_the_layer() -> None:
    model = layer(fx.Numerics(weight="<8,4>", activation="<6,3>", grad_output="<8,4>"))
    y = model(torch.ones(2, 3))
    check = untouched(model, torch.ones(2, 3))
    refuses(lambda: y.backward(torch.full_like(y, torch.nan)), ValueError, "element (0, 0) is NaN")
    check()


def test_zero_sizes_are_no_errors() -> None:
    assert fx.quantize(torch.ones(0, 3), "<8,4>").shape == (0, 3)
    assert fx.quantize(torch.tensor(1.5), "<8,4>").raw.tolist() == 24
    assert fx.requantize(words(0, 3), "<4,2>").shape == (0, 3)
    assert fx.linear(words(0, 3), words(4, 3)).shape == (0, 4)
    assert fx.linear(words(2, 0), words(4, 0)).raw.tolist() == [[0] * 4] * 2
    biased = fx.linear(words(2, 0), words(4, 0), words(4), out="<6,4>")
    assert biased.raw.tolist() == [[1] * 4] * 2
    assert fx.conv2d(words(0, 4, 5, 5), W, groups=2).shape == (0, 6, 3, 3)
    assert ops.conv2d_dgrad(words(0, 6, 3, 3), W, (5, 5), groups=2).shape == (0, 4, 5, 5)
    assert not ops.conv2d_wgrad(words(0, 6, 3, 3), words(0, 4, 5, 5), 3, groups=2).raw.any()
    assert not ops.bias_grad(words(0, 6)).raw.any()


def test_a_layer_takes_an_empty_batch_and_gives_zero_gradients() -> None:
    for grad_output in (None, "<8,4>"):
        model = layer(fx.Numerics(weight="<8,4>", activation="<6,3>", grad_output=grad_output))
        y = model(torch.ones(0, 3))
        assert y.shape == (0, 2)
        y.sum().backward()
        assert all(each.grad is not None and not each.grad.any() for each in model.parameters())
