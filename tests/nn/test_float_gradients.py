"""Without a grad_output quantizer, gradients are torch's own on the quantized operands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import fxsim as fx
from fxsim.ops import records
from fxsim.ops.records import OpRecord, Pass

NUMERICS = fx.Numerics("<6,3>", "<6,3>", "<12,5>", bias="<5,2>", ste="pass")
SETTINGS = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}


def floats(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64) * 3
    return values.to(dtype)


def linear(numerics: fx.Numerics, dtype: torch.dtype = torch.float32) -> fx.nn.Linear:
    torch.manual_seed(0)
    return fx.nn.Linear(6, 4, dtype=dtype, numerics=numerics)


def conv2d(numerics: fx.Numerics, dtype: torch.dtype = torch.float32) -> fx.nn.Conv2d:
    torch.manual_seed(0)
    return fx.nn.Conv2d(4, 6, 3, **SETTINGS, dtype=dtype, numerics=numerics)  # type: ignore[arg-type]


def carriers(x: Tensor, quantizer: fx.Quantizer) -> Tensor:
    order = "channels_last" if x.dim() == 4 else "c"
    return fx.quantize(x.detach(), quantizer, index_order=order).to_float(x.dtype).requires_grad_()


def torch_gradients(module: Any, x: Tensor, grad: Tensor) -> list[Tensor]:
    """Gradients of the float layer at the quantized operands."""
    numerics = module.numerics
    operands = [
        carriers(x, numerics.activation),
        carriers(module.weight, numerics.weight),
        carriers(module.bias, numerics.bias_quantizer),
    ]
    y = F.linear(*operands) if isinstance(module, fx.nn.Linear) else F.conv2d(*operands, **SETTINGS)
    return list(torch.autograd.grad(y, operands, grad))


CASES = pytest.mark.parametrize(
    ("make", "shape"), [(linear, (5, 6)), (linear, (2, 3, 6)), (conv2d, (2, 4, 7, 6))], ids=["linear", "3-D", "conv2d"]
)


@CASES
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_gradients_are_torch_s_on_carriers(make: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    module, x = make(NUMERICS, dtype), floats(*shape, dtype=dtype).requires_grad_()
    y = module(x)
    assert y.dtype == dtype
    grad = torch.randint(-8, 8, y.shape).to(dtype) / 16  # every partial sum is exact, so that no order matters
    y.backward(grad)
    for got, expected in zip(
        (x.grad, module.weight.grad, module.bias.grad), torch_gradients(module, x, grad), strict=True
    ):
        assert got is not None
        assert got.dtype == dtype
        assert torch.equal(got, expected)


@CASES
def test_the_straight_through_estimator_drops_what_was_clipped(make: Any, shape: tuple[int, ...]) -> None:
    module, x = make(replace(NUMERICS, ste="clipped")), floats(*shape).requires_grad_()
    with torch.no_grad():
        module.weight[0].fill_(5.0)
        module.bias[0].fill_(-9.0)
    y = module(x)
    grad = torch.randint(1, 8, y.shape).float()
    y.backward(grad)
    numerics = module.numerics
    triples = zip((x, module.weight, module.bias), torch_gradients(module, x, grad), strict=True)
    for (tensor, expected), form in zip(triples, (numerics.activation, numerics.weight, numerics.bias), strict=True):
        scaled = torch.round(tensor.detach() / form.format.step)
        outside = (scaled < form.format.raw_min) | (scaled > form.format.raw_max)
        assert outside.any()
        assert torch.equal(tensor.grad, expected.masked_fill(outside, 0))


@CASES
def test_gradient_quantizers_round_the_float_gradients(make: Any, shape: tuple[int, ...]) -> None:
    module = make(replace(NUMERICS, grad_input="<8,3>", grad_weight="<8,2>"))
    x = floats(*shape).requires_grad_()
    y = module(x)
    grad = torch.randint(-8, 8, y.shape) / 16
    y.backward(grad)
    grad_x, grad_weight, grad_bias = torch_gradients(module, x, grad)
    assert torch.equal(x.grad, carriers(grad_x, fx.Quantizer("<8,3>")))
    assert torch.equal(module.weight.grad, carriers(grad_weight, fx.Quantizer("<8,2>")))
    assert torch.equal(module.bias.grad, carriers(grad_bias, fx.Quantizer("<8,2>")))


@CASES
def test_a_batch_of_nothing(make: Any, shape: tuple[int, ...]) -> None:
    for numerics in (NUMERICS, replace(NUMERICS, grad_output="<8,4>")):
        module, x = make(numerics), torch.empty((0, *shape[1:])).requires_grad_()
        y = module(x)
        y.sum().backward()
        assert y.shape[0] == 0
        assert x.grad.shape == x.shape
        assert not module.weight.grad.any()
        assert not module.bias.grad.any()


def test_only_what_is_needed_is_computed() -> None:
    heard: list[OpRecord] = []
    for numerics in (NUMERICS, replace(NUMERICS, grad_output="<8,4>")):
        module = linear(numerics)
        with records.listen(heard.append):
            module(floats(5, 6)).sum().backward()
    assert [record.pass_ for record in heard].count(Pass.DGRAD) == 0
    assert [record.op for record in heard if record.pass_ is Pass.WGRAD] == ["linear", "bias_grad"] * 2


@CASES
def test_float_products_are_recorded_as_fp32(make: Any, shape: tuple[int, ...]) -> None:
    integer, heard = [], []
    for numerics, target in ((NUMERICS, heard), (replace(NUMERICS, grad_output="<8,4>"), integer)):
        module, x = make(numerics), floats(*shape).requires_grad_()
        module.name = "here"
        with records.listen(target.append):
            module(x).sum().backward()
    floats_, exact = (
        [record for record in target if record.pass_ in (Pass.DGRAD, Pass.WGRAD)] for target in (heard, integer)
    )
    assert [record.pass_ for record in floats_] == [Pass.DGRAD, Pass.WGRAD, Pass.WGRAD]
    for record, twin in zip(floats_, exact, strict=True):
        same = ("layer", "pass_", "op", "m", "n", "k", "batch", "groups", "macs", "pad_macs", "elements_read")
        assert [getattr(record, name) for name in same] == [getattr(twin, name) for name in same]
        assert (record.a, record.nz_macs) == ("fp32", record.macs - record.pad_macs)
        assert record.elements_written == twin.elements_written


def test_a_gradient_that_is_not_a_number_names_the_layer() -> None:
    module = linear(replace(NUMERICS, grad_output="<8,4>"))
    module.name = "body.fc"
    y = module(floats(5, 6))
    with pytest.raises(ValueError, match=r"^body\.fc: quantize grad_output: element \(0, 0\) is NaN"):
        y.backward(torch.full_like(y, torch.nan))


def test_the_straight_through_estimator_has_a_derivative() -> None:
    """Of a gradient penalty, for example: the second derivative passes where the first does."""
    x = torch.tensor([0.5, 9.0, -0.25], requires_grad=True)
    y = torch.ops.fxsim.quantize(x, "<8,4>", 0, 0, 0, "c", "clipped", "exact", "")[0]
    (first,) = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert first.tolist() == [1.0, 0.0, -0.5]
    assert second.tolist() == [2.0, 0.0, 2.0]
