"""Matrix products, the products of a linear layer and bias gradients against the exact reference: `==`."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import fxsim as fx
from fxsim import ops, reference

sizes = st.integers(0, 3) | st.integers(1, 3)
depths = st.integers(0, 13)
EXAMPLES = settings(max_examples=150, deadline=None)


@given(st.data(), sizes, depths, sizes)
@EXAMPLES
def test_matmul(shared: Any, data: st.DataObject, m: int, k: int, n: int) -> None:
    p = data.draw(shared.problems((m, k), (k, n), k, n))
    a, b = (p.a.raw.numpy(), p.a.format), (p.b.raw.numpy(), p.b.format)
    shared.agree(
        lambda: fx.matmul(p.a, p.b, bias=p.bias, **p.options),
        lambda: reference.matmul(*a, *b, **p.reference_bias, **p.options),
    )


@given(st.data(), st.sampled_from((((2, 2, 3), (3, 2)), ((2, 2, 3), (2, 3, 2)), ((2, 1, 2, 2), (3, 2, 1)))))
@EXAMPLES
def test_matmul_in_batches(shared: Any, data: st.DataObject, shapes: tuple[Any, Any]) -> None:
    p = data.draw(shared.problems(*shapes, shapes[0][-1], shapes[1][-1]))
    a, b = (p.a.raw.numpy(), p.a.format), (p.b.raw.numpy(), p.b.format)
    shared.agree(
        lambda: fx.matmul(p.a, p.b, bias=p.bias, **p.options),
        lambda: reference.matmul(*a, *b, **p.reference_bias, **p.options),
    )


@given(st.data(), sizes, sizes, depths, sizes)
@EXAMPLES
def test_linear(shared: Any, data: st.DataObject, batch: int, rows: int, k: int, n: int) -> None:
    p = data.draw(shared.problems((batch, rows, k), (n, k), k, n))
    x, w = (p.a.raw.numpy(), p.a.format), (p.b.raw.numpy(), p.b.format)
    shared.agree(
        lambda: fx.linear(p.a, p.b, p.bias, **p.options),
        lambda: reference.linear(*x, *w, **p.reference_bias, **p.options),
    )


@given(st.data(), sizes, sizes, depths)
@EXAMPLES
def test_the_input_gradient_of_linear(shared: Any, data: st.DataObject, rows: int, k: int, n: int) -> None:
    p = data.draw(shared.problems((rows, n), (n, k), n, None))
    g, w = (p.a.raw.numpy(), p.a.format), (p.b.raw.numpy(), p.b.format)
    shared.agree(
        lambda: ops.linear_dgrad(p.a, p.b, **p.options),
        lambda: reference.linear_dgrad(*g, *w, **p.options),
    )


@given(st.data(), sizes, sizes, sizes, sizes)
@EXAMPLES
def test_the_weight_gradient_of_linear(shared: Any, data: st.DataObject, batch: int, rows: int, k: int, n: int) -> None:
    p = data.draw(shared.problems((batch, rows, n), (batch, rows, k), batch * rows, None))
    g, x = (p.a.raw.numpy(), p.a.format), (p.b.raw.numpy(), p.b.format)
    shared.agree(
        lambda: ops.linear_wgrad(p.a, p.b, **p.options),
        lambda: reference.linear_wgrad(*g, *x, **p.options),
    )


@given(st.data(), depths, sizes)
@EXAMPLES
def test_the_bias_gradient_of_linear(shared: Any, data: st.DataObject, rows: int, n: int) -> None:
    p = data.draw(shared.problems((rows, n), (1,), rows, None))
    shared.agree(
        lambda: ops.bias_grad(p.a, **p.options),
        lambda: reference.bias_grad(p.a.raw.numpy(), p.a.format, **p.options),
    )


@given(st.data(), sizes, st.integers(0, 3), st.integers(0, 3), sizes)
@EXAMPLES
def test_the_bias_gradient_of_a_convolution(
    shared: Any, data: st.DataObject, batch: int, height: int, width: int, channels: int
) -> None:
    p = data.draw(shared.problems((batch, channels, height, width), (1,), batch * height * width, None))
    shared.agree(
        lambda: ops.bias_grad(p.a, channels_last=False, **p.options),
        lambda: reference.bias_grad(p.a.raw.numpy(), p.a.format, **p.options),
    )


@given(st.data(), st.integers(1, 3), st.integers(1, 5), st.integers(1, 3), st.booleans(), st.booleans())
@EXAMPLES
def test_strides_do_not_matter(
    shared: Any, data: st.DataObject, m: int, k: int, n: int, transposed: bool, sliced: bool
) -> None:
    a_shape = (m * 2 if sliced else m, k)
    p = data.draw(shared.problems(a_shape, (n, k) if transposed else (k, n), k, n))
    left = p.a[::2] if sliced else p.a
    right = p.b.permute(1, 0) if transposed else p.b
    a, b = (left.raw.numpy(), p.a.format), (right.raw.numpy(), p.b.format)
    shared.agree(
        lambda: fx.matmul(left, right, bias=p.bias, **p.options),
        lambda: reference.matmul(*a, *b, **p.reference_bias, **p.options),
    )
