"""Executed products as matrices: what a layer did is the plain product of the matrices that are handed out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

import fxsim as fx
from fxsim.ops import executions
from fxsim.ops.gemms import Gemm, gemms, run

GEOMETRIES = {
    "plain": {},
    "padded": {"padding": 1},
    "strided": {"stride": 2, "padding": (1, 0)},
    "dilated": {"dilation": 2, "padding": 2},
    "grouped": {"groups": 2, "padding": 1, "stride": (1, 2)},
}


def executed(block) -> list[Gemm]:
    """Everything executed while the block runs; made into matrices at once, as tensors may be reused afterwards."""
    found: list[Gemm] = []
    with executions.listen(lambda each: found.extend(gemms(each))):
        block()
    return found


def trained(geometry: dict) -> tuple[fx.nn.Conv2d, torch.Tensor, torch.Tensor, list[Gemm]]:
    torch.manual_seed(1)
    numerics = fx.Numerics("<8,6>", "<8,4>", grad_output="<9,7>")
    layer = fx.nn.Conv2d(4, 6, 3, **geometry, numerics=numerics)
    x = (torch.randn(2, 4, 7, 6) * 2).requires_grad_()
    results: list[torch.Tensor] = []

    def step() -> None:
        results.append(layer(x))
        results[0].backward(torch.randn(results[0].shape, generator=torch.Generator().manual_seed(2)))

    found = executed(step)
    return layer, x, results[0], found


def products(found: list[Gemm], pass_: str) -> list[torch.Tensor]:
    """The plain integer products of the matrices."""
    return [each.a.raw.long() @ each.b.raw.long() for each in found if each.pass_ == pass_]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_convolution_is_the_product_of_its_matrices(name: str) -> None:
    layer, _, y, found = trained(GEOMETRIES[name])
    forward = [each for each in found if each.pass_ == "fwd"]
    assert [each.group for each in forward] == list(range(layer.groups))
    bias = layer.int_bias().raw.long()
    rows = torch.cat(products(found, "fwd"), dim=1)
    exact = rows.double() * 2.0**-10 + bias.double() * 2.0**-6
    assert torch.equal(exact.float(), y.detach().permute(0, 2, 3, 1).reshape(exact.shape))
    for each in forward:
        assert torch.equal(each.bias.raw, bias[each.group * 6 // layer.groups :][: 6 // layer.groups])
        assert each.a_image.matrix() == each.a
        assert each.b_image is None
        assert run(each).counts.macs == each.a.shape[0] * each.a.shape[1] * each.b.shape[1]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_gradients_are_the_products_of_their_matrices(name: str) -> None:
    layer, x, _, found = trained(GEOMETRIES[name])
    dgrad = torch.cat(products(found, "dgrad"), dim=1).double() * 2.0**-13
    inside = fx.quantize(x.detach(), "<8,4>").to_float() == (x.detach() * 16).round() / 16  # ste "clipped"
    expected = dgrad.float().view(2, 7, 6, 4).permute(0, 3, 1, 2) * inside
    assert torch.equal(expected, x.grad)
    for each in found:
        image, operand = (each.b_image, each.b.permute(1, 0)) if each.pass_ == "wgrad" else (each.a_image, each.a)
        assert image.matrix() == operand
        assert (each.a_image is None) == (each.pass_ == "wgrad")
    wgrad = torch.cat(products(found, "wgrad")).double() * 2.0**-11
    assert torch.equal(wgrad.float().view(6, 3, 3, -1).permute(0, 3, 1, 2), layer.weight.grad)


@pytest.mark.parametrize("k_order", ["kh_kw_cin", "cin_kh_kw"])
def test_the_matrix_of_an_image_is_its_unfolding(k_order: str) -> None:
    x = fx.quantize(torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0)), "<8,5>")
    w = fx.quantize(torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(1)), "<8,5>")
    [found] = executed(lambda: fx.conv2d(x, w, padding=1, accumulator=fx.Accumulator(k_order=k_order)))
    columns = F.unfold(x.raw.float(), 3, padding=1).transpose(1, 2).reshape(-1, 27)  # (c, kh, kw)
    kernels = w.raw.float().flatten(1)
    if k_order == "kh_kw_cin":
        columns, kernels = (each.view(-1, 3, 9).transpose(1, 2).reshape(-1, 27) for each in (columns, kernels))
    assert found.a_image.matrix() == found.a
    assert found.a_image.words == x.permute(0, 2, 3, 1)
    assert torch.equal(found.a.raw, columns.to(torch.int8))
    assert torch.equal(found.b.raw, kernels.t().to(torch.int8))


def test_every_matrix_of_a_batch_is_a_product() -> None:
    a = fx.FixedTensor(torch.arange(12).view(2, 3, 2), "<8,0>")
    b = fx.FixedTensor(torch.arange(8).view(2, 2, 2), "<8,0>")
    found = executed(lambda: fx.matmul(a, b))
    assert [(each.group, each.groups, each.index_base, each.index_row_stride) for each in found] == [
        (0, 2, 0, 2),
        (1, 2, 6, 2),
    ]
    assert torch.equal(torch.stack([run(each).output.raw for each in found]), fx.matmul(a, b).raw)


@pytest.mark.parametrize("place", ["after", "preload"])
@pytest.mark.parametrize("out", [None, "<6,2>,floor,wrap"])
def test_the_accumulator_is_told_from_the_output(place: str, out: str | None) -> None:
    a = fx.FixedTensor(torch.tensor([[3, -5, 7], [100, 100, 100]]), "<8,4>")
    b = fx.FixedTensor(torch.tensor([[2, -2], [9, -9], [100, -100]]), "<8,4>")
    bias = fx.FixedTensor(torch.tensor([5, -6]), "<8,3>")
    accumulator = fx.Accumulator(12, bias=place)
    [found] = executed(lambda: fx.matmul(a, b, bias=bias, accumulator=accumulator, out=out))
    outcome = run(found)
    given = bias if place == "preload" else None
    assert outcome.accumulated == fx.matmul(a, b, bias=given, accumulator=accumulator)
    assert outcome.output == fx.matmul(a, b, bias=bias, accumulator=accumulator, out=out)
    assert outcome.counts.step_overflows == 2


def test_running_a_gemm_again_is_no_news() -> None:
    a = fx.FixedTensor(torch.eye(2, dtype=torch.int8), "<8,0>")
    [found] = executed(lambda: fx.matmul(a, a))
    with fx.count() as counts:
        assert executed(lambda: run(found)) == []
    assert counts.records == ()


def test_nobody_listens_after_the_block() -> None:
    found = executed(lambda: None)
    a = fx.FixedTensor(torch.eye(2, dtype=torch.int8), "<8,0>")
    fx.matmul(a, a)
    assert found == []
    assert not executions.listening()
