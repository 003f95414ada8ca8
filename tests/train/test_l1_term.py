"""The L1 term has the bits of the plain formula, and its gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from fxsim.train.l1_term import l1_term

L1 = 3e-4
FACTOR = 0.7
"""What stands between the term and the loss."""


def carriers() -> list[Tensor]:
    """Floats of several layouts, some 0; the last but one needs no gradient."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(6, 5, 3, 3, generator=generator).contiguous(memory_format=torch.channels_last)
    vector = torch.randn(7, generator=generator)
    vector[2:4] = torch.tensor([0.0, -0.0])
    fixed = torch.randn(4, 2, generator=generator)
    last = torch.randn(3, generator=generator)
    return [image.requires_grad_(), vector.requires_grad_(), fixed, last.requires_grad_()]


def plainly(values: list[Tensor]) -> Tensor:
    """The term by torch's own operations."""
    total = torch.zeros(())
    for value in values:
        total = total + L1 * value.abs().sum()
    return total


def bits(x: Tensor) -> list[int]:
    found: list[int] = x.detach().contiguous().flatten().view(torch.int32).tolist()
    return found


def test_value_and_gradients_have_the_bits_of_the_plain_formula() -> None:
    ours, theirs = carriers(), carriers()
    value, expected = l1_term(ours, L1), plainly(theirs)
    assert bits(value) == bits(expected)
    (FACTOR * value).backward()
    (FACTOR * expected).backward()
    for one, other in zip(ours, theirs, strict=True):
        if one.grad is None or other.grad is None:
            assert one.grad is other.grad is None
            continue
        assert bits(one.grad) == bits(other.grad)
        assert one.grad.stride() == other.grad.stride()
    assert ours[2].grad is None


def test_carriers_of_several_dtypes_get_gradients_of_their_own() -> None:
    single, double = torch.tensor([0.5, -2.0], requires_grad=True), torch.tensor([-0.25]).double().requires_grad_()
    value = l1_term([single, double], 0.1)
    assert value.dtype == torch.float64
    value.backward()
    assert single.grad is not None
    assert double.grad is not None
    assert torch.equal(single.grad, torch.tensor([0.1, -0.1]))
    assert torch.equal(double.grad, torch.tensor([-0.1], dtype=torch.float64))


def test_a_gradient_of_the_gradient_reaches_what_the_term_is_multiplied_with() -> None:
    x, factor = torch.tensor([0.5, -2.0, 0.0], requires_grad=True), torch.tensor(2.0, requires_grad=True)
    (grad,) = torch.autograd.grad(factor * l1_term([x], 0.25), x, create_graph=True)
    assert grad.tolist() == [0.5, -0.5, 0.0]
    (second,) = torch.autograd.grad(grad.square().sum(), factor)
    assert float(second) == 2.0 * 2.0 * 2 * 0.25**2


def test_without_a_weight_or_a_gradient_there_is_no_graph() -> None:
    assert l1_term(carriers(), 0.0).grad_fn is None
    assert float(l1_term(carriers(), 0.0)) == 0.0
    fixed = [torch.tensor([-1.0, 2.0])]
    assert l1_term(fixed, 0.5).grad_fn is None
    assert float(l1_term(fixed, 0.5)) == 1.5
    with torch.no_grad():
        assert l1_term(carriers(), L1).grad_fn is None
