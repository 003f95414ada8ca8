"""Gates: which blocks get one, that each sample is computed as its gate says, and that gates learn."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import fxsim as fx
from fxsim import models
from fxsim.policies import DFQ, DFQConfig, FracTrain
from fxsim.ranges import Affine, RangedNumerics
from fxsim.train.convert_for import convert_for


def candidate(bits: int) -> RangedNumerics:
    return RangedNumerics(weight=Affine(4), activation=Affine(bits), grad_output=Affine(8, random_bits=16))


CANDIDATES = (candidate(2), candidate(8))


def net() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    converted = fx.convert(model, CANDIDATES[-1])
    fx.nn.gate_blocks(converted, CANDIDATES)
    return converted


def batch() -> Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(1))


def lean(model: nn.Module, column: int) -> None:
    """Make the gates choose one candidate, whatever they see."""
    head = model[0].gates.head  # type: ignore[index,union-attr]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(10.0 * torch.eye(2)[column])


def test_residual_blocks_are_blocks_and_other_layers_are_blocks_by_themselves() -> None:
    resnet = convert_for(DFQ(), models.build("resnet20", 10, 1))
    gated = [name for name, module in resnet.named_modules() if isinstance(module, fx.nn.GatedBlock)]
    assert gated == [f"blocks.{number}" for number in range(9)]
    assert type(resnet.conv) is nn.Conv2d
    assert type(resnet.fc) is nn.Linear
    lenet = convert_for(DFQ(), models.build("lenet5", 10, 1))
    gated = [name for name, module in lenet.named_modules() if isinstance(module, fx.nn.GatedBlock)]
    assert gated == ["conv2", "conv3", "fc1"]
    assert [(name, layer.name) for name, layer in fx.nn.layers(lenet)] == [
        (f"{each}.block", f"{each}.block") for each in gated
    ]


@pytest.mark.parametrize("column", [0, 1])
def test_a_gate_that_always_says_the_same_gives_that_arithmetic(column: int) -> None:
    model = net()
    lean(model, column)
    plain = fx.convert(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)), CANDIDATES[column])
    for gated, layer in zip(model, plain, strict=True):  # type: ignore[call-overload]
        layer.load_state_dict({"weight": gated.block.weight, "bias": gated.block.bias}, strict=False)
    x = batch()
    torch.testing.assert_close(model(x), plain(x), rtol=0, atol=1e-6)  # the choice is 1 only up to a rounding
    model.eval()
    for gated, layer in zip(model, plain, strict=True):  # type: ignore[call-overload]
        layer.running_range.copy_(gated.block.running_range)
    plain.eval()
    assert torch.equal(model(x), plain(x))


def test_gates_get_gradients_from_the_result_and_from_the_cost() -> None:
    model = net()
    gates = model[0].gates  # type: ignore[index]
    (model(batch()).square().sum() + gates.mean_cost((1.0, 3.0))).backward()
    for name, parameter in gates.named_parameters():
        assert parameter.grad is not None, name
    assert float(gates.head.weight.grad.abs().sum()) > 0


def test_the_cost_is_the_mean_over_samples_and_blocks_of_what_was_chosen() -> None:
    model = net()
    gates = model[0].gates  # type: ignore[index]
    assert float(gates.mean_cost((1.0, 3.0))) == 0.0
    for column, cost in ((0, 1.0), (1, 3.0)):
        lean(model, column)
        model(batch())
        assert float(gates.mean_cost((1.0, 3.0)).detach()) == pytest.approx(cost)
        model(batch()[:1])  # a batch of one works
        assert float(gates.mean_cost((1.0, 3.0)).detach()) == pytest.approx(cost)


def test_the_first_of_equal_candidates_wins_and_the_cell_forgets_between_forwards() -> None:
    gates = fx.nn.Gates([3], 2)
    with torch.no_grad():
        for parameter in gates.parameters():
            parameter.zero_()
    assert gates.choose(0, torch.ones(2, 3)).argmax(1).tolist() == [0, 0]
    torch.manual_seed(0)
    gates = fx.nn.Gates([3, 3], 2)
    x = torch.ones(1, 3)
    states = []
    for number in (0, 1, 0):
        gates.choose(number, x)
        assert gates._hidden is not None
        states.append(gates._hidden[0].detach())
    assert torch.equal(states[0], states[2])
    assert not torch.equal(states[0], states[1])


def test_copies_share_gates_among_themselves_only() -> None:
    model = net()
    model(batch())
    twin = copy.deepcopy(model)
    assert twin[0].gates is twin[2]._shared[0]  # type: ignore[index,union-attr]
    assert twin[0].gates is not model[0].gates  # type: ignore[index,union-attr]
    assert sum(name.startswith("0.gates") for name in model.state_dict()) == len(model[0].gates.state_dict())  # type: ignore[index,union-attr]


def test_gates_begin_as_the_seed_says() -> None:
    def begin(seed: int) -> Tensor:
        model = convert_for(DFQ(), nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)), seed=seed)
        weight: Tensor = model[1].gates.head.weight  # type: ignore[index,union-attr]
        return weight

    assert torch.equal(begin(1), begin(1))
    assert not torch.equal(begin(1), begin(2))


def test_a_model_without_a_place_for_gates_is_refused() -> None:
    with pytest.raises(ValueError, match="the model has no ranged layer in a module of its own"):
        fx.nn.gate_blocks(nn.Sequential(nn.Linear(2, 2)), CANDIDATES)


def test_the_penalty_pulls_the_cost_to_the_target() -> None:
    torch.manual_seed(0)
    policy = FracTrain()
    model = convert_for(policy, nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run = fx.attach(policy, model, optimizer, total_steps=40)
    assert float(run.penalty()) == 0.0
    model(batch())
    percent = run.gate_cost_percent
    assert percent is not None
    assert 1.7 < percent < 4.7
    sign = policy.sign(percent)
    assert float(run.penalty().detach()) == pytest.approx(sign * 2.0 * percent * 3 / 100)


def test_a_block_that_keeps_the_shape_can_be_skipped() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    gated = fx.convert(model, CANDIDATES[-1])
    fx.nn.gate_blocks(gated, (None, CANDIDATES[1]))
    lean(gated, 0)  # every gate asks to skip
    first, middle, last = gated
    x = batch()
    for training in (True, False):
        gated.train(training)
        h = first(x)
        assert h.shape == (6, 4)  # it changes the shape, so its gate may not
        torch.testing.assert_close(middle(h), h, rtol=0, atol=1e-6)
        assert last(h).shape == (6, 2)
        chosen = [each.argmax(1).tolist() for each in first.gates._choices.values()]
        assert chosen == [[1] * 6, [0] * 6, [1] * 6]
        assert float(first.gates.mean_cost((0.0, 3.0)).detach()) == pytest.approx(2.0)
    gated.train()
    model(x).sum()
    (gated(x).square().sum() + first.gates.mean_cost((0.0, 3.0))).backward()
    for name, parameter in first.gates.named_parameters():
        assert bool(torch.isfinite(parameter.grad).all()), name  # type: ignore[arg-type]


def test_residual_blocks_without_a_stride_can_be_skipped() -> None:
    policy = DFQ(DFQConfig(activations="0,3,6", gradients="0,6,8"))
    assert [round(cost * 1024) for cost in policy.gating.costs] == [0, 54, 104]
    resnet = convert_for(policy, models.build("resnet20", 10, 1))
    gated = {name: module for name, module in resnet.named_modules() if isinstance(module, fx.nn.GatedBlock)}
    kept = [name for name, module in gated.items() if module._refused is None]
    assert kept == [f"blocks.{number}" for number in (0, 1, 2, 4, 5, 7, 8)]
    with torch.no_grad():
        gates = gated["blocks.0"].gates
        gates.head.weight.zero_()
        gates.head.bias.copy_(torch.tensor([9.0, 0.0, 0.0]))
    resnet.eval()
    x = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(gated["blocks.0"](x), x)


def test_candidates_that_are_all_skipped_are_refused() -> None:
    with pytest.raises(ValueError, match="activations is '0,0'; give a candidate other than 0 and 0"):
        DFQConfig(activations="0,0", gradients="0,0")
    with pytest.raises(ValueError, match=r"bits is .*; give 1 to 16 bits"):
        DFQConfig(activations="0,3", gradients="6,6")
