"""Forwards are numbered, and activation checkpointing repeats a forward with its own number."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import fxsim as fx

CHANCE = fx.Numerics("<6,4>", "<6,4>,stochastic", "<8,4>,stochastic", grad_output="<8,6>,stochastic")


def layers() -> nn.Module:
    torch.manual_seed(0)
    return fx.convert(nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6)), CHANCE)


def batches() -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(4, 6, generator=generator).requires_grad_() for _ in range(3)]


def plain(module: nn.Module, x: Tensor) -> Tensor:
    return module(x)  # type: ignore[no-any-return]


def recomputed(module: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(module, x, use_reentrant=False)  # type: ignore[no-any-return]


def recomputed_reentrant(module: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(module, x, use_reentrant=True)  # type: ignore[no-any-return]


def nested(module: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(lambda z: checkpoint(module, z, use_reentrant=False) * 2, x, use_reentrant=False)  # type: ignore[no-any-return]


def doubled(module: nn.Module, x: Tensor) -> Tensor:
    return module(x) * 2  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("run", "reference"),
    [(recomputed, plain), (recomputed_reentrant, plain), (nested, doubled)],
    ids=["non-reentrant", "reentrant", "nested"],
)
@pytest.mark.parametrize("together", [False, True], ids=["one by one", "forwards first"])
def test_checkpointing_changes_no_bit(run: object, reference: object, together: bool) -> None:
    results = []
    for call in (reference, run):
        module, inputs = layers(), batches()
        if together:
            sum(call(module, x).square().sum() for x in inputs).backward()  # type: ignore[operator]
        else:
            for x in inputs:
                call(module, x).square().sum().backward()  # type: ignore[operator]
        gradients = [*(x.grad for x in inputs), *(parameter.grad for parameter in module.parameters())]
        results.append(([gradient.tolist() for gradient in gradients], [int(m.calls) for _, m in fx.nn.layers(module)]))
    assert results[0] == results[1]
    assert results[0][1] == [3, 3]


def test_each_training_forward_draws_anew_and_evaluation_repeats_itself() -> None:
    module, x = layers(), torch.randn(50, 6)
    assert not torch.equal(module(x), module(x))
    module.eval()
    assert torch.equal(module(x), module(x))


def test_layers_of_one_model_draw_from_different_streams() -> None:
    numerics = fx.Numerics("<8,6>", "<2,0>,stochastic")
    one, other = (fx.nn.Linear(50, 50, bias=False, numerics=numerics, layer_id=layer_id) for layer_id in (0, 1))
    other.load_state_dict(one.state_dict())
    assert other.layer_id == 0
    other.layer_id = 1
    x = torch.full((1, 50), 0.5)
    assert not torch.equal(one(x), other(x))


def test_a_forward_without_gradients_may_see_nothing_at_all() -> None:
    module = layers()
    with torch.no_grad():
        assert module(torch.empty(0, 6)).shape == (0, 6)
    assert [int(layer.calls) for _, layer in fx.nn.layers(module)] == [1, 1]


def test_a_new_forward_inside_a_backward_pass_is_a_new_forward() -> None:
    module, other = layers(), layers()

    def hook(grad: Tensor) -> Tensor:
        other(torch.ones(1, 6))
        return grad

    y = module(batches()[0])
    y.register_hook(hook)
    y.sum().backward()
    assert [int(layer.calls) for _, layer in fx.nn.layers(other)] == [1, 1]
