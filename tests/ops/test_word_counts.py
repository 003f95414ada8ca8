"""Zeros counted as words are written: found by the products they enter, and never by any other."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import fxsim as fx
from fxsim import _core
from fxsim.formats import Format
from fxsim.ops import _bridge, _core_products, _word_counts, _words
from fxsim.ops.records import OpRecord
from fxsim.rounding import Quantizer

NUMERICS = fx.Numerics("<8,6>", "<8,4>", grad_output="<8,8>")
SHAPE = (2, 3, 4, 5)


def words(shape: tuple[int, ...] = SHAPE) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(-1, 2, shape, generator=generator, dtype=torch.int8)


def layers() -> list[tuple[fx.nn.Conv2d, Tensor]]:
    torch.manual_seed(0)
    return [
        (fx.nn.Conv2d(16, 8, 3, padding=1, numerics=NUMERICS), torch.randn(5, 16, 6, 7).relu()),
        (fx.nn.Conv2d(3, 8, (2, 4), stride=2, numerics=NUMERICS), torch.randn(4, 3, 9, 8).relu()),
        (fx.nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4, numerics=NUMERICS), torch.randn(2, 8, 5, 5).relu()),
        (fx.nn.Conv2d(4, 4, 1, numerics=NUMERICS), torch.rand(300, 4, 1, 1) + 0.5),  # more images than a byte counts
    ]


def step(layer: torch.nn.Module, x: Tensor) -> tuple[OpRecord, ...]:
    with fx.count(keep_order=True) as counts:
        layer(x.clone().requires_grad_()).square().sum().backward()
    return tuple(record for record in counts.ordered if record.macs)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, bool]]:
    """Whether the counts of each product's operands were known."""
    seen: list[tuple[bool, bool]] = []
    original = _core_products.quantize_gemms

    def quantize_gemms(*given: Any, counts: object, **settings: Any) -> object:
        [*_, products] = given
        seen.extend((counts is not None, link.counts is not None) for link in products)
        return original(*given, counts=counts, **settings)

    monkeypatch.setattr(_core_products, "quantize_gemms", quantize_gemms)
    return seen


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("threads", [1, 2])
def test_records_are_those_of_words_looked_at(
    isa: str, number: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fx.isa.force(isa)
    torch.set_num_threads(threads)
    known = step(*layers()[number])
    monkeypatch.setattr(_words, "counts_for", lambda *_, **__: None)
    assert step(*layers()[number]) == known
    assert known[0].nnz_a > 0


def test_input_and_gradient_are_counted_once_for_all_their_products(asked: list[tuple[bool, bool]]) -> None:
    """Forward meets x, the input's gradient meets g, the weight's gradient both."""
    step(*layers()[0])
    assert asked == [(True, False), (True, False), (True, True)]


def test_groups_are_looked_at(asked: list[tuple[bool, bool]]) -> None:
    step(*layers()[2])
    assert asked == [(False, False)] * 3


def test_nothing_is_counted_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("counted")

    monkeypatch.setattr(_bridge, "WordCounts", refuse)
    layer, x = layers()[0]
    layer(x.requires_grad_()).sum().backward()


def test_counts_go_with_their_words() -> None:
    raw = words()
    counts = _bridge.WordCounts(SHAPE)
    _word_counts.keep_counts(raw, counts)
    key, alive = id(raw), weakref.ref(raw)
    assert _word_counts.counts_of(raw) is counts
    del raw
    gc.collect()
    assert alive() is None
    assert key not in _word_counts._COUNTED


def test_counts_of_a_step_go_with_it() -> None:
    before = len(_word_counts._COUNTED)
    step(*layers()[0])
    gc.collect()
    assert len(_word_counts._COUNTED) == before


def test_words_that_torch_sees_changing_are_looked_at_again() -> None:
    raw = words()
    _word_counts.keep_counts(raw, _bridge.WordCounts(SHAPE))
    raw.add_(1)
    assert _word_counts.counts_of(raw) is None
    assert id(raw) not in _word_counts._COUNTED


def test_other_tensors_of_the_same_memory_have_no_counts() -> None:
    raw = words()
    _word_counts.keep_counts(raw, _bridge.WordCounts(SHAPE))
    for other in (raw.view(SHAPE), raw[:1], raw.clone()):
        assert _word_counts.counts_of(other) is None


def test_inference_mode_is_counted_without_keeping(asked: list[tuple[bool, bool]]) -> None:
    """Its tensors do not tell when they change."""
    layer, x = layers()[0]
    before = len(_word_counts._COUNTED)
    with torch.inference_mode(), fx.count() as counts:
        y = layer(x)
    [record] = [each for each in counts.records if each.macs]
    assert y.is_inference()
    assert asked == [(True, False)]
    assert len(_word_counts._COUNTED) == before
    assert record == step(layer.eval(), x)[0]


@pytest.mark.parametrize(
    "shape", [(2, 3), (2, 3, 4), (0, 3, 4, 5), (2, 3, 4, 0), (1, 1, 1, 1 << 16), (1 << 16, 1 << 16, 1, 1)]
)
def test_shapes_that_are_not_counted(shape: tuple[int, ...]) -> None:
    assert _word_counts.new_counts(shape) is None


def test_the_largest_shapes() -> None:
    assert _core.WordCounts.holds((1, 1, 1, (1 << 16) - 1))
    assert _core.WordCounts.holds((1, 1, (1 << 32) - 1, 1))
    assert not _core.WordCounts.holds((1, 1, 1 << 32, 1))


def quantized(counts: _core.WordCounts, dtype: type = np.int8) -> None:
    x, q = np.ones(SHAPE, np.float32), _bridge.quantizer(Quantizer(Format(8, 0), "floor", "wrap"))
    _core.quantize(x, np.empty(SHAPE, dtype), None, q, seed=0, stream=0, words=counts)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: _core.WordCounts((1, 1, 1, 1 << 16)), ValueError, "at most 65535 channels"),
        (lambda: _core.WordCounts((-1, 1, 1, 1)), ValueError, "shape is"),
        (lambda: quantized(_core.WordCounts((2, 3, 4, 4))), ValueError, "counts of another number of elements"),
        (lambda: quantized(_core.WordCounts(SHAPE), np.float32), TypeError, "whose words are counted"),
    ],
)
def test_what_is_refused(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_counts_are_filled_once() -> None:
    counts = _core.WordCounts(SHAPE)
    quantized(counts)
    with pytest.raises(ValueError, match="has counts already; give each call its own"):
        quantized(counts)
