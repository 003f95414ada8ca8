"""Convolutions and their gradients against the exact reference: `==`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import fxsim as fx
from fxsim import ops, reference

EXAMPLES = settings(max_examples=100, deadline=None)


@dataclass(frozen=True)
class Shapes:
    """Shapes of a convolution, and its geometry as the ops take it."""

    x: tuple[int, int, int, int]
    w: tuple[int, int, int, int]
    y: tuple[int, int, int, int]
    geometry: dict[str, Any]


@st.composite
def shapes(draw: st.DrawFn) -> Shapes:
    groups = draw(st.sampled_from((1, 1, 2)))
    ins, outs = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    batch = draw(st.integers(0, 2) | st.just(1))
    kernel, stride, dilation, padding, image, result = [], [], [], [], [], []
    for _ in range(2):
        taps, step, spread, pad = (draw(st.integers(low, high)) for low, high in ((1, 3), (1, 3), (1, 2), (0, 3)))
        reach = spread * (taps - 1) + 1
        size = max(reach - 2 * pad, 1) + draw(st.integers(0, 3))
        kernel.append(taps)
        stride.append(step)
        dilation.append(spread)
        padding.append(pad)
        image.append(size)
        result.append((size + 2 * pad - reach) // step + 1)
    geometry = {"stride": tuple(stride), "padding": tuple(padding), "dilation": tuple(dilation), "groups": groups}
    return Shapes(
        (batch, ins * groups, image[0], image[1]),
        (outs * groups, ins, kernel[0], kernel[1]),
        (batch, outs * groups, result[0], result[1]),
        geometry,
    )


def laid_out(tensor: fx.FixedTensor, channels_last: bool) -> fx.FixedTensor:
    """The same image batch, its channels last in memory or not."""
    if not channels_last:
        return tensor
    copied = tensor.permute(0, 2, 3, 1).raw.contiguous()
    return fx.FixedTensor(copied.permute(0, 3, 1, 2), tensor.format)


@given(st.data(), shapes(), st.booleans(), st.booleans())
@EXAMPLES
def test_conv2d(shared: Any, data: st.DataObject, s: Shapes, last_x: bool, last_w: bool) -> None:
    p = data.draw(shared.problems(s.x, s.w, s.w[1] * s.w[2] * s.w[3], s.w[0]))
    x, w = (p.a.raw.numpy(), p.a.format), (p.b.raw.numpy(), p.b.format)
    shared.agree(
        lambda: fx.conv2d(laid_out(p.a, last_x), laid_out(p.b, last_w), p.bias, **s.geometry, **p.options),
        lambda: reference.conv2d(*x, *w, **p.reference_bias, **s.geometry, **p.options),
    )


@given(st.data(), shapes(), st.booleans(), st.booleans())
@EXAMPLES
def test_the_input_gradient(shared: Any, data: st.DataObject, s: Shapes, last_g: bool, last_w: bool) -> None:
    p = data.draw(shared.problems(s.y, s.w, s.w[0] // s.geometry["groups"] * s.w[2] * s.w[3], None))
    g, w = (p.a.raw.numpy(), p.a.format), (p.b.raw.numpy(), p.b.format)
    shared.agree(
        lambda: ops.conv2d_dgrad(laid_out(p.a, last_g), laid_out(p.b, last_w), s.x[2:], **s.geometry, **p.options),
        lambda: reference.conv2d_dgrad(*g, *w, input_size=s.x, **s.geometry, **p.options),
    )


@given(st.data(), shapes(), st.booleans(), st.booleans())
@EXAMPLES
def test_the_weight_gradient(shared: Any, data: st.DataObject, s: Shapes, last_g: bool, last_x: bool) -> None:
    p = data.draw(shared.problems(s.y, s.x, s.y[0] * s.y[2] * s.y[3], None))
    g, x = (p.a.raw.numpy(), p.a.format), (p.b.raw.numpy(), p.b.format)
    shared.agree(
        lambda: ops.conv2d_wgrad(laid_out(p.a, last_g), laid_out(p.b, last_x), s.w[2:], **s.geometry, **p.options),
        lambda: reference.conv2d_wgrad(*g, *x, kernel_size=s.w, **s.geometry, **p.options),
    )
