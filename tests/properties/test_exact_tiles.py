"""Exact products in shapes that fill tiles and panels, split them, and leave rests: `==` with sums in NumPy's int64."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fxsim as fx
from fxsim import ops
from fxsim.ops import _products, records
from fxsim.ops._geometry import Conv, conv_shape
from fxsim.ops._plan import gemm_plan
from fxsim.ops._publish import Site
from fxsim.ops.records import Pass
from fxsim.rounding import OVERFLOWS, ROUNDINGS, TAILS

EXAMPLES = settings(max_examples=60, deadline=None)
SITE = Site("", Pass.FWD, "conv2d")

Raws = npt.NDArray[np.int64]

channels = st.sampled_from((1, 2, 3, 4, 5, 8, 15, 16, 17, 32, 33, 48, 64, 70))


@dataclass(frozen=True)
class Problem:
    """A convolution with operands of the three products, and how the ops are told of it."""

    conv: Conv
    x: fx.FixedTensor
    w: fx.FixedTensor
    g: fx.FixedTensor
    bias: fx.FixedTensor | None


def operand(draw: st.DrawFn, form: fx.Format, shape: tuple[int, ...]) -> fx.FixedTensor:
    """Random, at one end of the range, at both, or far from them, perhaps but for one element."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(("random", "random", "low", "high", "ends", "small", "narrow", "narrow but one")))
    low, high = form.raw_min, form.raw_max
    if kind == "random":
        raw = generator.integers(low, high, shape, endpoint=True)
    elif kind.startswith("narrow"):
        shift = draw(st.integers(1, form.wl))
        raw = generator.integers(low >> shift, high >> shift, shape, endpoint=True)
        if kind != "narrow" and raw.size:
            raw.flat[generator.integers(raw.size)] = draw(st.sampled_from((low, high)))
    elif kind == "ends":
        raw = generator.choice([low, high], shape)
    elif kind == "small":
        raw = generator.integers(max(low, -3), min(high, 3), shape, endpoint=True)
    else:
        raw = np.full(shape, low if kind == "low" else high)
    last = torch.from_numpy(np.ascontiguousarray(raw.transpose(0, 2, 3, 1))).to(form.dtype)
    return fx.FixedTensor(last.permute(0, 3, 1, 2), form)


@st.composite
def formats(draw: st.DrawFn) -> tuple[fx.Format, fx.Format, fx.Format]:
    """Of x, w and g: bytes, words, and words that take limbs, of which no sum leaves 64 bits."""
    widest = draw(st.sampled_from((8, 8, 8, 9, 16, 21, 26, 27)))
    x, w, g = (
        fx.Format(draw(st.integers(max(most - 8, 2), most)), draw(st.integers(-2, 9)), draw(st.booleans()) or most > 26)
        for most in (widest, widest, min(widest, 24))
    )
    return x, w, g


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """One in four has as many groups as channels."""
    n, depthwise = draw(st.integers(1, 6)), draw(st.sampled_from((False, False, False, True)))
    c, co, groups = draw(channels), draw(channels), draw(st.sampled_from((1, 1, 1, 2)))
    if depthwise:
        c, co, groups = 1, draw(st.sampled_from((1, 1, 1, 2))), draw(st.sampled_from((2, 3, 15, 16, 17, 40, 70, 300)))
    axes = []
    for most in (9, 36):
        taps, step, spread, pad = (draw(st.integers(*ends)) for ends in ((1, 5), (1, 3), (1, 2), (0, 3)))
        reach = spread * (taps - 1) + 1
        axes.append((max(reach - 2 * pad, 1) + draw(st.integers(0, most)), taps, step, spread, pad))
    size, kernel, stride, dilation, padding = zip(*axes, strict=True)
    shape = (n, c * groups, *size), (co * groups, c, *kernel)
    conv = conv_shape("conv2d", *shape, stride, padding, dilation, groups)
    x, w, g = draw(formats())
    bias = None
    if draw(st.booleans()):
        raw = np.random.default_rng(draw(st.integers(0, 99))).integers(-500, 500, co * groups)
        bias = fx.FixedTensor(
            torch.from_numpy(raw).to(torch.int16), fx.Format(16, x.fl + w.fl - draw(st.integers(0, 3)))
        )
    return Problem(
        conv,
        operand(draw, x, shape[0]),
        operand(draw, w, shape[1]),
        operand(draw, g, (n, co * groups, *conv.out)),
        bias,
    )


def windows(conv: Conv, ky: int, kx: int) -> tuple[slice, slice]:
    """Where tap (ky, kx) meets the padded image, for all output pixels."""
    starts = ky * conv.dilation[0], kx * conv.dilation[1]
    return tuple(  # type: ignore[return-value]
        slice(start, start + step * (count - 1) + 1, step)
        for start, step, count in zip(starts, conv.stride, conv.out, strict=True)
    )


def padded(conv: Conv, x: Raws) -> Raws:
    py, px = conv.padding
    return np.pad(x, ((0, 0), (0, 0), (py, py + 99), (px, px + 99)))


def by_group(conv: Conv, x: Raws) -> Raws:
    """(N, C, ...) as (N, groups, C / groups, ...)."""
    return x.reshape(x.shape[0], conv.groups, -1, *x.shape[2:])


def forward(conv: Conv, x: Raws, w: Raws) -> Raws:
    image = by_group(conv, padded(conv, x))
    weight = w.reshape(conv.groups, -1, *w.shape[1:])
    y = np.zeros((conv.n, conv.groups, conv.co // conv.groups, *conv.out), np.int64)
    for ky, kx in np.ndindex(*conv.kernel):
        rows, columns = windows(conv, ky, kx)
        y += np.einsum("ngcyx,goc->ngoyx", image[..., rows, columns], weight[..., ky, kx])
    return y.reshape(conv.n, conv.co, *conv.out)


def input_gradient(conv: Conv, g: Raws, w: Raws) -> Raws:
    image = by_group(conv, padded(conv, np.zeros((conv.n, conv.c, *conv.size), np.int64)))
    weight = w.reshape(conv.groups, -1, *w.shape[1:])
    for ky, kx in np.ndindex(*conv.kernel):
        rows, columns = windows(conv, ky, kx)
        image[..., rows, columns] += np.einsum("ngoyx,goc->ngcyx", by_group(conv, g), weight[..., ky, kx])
    (height, width), (py, px) = conv.size, conv.padding
    return image[..., py : py + height, px : px + width].reshape(conv.n, conv.c, height, width)


def weight_gradient(conv: Conv, g: Raws, x: Raws) -> Raws:
    image = by_group(conv, padded(conv, x))
    w = np.zeros((conv.groups, conv.co // conv.groups, conv.c // conv.groups, *conv.kernel), np.int64)
    for ky, kx in np.ndindex(*conv.kernel):
        rows, columns = windows(conv, ky, kx)
        w[..., ky, kx] = np.einsum("ngoyx,ngcyx->goc", by_group(conv, g), image[..., rows, columns])
    return w.reshape(conv.co, -1, *conv.kernel)


def check(result: torch.Tensor, expected: Raws, fl: int) -> None:
    """Carriers hold the expected raws, rounded once."""
    np.testing.assert_array_equal(result.numpy(), expected.astype(np.float32) * np.float32(2.0**-fl), strict=True)


every_isa = pytest.mark.parametrize("isa", [name for name in fx.isa.available() if name != "reference"])


@every_isa
@given(problems())
@EXAMPLES
def test_forward(isa: str, p: Problem) -> None:
    fx.isa.force(isa)
    x, w = p.x.format, p.w.format
    plan = gemm_plan("conv2d", fx.Accumulator(), x, w, p.conv.depth, p.bias.format if p.bias else None)
    bias = p.bias.raw.to(torch.int64) if p.bias else None
    expected = forward(p.conv, p.x.raw.numpy().astype(np.int64), p.w.raw.numpy().astype(np.int64))
    if p.bias:
        expected = expected + (bias.numpy() << (x.fl + w.fl - p.bias.format.fl))[:, None, None]
    heard: list[records.OpRecord] = []
    with records.listen(heard.append):
        y = _products.conv2d(p.conv, p.x.raw, x, p.w.raw, w, bias, False, plan, SITE, torch.float32)
    check(y, expected, x.fl + w.fl)
    assert heard[0].inexact_carriers == np.count_nonzero(expected.astype(np.float32).astype(np.int64) != expected)
    y = _products.conv2d(p.conv, p.x.raw, x, p.w.raw, w, bias, False, plan, SITE, torch.float32)
    check(y, expected, x.fl + w.fl)
    y = _products.conv2d(p.conv, p.x.raw, x, p.w.raw, w, bias, False, plan, SITE, torch.int64)
    np.testing.assert_array_equal(y.numpy(), expected, strict=True)


@every_isa
@given(problems())
@EXAMPLES
def test_input_gradient(isa: str, p: Problem) -> None:
    fx.isa.force(isa)
    g, w = p.g.format, p.w.format
    plan = gemm_plan("dgrad", fx.Accumulator(), g, w, p.conv.co // p.conv.groups * p.conv.kernel[0] * p.conv.kernel[1])
    expected = input_gradient(p.conv, p.g.raw.numpy().astype(np.int64), p.w.raw.numpy().astype(np.int64))
    check(_products.conv2d_dgrad(p.conv, p.g.raw, g, p.w.raw, w, plan, SITE, torch.float32), expected, g.fl + w.fl)


@every_isa
@given(problems())
@EXAMPLES
def test_weight_gradient(isa: str, p: Problem) -> None:
    fx.isa.force(isa)
    g, x = p.g.format, p.x.format
    plan = gemm_plan("wgrad", fx.Accumulator(), g, x, p.conv.pixels)
    expected = weight_gradient(p.conv, p.g.raw.numpy().astype(np.int64), p.x.raw.numpy().astype(np.int64))
    check(_products.conv2d_wgrad(p.conv, p.g.raw, g, p.x.raw, x, plan, SITE, torch.float32), expected, g.fl + x.fl)


@every_isa
@pytest.mark.parametrize("size", [1, 2])
def test_one_pixel_that_is_padding(isa: str, size: int) -> None:
    """A single output pixel may meet no element at all, forward and in the input gradient."""
    fx.isa.force(isa)
    form = fx.Format(8, 0)
    x = fx.FixedTensor(torch.full((6, 3, size, size), 5, dtype=torch.int8), form)
    w = fx.FixedTensor(torch.full((4, 3, 1, 1), 7, dtype=torch.int8), form)
    g = fx.FixedTensor(torch.full((6, 4, 1, 1), 3, dtype=torch.int8), form)
    geometry = {"stride": 5, "padding": 1}
    assert not fx.conv2d(x, w, **geometry).raw.any()
    assert not ops.conv2d_dgrad(g, w, (size, size), **geometry).raw.any()
    assert not ops.conv2d_wgrad(g, x, (1, 1), **geometry).raw.any()


@st.composite
def outputs(draw: st.DrawFn) -> fx.Quantizer:
    rounding = draw(st.sampled_from(ROUNDINGS) | st.builds(fx.Stochastic, st.integers(1, 32), st.sampled_from(TAILS)))
    form = fx.Format(draw(st.sampled_from((2, 6, 8, 12, 16, 24, 31, 32, 40))), draw(st.integers(-3, 14)))
    return fx.Quantizer(form, rounding, draw(st.sampled_from(OVERFLOWS[:-1])))


@given(problems(), outputs(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_rounded_output(p: Problem, out: fx.Quantizer, counted: bool) -> None:
    """Every path gives what the scalar loops give, events included where somebody listens."""
    results = []
    geometry: dict[str, Any] = {"padding": p.conv.padding, "dilation": p.conv.dilation, "groups": p.conv.groups}
    for name in fx.isa.available():
        fx.isa.force(name)
        heard: list[records.OpRecord] = []
        with records.listen(heard.append) if counted else nullcontext():
            y = fx.conv2d(p.x, p.w, p.bias, stride=p.conv.stride, **geometry, out=out, key=fx.Key(5, 7))
        results.append((y.raw.tolist(), heard))
    assert all(result == results[0] for result in results)


@given(problems(), outputs())
@EXAMPLES
def test_a_refused_output(p: Problem, out: fx.Quantizer) -> None:
    """The first value that mode "error" refuses is the same on every path."""
    texts = []
    for name in fx.isa.available():
        fx.isa.force(name)
        try:
            y = fx.conv2d(
                p.x, p.w, p.bias, stride=p.conv.stride, padding=p.conv.padding, dilation=p.conv.dilation,
                groups=p.conv.groups, out=replace(out, overflow="error"), key=fx.Key(5, 7),
            )  # fmt: skip
            texts.append(str(y.raw.tolist()))
        except OverflowError as refused:
            texts.append(str(refused))
    assert len(set(texts)) == 1


@every_isa
@given(st.data(), st.integers(1, 40), st.integers(0, 2000), st.integers(1, 150), formats())
@EXAMPLES
def test_matmul(isa: str, data: st.DataObject, m: int, k: int, n: int, forms: tuple[fx.Format, ...]) -> None:
    fx.isa.force(isa)
    if data.draw(st.booleans()):
        m, n = n, m
    a, b = (
        operand(data.draw, form, (rows, columns, 1, 1)) for form, rows, columns in ((forms[0], m, k), (forms[1], k, n))
    )
    left, right = (fx.FixedTensor(each.raw[:, :, 0, 0], each.format) for each in (a, b))
    expected = left.raw.numpy().astype(np.int64) @ right.raw.numpy().astype(np.int64)
    assert (fx.matmul(left, right).raw.numpy() == expected).all()
    fl = left.format.fl + right.format.fl
    wrapped = fx.matmul(left, right, accumulator=fx.Accumulator(fx.Format(32, fl), overflow="wrap"))
    assert (wrapped.raw.numpy() == expected.astype(np.int32)).all()
