"""A converted model under torch.compile and torch.export: the same bits, the same gradients, the same counts."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import fxsim as fx

CHANCE = fx.Numerics(
    "<6,4>,stochastic",
    "<8,4>,stochastic",
    "<10,4>,stochastic",
    grad_output="<8,6>,stochastic",
    grad_weight="<12,8>,stochastic",
    grad_input="<10,6>,stochastic",
)
FLOAT = fx.Numerics("<6,4>", "<8,4>", "<10,4>")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's compiler about itself
        yield
    torch._dynamo.reset()


def model(numerics: fx.Numerics) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3)
    )
    return fx.convert(layers, numerics, wrap=[nn.BatchNorm2d], seed=5)


def batch() -> Tensor:
    return torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(1))


def train(module: nn.Module, call: nn.Module, steps: int = 3) -> list[list[float]]:
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        call(batch()).square().sum().backward()
        optimizer.step()
    return [parameter.flatten().tolist() for parameter in module.parameters()]


@pytest.mark.parametrize("numerics", [CHANCE, FLOAT], ids=["integer, chance", "float"])
def test_compiled_training_gives_the_bits_of_eager_training(numerics: fx.Numerics) -> None:
    eager, compiled = model(numerics), model(numerics)
    expected = train(eager, eager)
    assert train(compiled, torch.compile(compiled, backend="aot_eager", fullgraph=True)) == expected
    assert [(layer.calls.item(), getattr(layer, "step", None)) for _, layer in fx.nn.layers(compiled)] == [
        (layer.calls.item(), getattr(layer, "step", None)) for _, layer in fx.nn.layers(eager)
    ]


def test_compiled_evaluation_gives_the_bits_of_eager_evaluation() -> None:
    module = model(CHANCE).eval()
    assert torch.equal(torch.compile(module, backend="aot_eager", fullgraph=True)(batch()), module(batch()))


def test_a_compiled_model_sees_the_shard() -> None:
    module = model(CHANCE).eval()
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    for first in (0, 3, 7):
        with fx.shard(first):
            assert torch.equal(compiled(batch()), module(batch()))


def test_gradients_pass_through_an_exported_model() -> None:
    module = model(CHANCE)
    twin = copy.deepcopy(module)
    exported = torch.export.export(module, (batch(),)).module()
    x, y = batch().requires_grad_(), batch().requires_grad_()
    exported(x).sum().backward()
    twin(y).sum().backward()
    assert torch.equal(x.grad, y.grad)
    assert x.grad.any()
    expected = {name: parameter.grad for name, parameter in twin.named_parameters()}
    for name, parameter in exported.named_parameters():
        assert torch.equal(parameter.grad, expected[name]), name


def test_an_exported_program_survives_saving(tmp_path: object) -> None:
    module = model(FLOAT).eval()
    program = torch.export.export(module, (batch(),))
    path = f"{tmp_path}/model.pt2"
    torch.export.save(program, path)
    assert torch.equal(torch.export.load(path).module()(batch()), module(batch()))


def test_an_exported_program_with_its_step_assigned_keeps_it(tmp_path: object) -> None:
    module = model(CHANCE)
    train(module, module)
    module.eval()
    for _, layer in fx.nn.layers(module):
        if isinstance(layer, fx.nn.Weighted):
            layer.step = layer.step
            assert layer.step == 3
    expected, path = module(batch()), f"{tmp_path}/model.pt2"
    torch.export.save(torch.export.export(module, (batch(),)), path)
    assert torch.equal(torch.export.load(path).module()(batch()), expected)


def test_a_dynamic_batch() -> None:
    module = model(FLOAT).eval()
    samples = torch.export.Dim("samples", min=2, max=64)
    program = torch.export.export(module, (batch(),), dynamic_shapes=({0: samples},)).module()
    wide = torch.randn(5, 2, 4, 4)
    assert torch.equal(program(wide), module(wide))
