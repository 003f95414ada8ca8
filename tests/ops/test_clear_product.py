"""A product whose result is cleared in the core, by every route that can make it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import fxsim as fx
from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.ops import executions
from fxsim.ops._execution import execute
from fxsim.ops._geometry import View, matrix
from fxsim.ops._masks import packed
from fxsim.ops._plan import gemm_plan
from fxsim.ops._publish import Site
from fxsim.ops._settled import Place, Result, Strided, settle
from fxsim.ops.records import Pass

FORMAT = Format(8, 4)
ACCUMULATORS = {
    "exact": Accumulator(),
    "saturating": Accumulator(Format(14, 8)),
    "rounding": Accumulator(Format(14, 6), "zero"),
    "wide": Accumulator(Format(40, 8), "nearest_even", "wrap", lanes=4),
}


def product(m: int, n: int, k: int, accumulator: Accumulator, clear: torch.Tensor | None, dtype: Any) -> torch.Tensor:
    """Random words of one seed, multiplied into floats."""
    generator = torch.Generator().manual_seed(m * n * k)
    a, b = (torch.randint(-128, 128, (rows, k), generator=generator, dtype=torch.int8) for rows in (m, n))
    plan = gemm_plan("product", accumulator, FORMAT, FORMAT, k)
    place = Place(m, n, m, n)

    def views(_: int, a: torch.Tensor, b: torch.Tensor) -> tuple[View, View]:
        return matrix(a, FORMAT), matrix(b, FORMAT)

    settled = settle(views, Strided.of(a), Strided.of(b), place, Result((m, n), dtype), plan)
    return execute(settled, a, b, None, Site("", Pass.FWD, "product"), clear=clear)


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("name", ACCUMULATORS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (37, 5, 17), (5, 70, 16), (400, 48, 40), (3, 33, 300)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_result_is_0_where_it_is_to_be_cleared_and_else_as_without(
    isa: str, name: str, shape: tuple[int, int, int], dtype: torch.dtype
) -> None:
    m, n, _ = shape
    mask = torch.rand((m, n), generator=torch.Generator().manual_seed(m)) < 0.3
    fx.isa.force(isa)
    plain = product(*shape, ACCUMULATORS[name], None, dtype)
    cleared = product(*shape, ACCUMULATORS[name], packed(mask, channels_last=False), dtype)
    assert torch.equal(cleared, torch.where(mask, 0.0, plain))
    assert not torch.equal(cleared, plain) or not mask.any() or not plain[mask].any()


def layer(stride: int, size: int, batch: int = 3) -> tuple[torch.nn.Module, torch.Tensor]:
    """A layer with integer gradients, and an input that leaves the range here and there."""
    numerics = fx.Numerics(FORMAT, FORMAT, grad_output=Format(8, 6))
    torch.manual_seed(stride * size)
    module = fx.nn.Conv2d(8, 16, 3, stride, 1, bias=False, numerics=numerics)
    return module, (torch.randn(batch, 8, size, size) * 5).requires_grad_()


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 7, 16, 70])
def test_a_layers_gradient_is_0_exactly_where_its_input_left_the_range(isa: str, stride: int, size: int) -> None:
    fx.isa.force(isa)
    check_gradient(*layer(stride, size))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("threads", [1, 2])
def test_so_it_is_of_images_that_are_worked_on_in_bands(stride: int, threads: int) -> None:
    torch.set_num_threads(threads)
    check_gradient(*layer(stride, 331, batch=2))


def check_gradient(module: torch.nn.Module, x: torch.Tensor) -> None:
    y = module(x)
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    (found,) = torch.autograd.grad(y, x, g)
    module.numerics = fx.Numerics(FORMAT, FORMAT, grad_output=Format(8, 6), ste="pass")
    (whole,) = torch.autograd.grad(module(x), x, g)
    outside = (x < FORMAT.min - FORMAT.step / 2) | (x >= FORMAT.max + FORMAT.step / 2)
    assert torch.equal(found, torch.where(outside, 0.0, whole))
    assert outside.any() or x.numel() < 100


def test_who_wants_products_gets_them_as_they_were_before_they_were_cleared() -> None:
    module, x = layer(1, 7)
    seen: list[tuple[str, torch.Tensor]] = []

    def note(execution: executions.Execution) -> None:
        seen.extend((execution.site.what, each.out.clone()) for each in execution.products)

    y = module(x)
    with executions.listen(note):
        (found,) = torch.autograd.grad(y, x, torch.ones_like(y))
    (product_,) = [out for what, out in seen if what == "grad_input"]
    cleared = found.permute(0, 2, 3, 1).reshape(product_.shape)
    assert torch.equal(torch.where(cleared == 0, 0.0, product_), cleared)
    assert not torch.equal(product_, cleared)
