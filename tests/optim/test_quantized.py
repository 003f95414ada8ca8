"""fx.optim.Quantized: torch's optimizers to the bit without options, and with them the reference's rounding."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fxsim as fx
from fxsim import reference
from fxsim.rng import Key, Role, stream
from fxsim.rounding import Quantizer

NUMERICS = fx.Numerics("<8,6>", "<8,4>", "<12,6>", bias="<12,8>")
SEED = 2**63 + 9
Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, Make] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.01),
}


def net() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    return fx.convert(model, NUMERICS, seed=SEED)


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return torch.randn(6, 1, 4, 4, generator=generator), torch.randint(3, (6,), generator=generator)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range, scheduler: Any = None) -> None:
    for step in steps:
        x, y = batch(step)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_without_options_a_step_is_torch_s_to_the_bit(make: Make) -> None:
    ours, theirs = net(), net()
    train(ours, fx.optim.Quantized(make(ours.parameters()), ours), range(5))
    train(theirs, make(theirs.parameters()), range(5))
    assert same(ours, theirs)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_weights_and_state_stay_on_their_grids(make: Make) -> None:
    model = net()
    optimizer = fx.optim.Quantized(
        make(model.parameters()), model, weight="<16,10>,stochastic", state="<20,16>,stochastic"
    )
    before = [parameter.clone() for parameter in model.parameters()]
    train(model, optimizer, range(4))
    for parameter, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter * 2**10, (parameter * 2**10).round())
        assert parameter.dim() == 1 or not torch.equal(parameter, old)
        for value in optimizer.state[parameter].values():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                assert value.dtype == torch.float64
                assert torch.equal(value * 2**16, (value * 2**16).round())


def test_every_rounding_is_the_reference_s() -> None:
    weight, state = Quantizer.parse("<16,10>,stochastic"), Quantizer.parse("<20,12>,stochastic(8,half)")
    model = net()
    optimizer = fx.optim.Quantized(OPTIMIZERS["momentum"](model.parameters()), model, weight=weight, state=state)
    places = {
        "0.weight": (0, Role.UPDATE, Role.STATE), "0.bias": (0, Role.BIAS_UPDATE, Role.BIAS_STATE),
        "1.weight": (2, Role.UPDATE, Role.STATE), "1.bias": (3, Role.UPDATE, Role.STATE),
        "3.weight": (1, Role.UPDATE, Role.STATE), "3.bias": (1, Role.BIAS_UPDATE, Role.BIAS_STATE),
    }  # fmt: skip
    momentum = {name: np.zeros(parameter.shape) for name, parameter in model.named_parameters()}
    for step in range(3):
        x, y = batch(step)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        expected = {}
        for name, parameter in model.named_parameters():
            layer, update, kept = places[name]
            order = "channels_last" if parameter.dim() > 2 else "c"
            assert parameter.grad is not None
            old, grad = parameter.detach().double(), parameter.grad.double()
            grad = grad.add(old, alpha=1e-3)
            buffer = grad if step == 0 else torch.from_numpy(momentum[name]).mul(0.9).add(grad)
            new = old.add(buffer, alpha=-0.1)
            expected[name] = reference.quantize(new.numpy(), weight, Key(SEED, stream(layer, update, step)), 0, order)[
                0
            ]
            raw = reference.quantize(buffer.numpy(), state, Key(SEED, stream(layer, kept, step)), 0, order)[0]
            momentum[name] = raw / 2.0**12
        optimizer.step()
        for name, parameter in model.named_parameters():
            assert (parameter.double() * 2**10).tolist() == expected[name].tolist()
            assert optimizer.state[parameter]["momentum_buffer"].tolist() == momentum[name].tolist()


def test_updates_far_below_the_weight_s_step_move_it_on_average() -> None:
    """In float32 1 - 2^-30 is 1, and no rounding could see such an update."""
    layer = nn.Linear(1, 4096, bias=False)
    nn.init.ones_(layer.weight)
    optimizer = fx.optim.Quantized(
        torch.optim.SGD(layer.parameters(), lr=2.0**-30), layer, weight="<18,16>,stochastic(32)"
    )
    for _ in range(64):
        layer.weight.grad = torch.ones_like(layer.weight) * 64
        optimizer.step()
    moved = ((1 - layer.weight) * 2**16).sum().item()
    expected = 4096 * 64 * 64 * 2**16 / 2**30  # 1024 steps of the grid in all, deviation 32
    assert abs(moved - expected) < 6 * expected**0.5
    layer.weight.grad = torch.zeros_like(layer.weight)
    held = layer.weight.clone()
    optimizer.step()
    assert torch.equal(layer.weight, held)


def test_a_state_continues_the_same_bits() -> None:
    options: dict[str, Any] = {"weight": "<16,10>,stochastic", "state": {"exp_avg": "<24,20>,stochastic"}}
    model = net()
    optimizer = fx.optim.Quantized(OPTIMIZERS["adam"](model.parameters()), model, **options)
    train(model, optimizer, range(3))
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    state = torch.load(file)
    other = net()
    again = fx.optim.Quantized(OPTIMIZERS["adam"](other.parameters()), other, **options)
    other.load_state_dict(state["model"])
    again.load_state_dict(state["optimizer"])
    assert again.state[next(other.parameters())]["exp_avg_sq"].dtype == torch.float64
    train(model, optimizer, range(3, 6))
    train(other, again, range(3, 6))
    assert same(model, other)


def test_the_seed_and_nothing_else_decides() -> None:
    def run(seed: int | None) -> nn.Module:
        model = net()
        optimizer = OPTIMIZERS["momentum"](model.parameters())
        train(model, fx.optim.Quantized(optimizer, model, weight="<16,10>,stochastic", seed=seed), range(3))
        return model

    assert same(run(None), run(None))
    assert same(run(None), run(SEED))
    assert not same(run(1), run(2))


SCHEDULERS: dict[str, Callable[[torch.optim.Optimizer], Any]] = {
    "step": lambda o: torch.optim.lr_scheduler.StepLR(o, 2, 0.1),
    "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 4),
    "one cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=8),
    "chained": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o, [torch.optim.lr_scheduler.LinearLR(o), torch.optim.lr_scheduler.ExponentialLR(o, 0.5)], [2]
    ),
}


@pytest.mark.parametrize("schedule", SCHEDULERS.values(), ids=SCHEDULERS)
def test_schedulers_take_it_for_an_optimizer(schedule: Callable[[torch.optim.Optimizer], Any]) -> None:
    ours, theirs = net(), net()
    one = fx.optim.Quantized(OPTIMIZERS["momentum"](ours.parameters()), ours)
    other = OPTIMIZERS["momentum"](theirs.parameters())
    train(ours, one, range(5), schedule(one))
    train(theirs, other, range(5), schedule(other))
    assert same(ours, theirs)
    assert one.param_groups[0]["lr"] == other.param_groups[0]["lr"] != 0.1


def test_layers_see_that_their_weights_changed() -> None:
    model, x = net().eval(), torch.ones(1, 1, 4, 4)
    optimizer = fx.optim.Quantized(torch.optim.SGD(model.parameters(), lr=0.5), model, weight="<16,10>,stochastic")
    addresses = [parameter.data_ptr() for parameter in model.parameters()]
    before = model(x)
    train(model.train(), optimizer, range(2))
    assert not torch.equal(model.eval()(x), before)
    assert [parameter.data_ptr() for parameter in model.parameters()] == addresses
    assert model[0].step == 2
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert all(parameter.grad is not None and parameter.grad.dtype == torch.float32 for parameter in model.parameters())


def test_globs_choose_and_the_last_holds() -> None:
    model = net()
    weight = {"*": None, "*.weight": "<16,10>,stochastic", "3.*": "<12,4>,stochastic"}
    optimizer = fx.optim.Quantized(OPTIMIZERS["momentum"](model.parameters()), model, weight=weight)
    train(model, optimizer, range(2))
    steps = {"0.weight": 10, "1.weight": 10, "3.weight": 4, "3.bias": 4}
    for name, parameter in model.named_parameters():
        fl = steps.get(name, 10)
        assert torch.equal(parameter * 2**fl, (parameter * 2**fl).round()) == (name in steps)


def test_a_failed_step_leaves_the_weights() -> None:
    model = net()
    optimizer = fx.optim.Quantized(OPTIMIZERS["momentum"](model.parameters()), model, weight="<16,10>,stochastic")
    train(model, optimizer, range(1))
    before = copy.deepcopy(model)
    next(model.parameters()).grad.fill_(torch.nan)  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"^0: quantize: element .* is NaN"):
        optimizer.step()
    assert same(model, before)
    assert optimizer.steps == 1


def test_it_works_under_a_policy() -> None:
    model = net()
    optimizer = fx.optim.Quantized(OPTIMIZERS["momentum"](model.parameters()), model, weight="<16,12>,stochastic")
    run = fx.attach(fx.policies.Static(NUMERICS), model, optimizer)
    x, y = batch(0)
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    run.step(loss)
    optimizer.step()
    assert torch.equal(model[0].weight * 2**12, (model[0].weight * 2**12).round())


def test_policies_that_act_around_a_step_are_called() -> None:
    model = net()
    optimizer = fx.optim.Quantized(OPTIMIZERS["sgd"](model.parameters()), model, weight="<16,12>")
    seen: list[tuple[str, int, bool]] = []

    def hook(name: str) -> Callable[..., None]:
        def called(*_: object) -> None:
            raw = model[0].weight.detach() * 2**12
            seen.append((name, optimizer.steps, bool(torch.equal(raw, raw.round()))))

        return called

    optimizer.register_step_pre_hook(hook("before"))
    handle = optimizer.register_step_post_hook(hook("after"))
    train(model, optimizer, range(1))
    handle.remove()
    train(model, optimizer, range(1, 2))
    assert seen == [("before", 0, True), ("after", 1, True), ("before", 1, True)]


def test_weights_on_a_coarse_grid_learn_only_by_chance() -> None:
    """An update below half a step is lost to the nearest rounding, not to the stochastic one."""

    def loss_after(weight: str) -> float:
        torch.manual_seed(0)
        layer = nn.Linear(8, 1, bias=False)
        nn.init.zeros_(layer.weight)
        target = torch.linspace(-0.9, 0.9, 8)[None]
        optimizer = fx.optim.Quantized(torch.optim.SGD(layer.parameters(), lr=0.002), layer, weight=weight, seed=3)
        for step in range(1500):
            x = torch.randn(16, 8, generator=torch.Generator().manual_seed(step))
            optimizer.zero_grad()
            (layer(x) - x @ target.T).square().mean().backward()
            optimizer.step()
        return (layer.weight - target).square().mean().item()

    assert loss_after("<8,6>,stochastic") < 0.01
    assert loss_after("<8,6>") > 0.1


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            {"weight": "<30,20>"},
            TypeError,
            "0.weight is torch.float32, which does not carry <30,20> exactly",
        ),
        (
            {"weight": {"head.*": "<8,4>"}},
            ValueError,
            r"names 'head.\*', which matches none of: 0.weight, 0.bias",
        ),
        (
            {"state": "<60,20>"},
            TypeError,
            r"state '\*' in <60,20>: float64, in which a state is kept",
        ),
    ],
)
def test_refusals(options: dict[str, Any], error: type[Exception], text: str) -> None:
    model = net()
    with pytest.raises(error, match=text):
        fx.optim.Quantized(OPTIMIZERS["momentum"](model.parameters()), model, **options)


def test_refusals_of_what_it_is_given() -> None:
    model, other = net(), net()
    with pytest.raises(TypeError, match=r"Quantized: optimizer is str: one of torch\.optim is needed"):
        fx.optim.Quantized("sgd", model)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the optimizer updates 6 parameters that the model does not have"):
        fx.optim.Quantized(OPTIMIZERS["sgd"](other.parameters()), model)
    optimizer = fx.optim.Quantized(OPTIMIZERS["sgd"](model.parameters()), model)
    with pytest.raises(ValueError, match="a closure is given: it would see weights that are not rounded"):
        optimizer.step(lambda: 0.0)  # type: ignore[arg-type]
    momentum = fx.optim.Quantized(OPTIMIZERS["momentum"](model.parameters()), model, state={"momentum": "<8,4>"})
    with pytest.raises(ValueError, match=r"state names momentum: SGD keeps momentum_buffer of 0\.weight"):
        train(model, momentum, range(1))
