"""Update rules around the optimizer's step."""

import pytest
import torch
from torch import nn

import fxsim as fx
from fxsim.formats import Format
from fxsim.policies import SQ, BinaryNet, Policy, Wage
from fxsim.rng import Key, Role, stream
from fxsim.rounding import Stochastic
from fxsim.train.attach import Run, attach
from fxsim.train.convert_for import convert_for
from fxsim.train.learner import loss_of

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
Y = torch.randint(0, 3, (8,), generator=torch.Generator().manual_seed(2))


def attached(policy: Policy, *, rate: float, momentum: float = 0.0) -> tuple[Run, torch.optim.SGD]:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    model = convert_for(policy, plain, seed=9)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    return attach(policy, model, optimizer), optimizer


def backward(run: Run) -> None:
    loss = nn.functional.cross_entropy(run.model(X), Y)
    loss.backward()
    run.step(loss)


def on_grid(x: torch.Tensor, form: Format) -> bool:
    raw = x.detach().double() / form.step
    return torch.equal(raw, raw.round()) and form.raw_min <= float(raw.min()) <= float(raw.max()) <= form.raw_max


def test_under_sq_parameters_are_on_the_grid_from_the_start_and_after_every_step() -> None:
    run, optimizer = attached(SQ(), rate=0.1, momentum=0.9)
    grid = Format(16, 14)
    assert all(on_grid(parameter, grid) for parameter in run.model.parameters())
    for _ in range(3):
        backward(run)
        optimizer.step()
        optimizer.zero_grad()
        assert all(on_grid(parameter, grid) for parameter in run.model.parameters())


def test_under_sq_the_optimizers_result_is_rounded_in_the_stream_of_updates() -> None:
    run, optimizer = attached(SQ(), rate=0.1)
    backward(run)
    weight = run.model[0].weight
    made = weight.detach() - 0.1 * weight.grad
    optimizer.step()
    key = Key(9, stream(0, Role.UPDATE, 1))
    assert torch.equal(weight, fx.quantize(made, "<16,14>", Stochastic(), key=key).to_float())


def test_under_binarynet_weights_are_clipped_after_the_step() -> None:
    run, optimizer = attached(BinaryNet(), rate=50.0)
    backward(run)
    optimizer.step()
    weights = [layer.weight.detach() for _, layer in fx.nn.layers(run.model)]
    assert max(float(weight.abs().max()) for weight in weights) == 1.0


def test_under_wage_the_optimizer_finds_nothing_to_do_and_its_rate_is_obeyed() -> None:
    run, optimizer = attached(Wage(), rate=8.0)
    weights = [layer.weight for _, layer in fx.nn.layers(run.model)]
    grid = Format(8, 7)
    assert all(on_grid(weight, grid) for weight in weights)
    before = [weight.detach().clone() for weight in weights]
    backward(run)
    optimizer.step()
    assert [weight.grad for weight in weights] == [None, None]
    moved = [(weight.detach() - old).abs() * 128 for weight, old in zip(weights, before, strict=True)]
    assert all(on_grid(weight, grid) for weight in weights)
    assert 0 < max(float(each.max()) for each in moved) <= 12  # rate times at most sqrt 2, rounded up


@pytest.mark.parametrize("loss", ["cross_entropy", "half_squared_error"])
def test_losses_are_means_over_the_batch(loss: str) -> None:
    logits = torch.tensor([[1.0, 0.0, 2.0], [0.5, 0.5, 0.0]])
    y = torch.tensor([2, 0])
    if loss == "half_squared_error":
        expected = (0.5 * (1 + 0 + 1) + 0.5 * (0.25 + 0.25)) / 2
        assert float(loss_of("half_squared_error", logits, y)) == expected
    else:
        assert torch.equal(loss_of("cross_entropy", logits, y), nn.functional.cross_entropy(logits, y))
