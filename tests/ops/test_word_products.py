"""A tensor quantized and multiplied in one call of the core: the same as one call after the other."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import fxsim as fx
from fxsim import _core
from fxsim.formats import Format
from fxsim.ops import _word_products, records
from fxsim.rounding import Quantizer, Stochastic

Gradients = tuple[Tensor, ...]

NUMERICS = {
    "8 bits": fx.Numerics(Format(8, 4), Format(8, 4), grad_output=Quantizer(Format(8, 6), Stochastic(16))),
    "unsigned": fx.Numerics(Format(8, 6), Format(8, 4, signed=False), grad_output=Format(7, 6)),
    "16-bit gradients": fx.Numerics(Format(8, 4), Format(8, 4), grad_output=Quantizer(Format(16, 12), Stochastic(8))),
    "12 bits": fx.Numerics(Format(12, 8), Format(12, 8), grad_output=Format(12, 9)),
    "20 bits": fx.Numerics(Format(20, 12), Format(20, 12), grad_output=Format(20, 14)),
    "saturating": fx.Numerics(
        Format(8, 4),
        Format(8, 4),
        accumulator=fx.Accumulator(Format(14, 8)),
        accumulator_dgrad=fx.Accumulator(Format(14, 10)),
        accumulator_wgrad=fx.Accumulator(Format(14, 10)),
        grad_output=Format(8, 6),
    ),
    "rounded": fx.Numerics(
        Format(8, 4),
        Format(8, 4),
        output=Quantizer(Format(8, 3), Stochastic(16)),
        grad_output=Format(8, 6),
        grad_input=Format(8, 4),
        grad_weight=Quantizer(Format(8, 2), Stochastic(4)),
    ),
}


def apart(*_: object) -> None:
    """In place of `_linked`: every call has to be made by itself."""


def run(
    numerics: fx.Numerics, shape: tuple[int, ...], kernel: int, stride: int, groups: int = 1, *, bias: bool = True
) -> Gradients:
    """A layer's output and gradients, of inputs that leave their range here and there.

    Without a bias nobody wants the words of the output's gradient besides their products.
    """
    torch.manual_seed(math.prod(shape))
    layer = fx.nn.Conv2d(shape[1], 6, kernel, stride, kernel // 2, 1, groups, bias, numerics=numerics, seed=3)
    x = (torch.randn(shape) * 4).requires_grad_()
    y = layer(x)
    return y.detach(), *torch.autograd.grad(y, [x, *layer.parameters()], torch.randn(y.shape))


def both(of: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """What comes of calls together, and apart."""
    together = of()
    with monkeypatch.context() as patched:
        patched.setattr(_word_products, "_linked", apart)
        return together, of()


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("name", NUMERICS)
@pytest.mark.parametrize("batch", [1, 3, 4, 9])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "size"), [(3, 1, 9), (3, 2, 8), (1, 1, 5), (5, 3, 13)])
def test_calls_together_give_the_bits_of_calls_apart(
    isa: str, name: str, batch: int, kernel: int, stride: int, size: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fx.isa.force(isa)
    shape = (batch, 4, size, size)
    together, alone = both(lambda: run(NUMERICS[name], shape, kernel, stride, bias=bias), monkeypatch)
    assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("isa", fx.isa.available()[1:])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["8 bits", "16-bit gradients"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(70, 8, 31, 33), (2, 3, 200, 190), (300, 1, 3, 3), (1700, 79, 1, 1)])
def test_so_they_do_in_blocks_of_images_and_on_threads(
    isa: str, threads: int, name: str, bias: bool, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    fx.isa.force(isa)
    torch.set_num_threads(threads)
    together, alone = both(lambda: run(NUMERICS[name], shape, 3, 1, bias=bias), monkeypatch)
    assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("name", NUMERICS)
@pytest.mark.parametrize("shape", [(37, 24), (900, 120), (5, 7, 24), (24,), (0, 24), (3, 0, 24)])
@pytest.mark.parametrize(("bias", "counted"), [(False, False), (True, False), (True, True)])
def test_so_they_do_of_matrices(
    isa: str, name: str, shape: tuple[int, ...], bias: bool, counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    fx.isa.force(isa)

    def linear() -> tuple[list[Tensor], list[records.OpRecord]]:
        torch.manual_seed(len(shape))
        layer = fx.nn.Linear(shape[-1], 10, bias, numerics=NUMERICS[name], seed=3)
        x = (torch.randn(shape) * 4).requires_grad_()
        found: list[records.OpRecord] = []
        with records.listen(found.append) if counted else nullcontext():
            y = layer(x)
            gradients = torch.autograd.grad(y, [x, *layer.parameters()], torch.randn(y.shape))
        return [y.detach(), *gradients], found

    (together, told), (alone, told_alone) = both(linear, monkeypatch)
    assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))
    assert told == told_alone


@pytest.mark.parametrize("shape", [(0, 4, 5, 5), (2, 4, 1, 1)])
@pytest.mark.parametrize("bias", [False, True])
def test_so_they_do_at_the_ends_of_shapes(shape: tuple[int, ...], bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    together, alone = both(lambda: run(NUMERICS["8 bits"], shape, 3, 1, bias=bias), monkeypatch)
    assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("name", NUMERICS)
@pytest.mark.parametrize("groups", [1, 2])
def test_they_count_the_same(isa: str, name: str, groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fx.isa.force(isa)

    def recorded() -> list[records.OpRecord]:
        found: list[records.OpRecord] = []
        with records.listen(found.append):
            run(NUMERICS[name], (6, 4, 9, 7), 3, 1, groups)
        return found

    together, alone = both(recorded, monkeypatch)
    assert together == alone
    assert sum(each.inexact for each in together) > 0


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("bad", [(0, 0, 0, 0), (8, 3, 4, 4), (5, 1, 2, 3)])
def test_the_first_value_refused_is_named_as_apart(isa: str, bad: tuple[int, ...]) -> None:
    fx.isa.force(isa)
    layer = fx.nn.Conv2d(4, 6, 3, numerics=NUMERICS["8 bits"])
    x = torch.zeros(9, 4, 5, 5)
    x[bad] = x[8, 3, 4, 4] = math.nan
    place = re.escape(str(bad))
    with pytest.raises(ValueError, match=rf"quantize input: element {place} is NaN"):
        layer(x)


def test_a_product_that_refuses_names_itself() -> None:
    numerics = fx.Numerics(Format(8, 4), Format(8, 4), output=Quantizer(Format(8, 4), overflow="error"))
    layer = fx.nn.Conv2d(4, 6, 3, numerics=numerics)
    torch.nn.init.ones_(layer.weight)
    with pytest.raises(OverflowError, match=r"conv2d: the output overflows at output index 0: .* is outside"):
        layer(torch.full((5, 4, 5, 5), 7.0))


def core_call(**changes: Any) -> tuple[_core.Events, list[tuple[_core.Events, _core.MacCounts]]]:
    """A call of the core that is right but for `changes`."""
    view = _core.View(8, 0, True, (2, 1, 1), (1, 1, 3), (3, 0, 0, 1))
    exact = _core.Accumulator(
        product=None, inner=None, at_end=False, lanes=1, chunk=0, outer=None, outer_at_end=False, outer_lanes=1,
        preload=False,
    )  # fmt: skip
    wide = _core.Quantizer(40, 0, True, "floor", "wrap")
    given: dict[str, Any] = {
        "words": np.zeros((2, 3), np.int8),
        "clipped": None,
        "product": _core.Product(view, exact, 0, wide, False, 2, (1, 0, 0, 0, 0, 0)),
        "b": _core.Operand(np.ones((2, 3), np.int8), view),
        "out": np.zeros((2, 2), np.float32),
        "bias": None,
        "clear": None,
        "counts": None,
        "count": True,
        **changes,
    }
    link = (given["product"], given["b"], None, given["out"], given["bias"], 0, 0, given["clear"], "product")
    x = np.ones((2, 3), np.float32)
    quantizer = _core.Quantizer(8, 0, True, "floor", "saturate")
    words, clipped, count, counts = given["words"], given["clipped"], given["count"], given["counts"]
    return _core.quantize_gemms(x, words, clipped, quantizer, 0, 0, 0, False, count, counts, "x", [link])


def mask(size: int = 8) -> Any:
    return np.zeros(size, np.uint8)


def test_a_call_of_the_core_that_is_right() -> None:
    out, clear = np.zeros((2, 2), np.float32), mask()
    clear[0] = 1 << 2
    _, [(_, macs)] = core_call(out=out, clear=clear)
    assert (macs.valid, macs.both_met) == (12, 12)
    assert out.tolist() == [[3, 3], [0, 3]]


@pytest.mark.parametrize("isa", fx.isa.available())
def test_a_call_whose_words_nobody_wants(isa: str) -> None:
    fx.isa.force(isa)
    out = np.zeros((2, 2), np.float32)
    core_call(words=np.dtype(np.int8), out=out, count=False)
    assert out.tolist() == [[3, 3], [3, 3]]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"words": np.zeros((2, 4), np.int8)}, "words has another shape than x"),
        ({"words": np.zeros((3, 2), np.int8).T}, "words does not stand in memory as indices run"),
        ({"words": np.zeros((2, 3), np.float32)}, "words is an array of float32; it takes int8"),
        ({"words": np.dtype(np.int8)}, "count needs the words; give words an array"),
        ({"words": np.dtype(np.float32), "count": False}, "words is an array of float32; it takes int8"),
        ({"clipped": mask(6)}, "a mask has 6 bytes for 6 elements; it takes a bit each, in whole words of 64"),
        ({"clipped": np.zeros(8, np.bool_)}, "incompatible function arguments"),
        ({"out": np.zeros((2, 3), np.float32)}, "out must fill memory with 2 x 2 elements"),
        ({"out": np.zeros((2, 4), np.float32)[:, :2]}, "out must fill memory with 2 x 2 elements"),
        ({"bias": np.zeros(3, np.int64)}, "bias has 3 elements for 2 columns"),
        ({"clear": mask(16)}, "a mask has 16 bytes for 4 elements"),
        ({"clear": mask(), "out": np.zeros((2, 2), np.int64)}, "clear takes the floats of one product"),
        ({"counts": _core.WordCounts((1, 1, 1, 1))}, "words has counts of another number of elements"),
        ({"product": None}, "incompatible function arguments"),
        ({"b": None}, "incompatible function arguments"),
    ],
)  # fmt: skip
def test_errors_say_what_was_given(changes: dict[str, Any], text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        core_call(**changes)


def test_a_product_of_another_depth_is_refused() -> None:
    view = _core.View(8, 0, True, (2, 1, 1), (1, 1, 4), (4, 0, 0, 1))
    with pytest.raises(ValueError, match="k runs to 3 in a and to 4 in b; they must be equal"):
        core_call(b=_core.Operand(np.ones((2, 4), np.int8), view))
