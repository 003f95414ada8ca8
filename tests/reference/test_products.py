"""Matrix products and convolutions of the reference: values against torch, orders and indices by independent means."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional as F

from fxsim import reference
from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.rng import Key
from fxsim.rounding import Quantizer

INT = Format(4, 0)
GEOMETRIES: list[tuple[Any, Any, Any, int]] = [
    (1, 0, 1, 1),
    (2, 1, 1, 1),
    ((1, 3), (2, 1), (2, 1), 2),
    (3, 2, 2, 1),
    (2, 1, 1, 4),
    (1, 4, 1, 1),
]


def image(shape: Sequence[int], seed: int = 0) -> npt.NDArray[np.int64]:
    raws = np.random.default_rng([seed, *shape]).integers(-8, 8, shape)
    return np.where(np.abs(raws) < 3, 0, raws)


def floats(raw: npt.NDArray[np.int64]) -> torch.Tensor:
    return torch.tensor(raw, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), GEOMETRIES)
def test_convolutions_have_the_values_of_torch(stride: Any, padding: Any, dilation: Any, groups: int) -> None:
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, w, bias = image((2, 4, 7, 6)), image((8, 4 // groups, 3, 2)), image((8,))
    y, _, counts = reference.conv2d(x, INT, w, INT, bias=bias, bias_format=INT, **geometry)
    tx, tw, tb = floats(x), floats(w), floats(bias)
    ty = F.conv2d(tx, tw, tb, **geometry)
    assert (y == ty.detach().numpy()).all()
    g = image(y.shape, 1)
    ty.backward(floats(g).detach())
    dx, _, dgrad = reference.conv2d_dgrad(g, INT, w, INT, input_size=x.shape, **geometry)
    dw, _, wgrad = reference.conv2d_wgrad(g, INT, x, INT, kernel_size=w.shape, **geometry)
    db, _, bgrad = reference.bias_grad(g, INT)
    for ours, theirs in ((dx, tx.grad), (dw, tw.grad), (db, tb.grad)):
        assert theirs is not None
        assert (ours == theirs.numpy()).all()
    per_group = 3 * 2 * 4 // groups
    assert counts.macs == wgrad.macs == y.size * per_group
    assert dgrad.macs == dx.size * 3 * 2 * 8 // groups
    assert counts.pad_macs == wgrad.pad_macs
    assert (bgrad.macs, bgrad.nnz_a) == (0, np.count_nonzero(g))
    # what is not structurally zero is the same products, whichever of the three runs over them
    assert counts.macs - counts.pad_macs == dgrad.macs - dgrad.pad_macs
    for c, a, b in ((counts, x, w), (dgrad, g, w), (wgrad, g, x)):
        assert (c.nnz_a, c.nnz_b) == (np.count_nonzero(a), np.count_nonzero(b))
        assert c.macs == c.pad_macs + c.zero_macs + c.nz_macs
        assert max(c.zero_a_macs, c.zero_b_macs) <= c.zero_macs <= c.zero_a_macs + c.zero_b_macs


def test_zero_counts_of_a_convolution_by_ones() -> None:
    # torch counts: every tap inside is 1, and a tap whose operand is not 0 is 1
    x, w = image((2, 4, 5, 5)), image((6, 4, 3, 3))
    _, _, counts = reference.conv2d(x, INT, w, INT, padding=1, stride=2)

    def taps(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> int:
        total = F.conv2d(torch.tensor(a * 1.0), torch.tensor(b * 1.0), padding=1, stride=2).sum()
        return int(total)

    ones_x, ones_w = np.ones_like(x), np.ones_like(w)
    inside = taps(ones_x, ones_w)
    assert counts.pad_macs == counts.macs - inside
    assert counts.zero_a_macs == inside - taps(x != 0, ones_w)
    assert counts.zero_b_macs == inside - taps(ones_x, w != 0)
    assert counts.nz_macs == taps(x != 0, w != 0)
    assert counts.zero_macs == inside - counts.nz_macs


def saturated(products: Sequence[int], low: int = -8, high: int = 7) -> int:
    """A four-bit accumulator: its value tells the order of what entered."""
    acc = 0
    for p in products:
        acc = max(low, min(acc + p, high))
    return acc


NARROW = Accumulator("<4,0>")


@pytest.mark.parametrize(("k_order", "axes"), [("kh_kw_cin", ("kh", "kw", "c")), ("cin_kh_kw", ("c", "kh", "kw"))])
def test_the_forward_order_of_k(k_order: str, axes: tuple[str, str, str]) -> None:
    x, w = image((2, 3, 4, 5)), image((2, 3, 2, 3))
    y, _, _ = reference.conv2d(x, INT, w, INT, padding=1, accumulator=Accumulator("<4,0>", k_order=k_order))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    sizes = {"c": 3, "kh": 2, "kw": 3}
    for n, o, oh, ow in np.ndindex(*y.shape):
        products = []
        for values in product(*(range(sizes[axis]) for axis in axes)):
            tap = dict(zip(axes, values, strict=True))
            c, kh, kw = tap["c"], tap["kh"], tap["kw"]
            products.append(int(padded[n, c, oh + kh, ow + kw] * w[o, c, kh, kw]))
        assert y[n, o, oh, ow] == saturated(products)
    other = "cin_kh_kw" if k_order == "kh_kw_cin" else "kh_kw_cin"
    assert (y != reference.conv2d(x, INT, w, INT, padding=1, accumulator=Accumulator("<4,0>", k_order=other))[0]).any()


def test_the_forward_order_of_torchs_unfold() -> None:
    x, w = image((2, 3, 4, 5)), image((2, 3, 2, 3))
    acc = Accumulator("<4,0>", k_order="cin_kh_kw")
    y, _, _ = reference.conv2d(x, INT, w, INT, padding=1, accumulator=acc)
    columns = F.unfold(torch.tensor(x * 1.0), (2, 3), padding=1).numpy().astype(np.int64)
    for n, o, place in np.ndindex(2, 2, columns.shape[2]):
        products = (columns[n, :, place] * w.reshape(2, -1)[o]).tolist()
        assert y.reshape(2, 2, -1)[n, o, place] == saturated(products)


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2)])
@pytest.mark.parametrize("groups", [1, 2])
def test_the_order_of_k_of_the_input_gradient(stride: int, padding: int, dilation: int, groups: int) -> None:
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, w = image((2, 4, 5, 6)), image((6, 4 // groups, 2, 3))
    g = image(reference.conv2d(x, INT, w, INT, **geometry)[0].shape, 1)
    dx, _, _ = reference.conv2d_dgrad(
        g, INT, w, INT, input_size=x.shape, accumulator=Accumulator("<4,0>", k_order="cin_kh_kw"), **geometry
    )
    # what reaches each input element, scattered from the outputs in the order (kh, kw, c_out)
    reaching: dict[tuple[int, ...], list[int]] = {position: [] for position in np.ndindex(*x.shape)}
    outs, ins = 6 // groups, 4 // groups
    for kh, kw, o in np.ndindex(2, 3, outs):
        for n, oh, ow, group, i in np.ndindex(2, *g.shape[2:], groups, ins):
            y, z = oh * stride - padding + kh * dilation, ow * stride - padding + kw * dilation
            if 0 <= y < 5 and 0 <= z < 6:
                value = int(g[n, group * outs + o, oh, ow] * w[group * outs + o, i, kh, kw])
                reaching[(n, group * ins + i, y, z)].append(value)
    assert all(dx[position] == saturated(products) for position, products in reaching.items())


@pytest.mark.parametrize("groups", [1, 2])
def test_the_order_of_k_of_the_weight_gradient(groups: int) -> None:
    x, g = image((3, 4, 4, 5)), image((3, 6, 2, 3), 1)
    geometry = {"stride": 2, "padding": 1, "groups": groups}
    acc = Accumulator("<4,0>", k_order="cin_kh_kw")
    dw, _, _ = reference.conv2d_wgrad(g, INT, x, INT, kernel_size=(3, 2), accumulator=acc, **geometry)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    outs, ins = 6 // groups, 4 // groups
    for o, i, kh, kw in np.ndindex(*dw.shape):
        source = padded[:, o // outs * ins + i, kh : kh + 3 : 2, kw : kw + 5 : 2]
        assert dw[o, i, kh, kw] == saturated((g[:, o] * source).reshape(-1).tolist())


def test_linear_is_a_product_with_the_transposed_weight() -> None:
    x, w, g = image((2, 3, 5)), image((4, 5)), image((2, 3, 4), 1)
    rows_x, rows_g = x.reshape(6, 5), g.reshape(6, 4)
    y, _, _ = reference.linear(x, INT, w, INT, accumulator=NARROW)
    dx, _, _ = reference.linear_dgrad(g, INT, w, INT, accumulator=NARROW)
    dw, _, counts = reference.linear_wgrad(g, INT, x, INT, accumulator=NARROW)
    db, _, _ = reference.bias_grad(rows_g, INT, accumulator=NARROW)
    for row, n in np.ndindex(6, 4):
        assert y.reshape(6, 4)[row, n] == saturated((rows_x[row] * w[n]).tolist())
    for row, k in np.ndindex(6, 5):
        assert dx.reshape(6, 5)[row, k] == saturated((rows_g[row] * w[:, k]).tolist())
    for n, k in np.ndindex(4, 5):
        assert dw[n, k] == saturated((rows_g[:, n] * rows_x[:, k]).tolist())
    assert db.tolist() == [saturated(rows_g[:, n].tolist()) for n in range(4)]
    assert (counts.nnz_a, counts.nnz_b) == (np.count_nonzero(g), np.count_nonzero(x))


def test_a_bias_gradient_runs_over_samples_rows_and_columns() -> None:
    g = image((3, 2, 3, 4))
    acc = Accumulator("<4,0>", product="<1,0>")
    db, result, _ = reference.bias_grad(g, INT, accumulator=acc, out=Quantizer("<6,1>"))
    assert result == Format(6, 1)
    assert db.tolist() == [2 * saturated(g[:, c].reshape(-1).tolist()) for c in range(2)]


def test_batches_broadcast() -> None:
    a, b = image((2, 3, 4, 5)), image((3, 5, 2))
    raw, _, counts = reference.matmul(a, INT, b, INT)
    assert (raw == a @ b).all()
    assert counts.macs == 2 * 3 * 4 * 2 * 5
    assert (reference.matmul(a[0, 0], INT, b, INT)[0] == a[0, 0] @ b).all()


COARSE = Quantizer("<6,-2>", "stochastic")


def quantized(exact: npt.NDArray[np.int64], key: Key, offset: int, order: str = "c") -> npt.NDArray[np.int64]:
    """The output rounding alone: what a product with an exact accumulator must equal."""
    return reference.requantize(exact, Format(40, 0), COARSE, key, offset, order)[0]


def test_output_elements_draw_by_their_logical_index() -> None:
    key, drawing = Key(5, 6), {"out": COARSE, "key": Key(5, 6), "index_offset": 37}
    x, w, g = image((2, 4, 5, 4)), image((6, 2, 3, 2)), image((2, 6, 3, 3), 1)
    geometry = {"groups": 2}
    forward = reference.conv2d(x, INT, w, INT, **geometry)[0]
    dgrad = reference.conv2d_dgrad(g, INT, w, INT, input_size=x.shape, **geometry)[0]
    wgrad = reference.conv2d_wgrad(g, INT, x, INT, kernel_size=w.shape, **geometry)[0]
    drawn = (
        reference.conv2d(x, INT, w, INT, **geometry, **drawing)[0],
        reference.conv2d_dgrad(g, INT, w, INT, input_size=x.shape, **geometry, **drawing)[0],
        reference.conv2d_wgrad(g, INT, x, INT, kernel_size=w.shape, **geometry, **drawing)[0],
    )
    for exact, ours in zip((forward, dgrad, wgrad), drawn, strict=True):
        assert (ours == quantized(exact, key, 37, "channels_last")).all()
    a, b = image((2, 3, 5)), image((5, 4))
    assert (reference.matmul(a, INT, b, INT, **drawing)[0] == quantized(a @ b, key, 37)).all()
    bias = reference.bias_grad(g, INT, **drawing)[0]
    assert (bias == quantized(g.sum((0, 2, 3)), key, 37)).all()


def test_a_split_batch_gives_the_same_bits() -> None:
    x, w = image((4, 2, 4, 4)), image((3, 2, 3, 3))
    options = {"padding": 1, "accumulator": Accumulator("<5,-1>", "stochastic"), "key": Key(8)}
    whole, _, _ = reference.conv2d(x, INT, w, INT, **options)
    tail, _, _ = reference.conv2d(x[3:], INT, w, INT, index_offset=3 * 3 * 4 * 4, **options)
    assert (tail == whole[3:]).all()


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_empty_products(shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    raw, _, counts = reference.matmul(np.zeros((m, k), np.int64), INT, np.zeros((k, n), np.int64), INT)
    assert raw.shape == (m, n)
    assert (raw == 0).all()
    assert counts.macs == 0


def test_empty_batches() -> None:
    x, w, g = image((0, 2, 4, 4)), image((3, 2, 3, 3)), image((0, 3, 2, 2))
    assert reference.conv2d(x, INT, w, INT)[0].shape == (0, 3, 2, 2)
    assert reference.conv2d_dgrad(g, INT, w, INT, input_size=x.shape)[0].shape == (0, 2, 4, 4)
    assert (reference.conv2d_wgrad(g, INT, x, INT, kernel_size=w.shape)[0] == np.zeros((3, 2, 3, 3))).all()
    assert reference.bias_grad(g, INT)[0].tolist() == [0, 0, 0]
    assert reference.linear(np.zeros((0, 5), np.int64), INT, image((4, 5)), INT)[0].shape == (0, 4)


def test_first_overflows_are_numbered_channels_last() -> None:
    x, w = np.zeros((1, 1, 2, 2), np.int64), np.ones((3, 1, 1, 1), np.int64)
    x[0, 0, 1, 0] = 7
    with pytest.raises(OverflowError, match="conv2d: the output overflows at output index 6: 7 is outside <3,0>"):
        reference.conv2d(x, INT, w, INT, out="<3,0>,floor,error")
    with pytest.raises(OverflowError, match="at output index 106"):
        reference.conv2d(x, INT, w, INT, out="<3,0>,floor,error", index_offset=100)


def test_operands_are_checked() -> None:
    x = np.array([[9]])
    with pytest.raises(ValueError, match=r"linear: element \(0, 0\) is 9, outside <4,0>"):
        reference.linear(x, INT, x, Format(8, 0))
    with pytest.raises(ValueError, match="conv2d: operand b is <33,0>: operands have 1 to 32 bits"):
        reference.conv2d(np.zeros((1, 1, 1, 1)), INT, np.zeros((1, 1, 1, 1)), Format(33, 0))
    with pytest.raises(ValueError, match=r"matmul: a bias of shape \(2,\) and format None: \(1,\) and a Format"):
        reference.matmul(x, Format(8, 0), x, Format(8, 0), bias=np.zeros(2))
