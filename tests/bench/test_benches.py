"""Every benchmark runs through at toy size, has the lines it is there for, and refuses wrong bits."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from functools import partial
from io import StringIO
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from fxsim import isa, ops, reference
from fxsim.bench import (
    apytypes_gemm,
    avx2,
    cost,
    gemm,
    products,
    qpytorch,
    quantize,
    saturate,
    step_resnet20,
    suite,
    threads,
)
from fxsim.bench.measure import Note, Row
from fxsim.bench.step_resnet20 import Subject
from fxsim.bench.table import BENCHES, chosen
from fxsim.reference import batch_norm_relu, range_norm
from fxsim.tensor import FixedTensor

# What each benchmark must have a line for: (what, against, must, aim) as patterns and figures.
LINES: dict[str, list[tuple[str, str, float | None, float | None]]] = {
    "gemm": [
        (r"s8, exact, 512³$", r"torch\.mm float32", 3.0, 3.6),
        (r"s8, exact, 1024³$", r"torch\.mm float32", 3.0, 3.6),
        (r"s8, exact, 512", r"torch\._int_mm", 0.9, 1.1),
        (r"s8, exact, weight packed, 1024³$", r"torch\.mm float32", 3.5, 4.2),
        (r"s8, weight packed, float32 in and out, 1024³$", r"torch\.mm float32", 3.5, 4.2),
        (r"s8, exact, 1024³, after the others", r"torch\.mm float32", None, None),
        (r"s8, exact, weight packed, 512³, after the others", r"torch\.mm float32", None, None),
        (r"s16, 32-bit wrap, 1024", r"torch\.mm float32", 1.5, 1.9),
        (r"s16, exact, 1024", r"torch\.mm float32", 0.5, 0.65),
        (r"s16, exact, 512", r"torch\.mm float64", 1.1, 1.3),
        (r"s12, exact, 512", r"torch\.mm float32", None, None),
        (r"s20, exact, 512", r"torch\.mm float32", None, None),
        (r"s24, exact, 512", r"torch\.mm float32", None, None),
        (r"s32, exact, 512", r"torch\.mm int64", 3.0, 4.5),
    ],
    "saturate": [
        (r"22 bits, Gaussian, 512", r"torch\.mm float32", 2.0, 3.0),
        (r"20 bits, Gaussian, 1024", r"torch\.mm float32", 2.0, 3.0),
        (r"18 bits, Gaussian, 1024", r"torch\.mm float32", 0.9, 1.5),
        (r"17 bits, clipping everywhere, 512", r"torch\.mm float32", 0.42, 0.52),
        (r"16 bits, clipping everywhere, 1024", r"torch\.mm float32", 0.75, 1.1),
        (r"50 bits, 24-bit operands, clipping everywhere", r"torch\.mm float32", 0.2, 0.25),
        (r"18 bits, clipping everywhere", r"torch, clamping at every k", 35.0, 120.0),
        (r"rounding to nearest even each step", r"torch, rounding and clamping at every k", 20.0, 60.0),
        (r"wrap, counted", r"saturate, clipping everywhere", 0.1, 0.3),
        (r"stochastic each step", r"saturate, clipping everywhere", 0.1, 0.3),
    ],
    "conv": [
        (r"words, 16→16, 32×32", r"torch float32", 2.8, 3.5),
        (r"words, 32→64, 16×16, stride 2", r"torch float32", 2.8, 3.5),
        (r"words, sum of ResNet20's 19", r"torch float32", 3.2, 4.0),
        (r"words, 3→64, 224×224, 11×11 taps, stride 4", r"torch float32", 2.6, 3.4),
        (r"words, sum of AlexNet's 5", r"torch float32", 2.6, 3.4),
        (r"float32 in and out, sum of ResNet20's 19", r"torch fake-quantize and float32", None, None),
    ],
    "conv_backward": [
        (r"input gradient, 8 bits, sum of 18", r"torch float32", 3.2, 4.2),
        (r"input gradient, 16 bits, sum of 18", r"torch float32", 1.8, 2.4),
        (r"input gradient, 16 bits, 64→64, 8×8", r"torch float32", 1.5, 1.75),
        (r"weight gradient, 8 bits, 3→16, 32×32", r"torch float32", None, None),
        (r"weight gradient, 8 bits, 16→16, 32×32", r"torch float32", 3.3, 4.2),
        (r"weight gradient, 8 bits, sum of 19", r"torch float32", 3.7, 4.6),
        (r"weight gradient, 16 bits, sum of 19", r"torch float32", 1.9, 2.3),
        (r"forward and backward, 8 bits, sum of 19", r"torch float32", 2.5, 3.0),
        (r"forward and backward, 16 bits, sum of 19", r"torch float32", 1.75, 2.1),
    ],
    "quantize": [
        (r"nearest even, to int8, 128 MB", r"memcpy of float32", 1.4, 1.6),
        (r"stochastic, 8 bits, to int8, 128 MB", r"memcpy of float32", 0.9, 1.0),
        (r"stochastic, 16 bits, to int8, 128 MB", r"memcpy of float32", 0.9, 1.0),
        (r"stochastic, 16 bits, to int16, 128 MB", r"memcpy of float32", 0.9, 1.0),
        (r"stochastic, 24 bits, to int8, 128 MB", r"memcpy of float32", 0.7, 0.8),
        (r"stochastic, 16 bits, to int8, 128 KB", r"memcpy of float32", None, None),
        (r"stochastic, 16 bits, to int8, 128 MB", r"torch copy_ of float32", None, None),
        (r"nearest even, to float32, 128 MB", r"torch\.fake_quantize_per_tensor_affine", None, None),
        (r"stochastic, 16 bits, to float32, 128 KB", r"torch floor\(x · 2\^fl \+ rand\)", None, None),
    ],
    "batch_norm": [
        (r"forward, with addition, 16 channels", r"torch BatchNorm2d, addition, ReLU", None, None),
        (r"backward, without addition, 64 channels", r"torch BatchNorm2d, ReLU", None, None),
        (r"forward, with addition, sum of the three", r"torch BatchNorm2d, addition, ReLU", 1.8, None),
        (r"backward, with addition, sum of the three", r"torch BatchNorm2d, addition, ReLU", 1.8, None),
    ],
    "range_norm": [
        (r"8 bits, 16 channels", r"torch BatchNorm2d", None, None),
        (r"8 bits, sum of the three", r"torch BatchNorm2d", 0.25, None),
        (r"16 bits, stochastic gradients, sum of the three", r"torch BatchNorm2d", 0.25, None),
    ],
    "step_resnet20": [
        (r"step, 8-bit gradients$", r"torch float32", 1.4, 1.6),
        (r"step, 16-bit gradients$", r"torch float32", 1.2, 1.4),
        (r"step, 8-bit gradients, fused BatchNorm", r"torch float32", 1.75, 2.1),
        (r"step, 16-bit gradients, fused BatchNorm", r"torch float32", 1.45, 1.75),
        (r"step, AdaPT, <8,4>", r"torch float32", 0.8, 1.0),
        (r"step, AdaPT, <16,8>", r"torch float32", 0.65, 0.8),
        (r"step, AdaPT, <24,12>", r"torch float32", 0.4, 0.6),
    ],
    "cost": [
        *(
            line
            for name in ("8-bit gradients", "AdaPT, <8,4>")
            for line in (
                (rf"step, {name}, counted$", r"not counted", 0.95, 0.98),
                (rf"step, {name}, counted, torch not watched", r"not counted", 0.95, 0.98),
            )
        ),
        (r"price \d+ steps", r"10 s", 1.0, 2.0),
    ],
    "avx2": [
        (r"s8, exact, 512³, AVX2", r"torch\.mm float32, AVX2", 1.1, 1.35),
        (r"s8, exact, 1024³, AVX2", r"torch\.mm float32, AVX2", 1.1, 1.35),
    ],
    "threads": [
        (r"s8 GEMM, 1024³, two threads", r"one thread", None, None),
        (r"weight gradient, 16→16, 32×32, two threads", r"one thread", None, None),
    ],
    "apytypes": [
        (r"s8, 20 bits saturating each step, 64³", r"APyTypes", None, None),
    ],
    "qpytorch": [
        (r"quantize 128 MB to 8 bits, stochastic", r"QPyTorch as shipped", None, None),
        (r"quantize 128 MB to 8 bits, stochastic", r"QPyTorch with -O3", None, None),
        (r"step, ResNet20, 8-bit gradients", r"QPyTorch as shipped", 4.0, 8.0),
        (r"step, ResNet20, 8-bit gradients", r"QPyTorch with -O3", 4.0, 8.0),
    ],
}


class Silent:
    """An observer that notes the names of what began."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def begun(self, name: str) -> None:
        self.names.append(name)

    def round_done(self, done: int, of: int) -> None:
        assert 0 <= done <= of

    def found(self, name: str, outcome: Row | Note) -> None:
        assert name == self.names[-1]
        assert isinstance(outcome, Row | Note)


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


MISSING: dict[str, tuple[str, str]] = {
    "apytypes": ("apytypes", r"APyTypes is not installed; install it with: pip install 'fxsim\[bench\]'"),
    "qpytorch": (
        "qtorch",
        rf"QPyTorch is not usable \(.+\); install it with: {re.escape(qpytorch.INSTALL)}",
    ),
}
"""The package that a benchmark cannot do without, and what it says where that is missing."""


def needed(name: str) -> None:
    package, _ = MISSING.get(name, ("torch", ""))
    pytest.importorskip(package, reason=f"{package} is not installed")
    if name == "avx2" and "avx2" not in isa.available():
        pytest.skip("this machine has no AVX2")
    if name == "threads" and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this process may use one processor only")


def toy(name: str) -> suite.Section:
    (section,) = suite.run([name], Silent(), rounds=1, toy=True).sections
    return section


@pytest.mark.parametrize("name", BENCHES)
@pytest.mark.usefixtures("one_thread")
def test_a_benchmark_has_its_lines(name: str) -> None:
    needed(name)
    section = toy(name)
    assert section.failure is None
    for what, against, must, aim in LINES[name]:
        found = [row for row in section.rows if re.match(what, row.what) and re.fullmatch(against, row.against)]
        assert found, (what, [row.what for row in section.rows])
        assert {(row.must, row.aim) for row in found} == {(must, aim)}, what
    assert all(row.ratio > 0 for row in section.rows)


def test_every_benchmark_is_described_and_some_are_quick() -> None:
    assert set(LINES) == set(BENCHES)
    assert all(bench.question and bench.rounds >= 9 for bench in BENCHES.values())
    assert 0 < len(chosen([])) <= len(BENCHES)
    readme = (Path(__file__).parents[2] / "bench" / "README.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE) == list(BENCHES)


def test_names_are_taken_in_the_table_s_order_and_unknown_ones_refused() -> None:
    first, second, *_ = BENCHES
    assert chosen([second, first, second]) == (first, second)
    with pytest.raises(ValueError, match=rf"^bench: gem, zebra is unknown; give some of {', '.join(BENCHES)}$"):
        chosen(["zebra", first, "gem"])


def wrong(function: Callable[..., Any]) -> Callable[..., FixedTensor]:
    """The function of words with the first of its results off by one."""

    def spoiled(*args: Any, **kwargs: Any) -> FixedTensor:
        result = function(*args, **kwargs)
        raw = result.raw.clone()
        raw[(0,) * raw.ndim] ^= 1
        return FixedTensor(raw, result.format)

    return spoiled


def forgetful(make: Callable[[nn.Module], Subject]) -> Callable[[nn.Module], Subject]:
    """The factory, with weights that grow from one model to the next."""
    made = count(1)

    def spoiled(model: nn.Module) -> Subject:
        subject = make(model)
        with torch.no_grad():
            next(subject.model.parameters()).mul_(next(made))
        return subject

    return spoiled


def in_process(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
    """The other process, played by this one with a wrong product."""
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(StringIO()) as err:
        patch.setattr(avx2, "matmul", wrong(ops.matmul))
        with pytest.raises(SystemExit) as ended:
            avx2.main(json.loads(command[-1]))
    return subprocess.CompletedProcess(command, ended.value.code, "", err.getvalue())


def wrong_on_two_threads(threads: int, call: Callable[[], FixedTensor]) -> FixedTensor:
    return wrong(call)() if threads == 2 else call()


def spoil_first(into: Callable[..., None]) -> Callable[..., None]:
    """The function that fills its first argument, with the first element off by one."""

    def spoiled(out: torch.Tensor, *args: Any) -> None:
        into(out, *args)
        out[0] += 1

    return spoiled


def off_by_one(execute: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The function of floats with the first of its results one too large."""

    def spoiled(*args: Any, **kwargs: Any) -> torch.Tensor:
        result = execute(*args, **kwargs)
        result[(0,) * result.ndim] += 1
        return result

    return spoiled


SPOILS: dict[str, tuple[object, str, Any, str]] = {
    "gemm": (gemm, "matmul", wrong(gemm.matmul), r"gemm 8: 1 of 64 elements"),
    "saturate": (saturate, "matmul", wrong(saturate.matmul), r"saturate 22 bits, Gaussian: 1 of 64 elements"),
    "conv": (products, "execute", off_by_one(products.execute), r"conv2d, 3→16, 4×4: 1 of 512 elements"),
    "conv_backward": (
        products,
        "execute",
        off_by_one(products.execute),
        r"conv2d wgrad, 3→16, 4×4: 1 of 432 elements",
    ),
    "quantize": (
        quantize,
        "into",
        spoil_first(quantize.into),
        r"quantize, nearest even, to int8: 1 of 1000 elements",
    ),
    "batch_norm": (
        reference,
        "batch_norm_relu",
        lambda *args, **kwargs: -batch_norm_relu(*args, **kwargs),
        r"batch_norm_relu, with addition, 16 channels, 4×4: \d+ of 512 elements",
    ),
    "range_norm": (
        reference,
        "range_norm",
        lambda *args, **kwargs: tuple(-each for each in range_norm(*args, **kwargs)[:1]) * 2,
        r"range_norm, 8 bits, 16 channels, 4×4: \d+ of 512 elements",
    ),
    "step_resnet20": (
        step_resnet20,
        "CONTENDERS",
        {"8 bits": (forgetful(partial(step_resnet20.static, 8)), 1.4, 1.6)},
        r"step_resnet20, 8 bits: \d+ of \d+ elements",
    ),
    "cost": (
        cost,
        "CONTENDERS",
        {"8-bit gradients": (forgetful(partial(step_resnet20.static, 8)), 1.4, 1.6)},
        r"cost, 8-bit gradients: \d+ of \d+ elements",
    ),
    "avx2": (avx2, "subprocess", SimpleNamespace(run=in_process), r"avx2 gemm: 1 of 64 elements"),
    "threads": (threads, "_on", wrong_on_two_threads, r"threads, s8 GEMM, 1024³: 1 of 64 elements"),
    "apytypes": (apytypes_gemm, "matmul", wrong(gemm.matmul), r"apytypes: 1 of 256 elements"),
    "qpytorch": (qpytorch, "quantize", wrong(ops.quantize), r"QPyTorch as shipped: 1 of 1000 elements"),
}


@pytest.mark.parametrize("name", BENCHES)
@pytest.mark.usefixtures("one_thread")
def test_wrong_bits_are_not_timed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needed(name)
    target, function, spoiled, text = SPOILS[name]
    monkeypatch.setattr(target, function, spoiled)
    section = toy(name)
    assert section.rows == ()
    assert re.fullmatch(rf"{text} have wrong bits; not timed", str(section.failure)), section.failure


@pytest.mark.parametrize("name", MISSING)
def test_a_peer_that_is_missing_is_named_with_the_way_to_install_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package, text = MISSING[name]
    monkeypatch.setitem(sys.modules, package, None)
    for module in [each for each in sys.modules if each.startswith(f"{package}.")]:
        monkeypatch.setitem(sys.modules, module, None)
    section = toy(name)
    assert section.rows == ()
    (note,) = section.notes
    assert re.fullmatch(text, note.text), note.text
