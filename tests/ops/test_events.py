"""What single ops report and refuse beyond what the reference knows: carriers, first overflows, updates."""

from __future__ import annotations

import pytest
import torch

import fxsim as fx
from fxsim import ops
from fxsim.ops import records
from fxsim.ops.records import OpRecord, Pass


def heard_of(call: object) -> list[OpRecord]:
    heard: list[OpRecord] = []
    with records.listen(heard.append):
        call()  # type: ignore[operator]
    return heard


def test_inexact_carriers_are_counted_where_a_layer_hands_on_its_accumulator() -> None:
    module = fx.nn.Linear(2, 1, bias=False, numerics=fx.Numerics("<24,0>", "<24,0>"))
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[2.0**22 + 1, 1.0]]))
    x = torch.tensor([[4.0, 1.0], [4.0, 0.0]])
    results: list[torch.Tensor] = []
    (record,) = [each for each in heard_of(lambda: results.append(module(x))) if each.pass_ is Pass.FWD]
    assert results[0].tolist() == [[2.0**24 + 4], [2.0**24 + 4]]  # 2**24 + 5 is no float32, 2**24 + 4 is
    assert record.inexact_carriers == 1
    assert record.output == "<49,0>"


def test_quantizing_to_a_wide_carrier_rounds_only_if_told() -> None:
    place = (0, 0, 0, "c", "pass")
    x = torch.tensor([1.0, 2.0**-30]).double()
    narrow = x.float()
    with pytest.raises(TypeError, match="here: quantize: float32 does not carry the output format <40,30> exactly"):
        torch.ops.fxsim.quantize(narrow, "<40,30>", *place, "exact", "here")
    assert torch.equal(torch.ops.fxsim.quantize(narrow, "<40,30>", *place, "round", "here")[0], narrow)
    assert torch.equal(torch.ops.fxsim.quantize(x, "<40,30>", *place, "exact", "here")[0], x)
    with pytest.raises(TypeError, match="quantize: x is float16: accepted are float32 and float64; convert it"):
        torch.ops.fxsim.quantize(narrow.half(), "<4,2>", *place, "exact", "")


def test_the_first_overflow_of_all_groups_is_named() -> None:
    x = fx.FixedTensor(torch.zeros(1, 2, 1, 3, dtype=torch.int64), "<8,0>")
    x.raw[0, 0, 0, 2] = x.raw[0, 1, 0, 1] = 100  # group 0 overflows at pixel 2, group 1 already at pixel 1
    w = fx.FixedTensor(torch.full((2, 1, 1, 1), 2), "<8,0>")
    with pytest.raises(OverflowError, match=r"conv2d: the output overflows at output index 3: 200 is outside <8,0>"):
        fx.conv2d(x, w, groups=2, out="<8,0>,nearest_even,error")


def test_the_first_overflow_of_a_batch_of_products_is_named() -> None:
    a = fx.FixedTensor(torch.tensor([[[1]], [[100]], [[100]]]), "<8,0>")
    b = fx.FixedTensor(torch.tensor([[[1]], [[1]], [[2]]]), "<8,0>")
    with pytest.raises(OverflowError, match="matmul: the output overflows at output index 2"):
        fx.matmul(a, b, out="<8,0>,nearest_even,error")


def test_leading_dimensions_broadcast() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randint(-8, 8, (2, 1, 3, 4), generator=generator)
    b = torch.randint(-8, 8, (5, 4, 2), generator=generator)
    product = fx.matmul(fx.FixedTensor(a, "<4,0>"), fx.FixedTensor(b, "<4,1>"))
    assert product.format == fx.Format(10, 1)
    assert torch.equal(product.raw.long(), a @ b)
    records_of = heard_of(lambda: fx.matmul(fx.FixedTensor(a, "<4,0>"), fx.FixedTensor(b, "<4,1>")))
    assert [(r.m, r.n, r.k, r.groups, r.macs, r.layer) for r in records_of] == [(3, 2, 4, 10, 240, "")]


def test_quantizations_are_recorded() -> None:
    x = torch.tensor([[0.3, 9.0, -0.01]])
    (record,) = heard_of(lambda: fx.quantize(x.double(), "<4,2>", "stochastic", key=fx.Key(0)))
    assert (record.pass_, record.op, record.m, record.n, record.k, record.batch) == (
        Pass.QUANTIZE,
        "quantize",
        3,
        1,
        0,
        1,
    )
    assert (record.a, record.b, record.output) == ("fp64", "", "<4,2>,stochastic(16,truncate)")
    assert (record.output_overflows, record.inexact, record.random_draws) == (1, 2, 3)
    assert (record.elements_read, record.elements_written) == (3, 3)
    (record,) = heard_of(lambda: fx.requantize(fx.quantize(x, "<8,4>"), "<4,2>"))[1:]
    assert (record.op, record.a, record.output) == ("requantize", "<8,4>", "<4,2>")


def test_updates_are_recorded_for_whoever_trains() -> None:
    (record,) = heard_of(lambda: ops.publish_update("fc", 12, 5, output="<16,12>"))
    assert (record.layer, record.pass_, record.op, record.m, record.output) == (
        "fc",
        Pass.UPDATE,
        "update",
        12,
        "<16,12>",
    )
    assert (record.elements_read, record.elements_written, record.random_draws) == (24, 12, 5)
    ops.publish_update("fc", 12)


def test_a_bias_gradient_of_images_sums_over_pixels() -> None:
    g = fx.FixedTensor(torch.arange(24).view(2, 3, 2, 2), "<8,2>")
    assert ops.bias_grad(g, channels_last=False).raw.tolist() == g.raw.long().sum((0, 2, 3)).tolist()
    assert ops.bias_grad(g).raw.tolist() == g.raw.long().sum((0, 1, 2)).tolist()
    with pytest.raises(ValueError, match=r"bias_grad: g has shape \(2, 3\): accepted are"):
        ops.bias_grad(g[:, :, 0, 0], channels_last=False)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda g, w, x: ops.conv2d_dgrad(g, w, (5, 5)),
            r"conv2d_dgrad: g has shape \(1, 2, 2, 2\): these settings make",
        ),
        (lambda g, w, x: ops.conv2d_wgrad(g, x, 2), r"conv2d_wgrad: g has shape .* output of shape \(1, 2, 3, 3\)"),
        (lambda g, w, x: ops.conv2d_dgrad(g[0], w, (4, 4)), r"conv2d_dgrad: g has shape \(2, 2, 2\) and w"),
        (lambda g, w, x: ops.conv2d_wgrad(g, x[0], 3), r"conv2d_wgrad: g has shape .* and x \(3, 4, 4\)"),
        (lambda g, w, x: ops.linear_dgrad(g, w[0, 0]), "linear_dgrad: g has shape"),
        (lambda g, w, x: ops.linear_wgrad(g, x), "linear_wgrad: g has shape"),
    ],
)
def test_gradients_of_the_wrong_shape(call: object, text: str) -> None:
    shapes = ((1, 2, 2, 2), (2, 3, 3, 3), (1, 3, 4, 4))
    g, w, x = (fx.FixedTensor(torch.ones(shape, dtype=torch.int64), "<8,0>") for shape in shapes)
    with pytest.raises(ValueError, match=text):
        call(g, w, x)  # type: ignore[operator]
