"""A policy treats the vectors of a Range BN as those of a float one: they follow the layer before them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import fxsim as fx
from fxsim.ops.records import Pass, listen
from fxsim.policies import AdaPT, AdaPTConfig, Static
from fxsim.rng import Role
from fxsim.train.parameters import places

NUMERICS = fx.Numerics("<8,4>", "<8,4>", "<8,4>")

pytestmark = pytest.mark.filterwarnings("ignore:.*each range is taken of")


def net() -> nn.Sequential:
    torch.manual_seed(0)
    norms = [fx.nn.RangeBatchNorm2d(channels, numerics=NUMERICS) for channels in (1, 4)]
    model = nn.Sequential(norms[0], nn.Conv2d(1, 4, 3), norms[1], nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    fx.convert(model, NUMERICS, inplace=True)
    return model


def test_its_vectors_follow() -> None:
    model = net()
    found = places(model)
    assert list(found.weighted) == ["1", "5"]
    assert [(slot.name, slot.leader, slot.is_weight, slot.role) for slot in found.slots] == [
        ("0.weight", "1", False, Role.GRAD_WEIGHT),
        ("0.bias", "1", False, Role.GRAD_BIAS),
        ("1.weight", "1", True, Role.GRAD_WEIGHT),
        ("1.bias", "1", False, Role.GRAD_BIAS),
        ("2.weight", "1", False, Role.GRAD_WEIGHT),
        ("2.bias", "1", False, Role.GRAD_BIAS),
        ("5.weight", "5", True, Role.GRAD_WEIGHT),
        ("5.bias", "5", False, Role.GRAD_BIAS),
    ]
    with torch.no_grad():
        model[2].weight.fill_(0.3)
        model[2].bias.fill_(-0.3)
    carriers = {slot.name: slot.carrier() for slot in found.slots}
    assert carriers["2.weight"].tolist() == [0.3125] * 4
    assert carriers["2.bias"].tolist() == [-0.3125] * 4


def test_it_takes_the_format_of_the_layer_before_it() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
    run = fx.attach(AdaPT(AdaPTConfig(r_lwr=2, lb_lwr=2, lb_upr=3)), model, optimizer)
    for step in range(6):
        x = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(step))
        loss = model(x).square().sum() + run.penalty()
        loss.backward()
        run.step(loss)
        optimizer.step()
        optimizer.zero_grad()
    assert run.switches
    assert model[2].numerics.weight.format == model[1].numerics.weight.format == run.formats["1"]
    assert model[2].statistics_format.fl == run.formats["1"].fl + 8


def test_its_updates_are_published() -> None:
    model = net()
    run = fx.attach(Static(NUMERICS), model, torch.optim.SGD(model.parameters(), lr=0.1))
    loss = model(torch.randn(4, 1, 8, 8)).sum()
    loss.backward()
    with listen((heard := []).append):
        run.step(loss)
    assert [record.layer for record in heard if record.pass_ is Pass.UPDATE] == [*"00112255"]
