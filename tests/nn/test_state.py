"""What a module remembers: saved, copied, moved and loaded, it goes on as if nothing had happened."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import fxsim as fx

CHANCE = fx.Numerics("<6,4>,stochastic", "<6,4>,stochastic", "<8,4>,stochastic", grad_output="<8,6>,stochastic")
OTHER = fx.Numerics("<5,3>", "<5,3>")


def model() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4))
    return fx.convert(layers, CHANCE, wrap=[nn.BatchNorm2d], seed=2**64 - 1)


def batch() -> Tensor:
    return torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(1))


def optimizer_of(module: nn.Module) -> torch.optim.SGD:
    return torch.optim.SGD(module.parameters(), 0.1, momentum=0.5)


def train(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = module(batch()).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def saved(module: nn.Module) -> nn.Module:
    stream = io.BytesIO()
    torch.save(module, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=False)  # type: ignore[no-any-return]


def through_state_dict(module: nn.Module) -> nn.Module:
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    other = fx.convert(
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4)),
        OTHER,
        wrap=[nn.BatchNorm2d],
    )
    other(batch())
    other.load_state_dict(torch.load(stream, weights_only=True))
    return other


COPIES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "torch.save": saved,
    "state_dict": through_state_dict,
    "moved": lambda module: copy.deepcopy(module).double().float().to(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("how", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("evaluated", [False, True], ids=["", "evaluated between"])
def test_a_copy_goes_on_with_the_same_bits(how: Callable[[nn.Module], nn.Module], evaluated: bool) -> None:
    module = model()
    optimizer = optimizer_of(module)
    train(module, optimizer, 3)
    if evaluated:
        module.eval()(batch())
        module.train()
    twin = how(module)  # between optimizer.step and the next forward: the change of the weights is still to be noticed
    resumed = optimizer_of(twin)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # or they would share momentum
    assert train(twin, resumed, 3) == train(module, optimizer, 3)
    assert [layer.calls.item() for _, layer in fx.nn.layers(twin)] == [6, 6, 6]
    for (_, one), (_, other) in zip(fx.nn.layers(twin), fx.nn.layers(module), strict=True):
        assert (one.numerics, one.seed, one.layer_id) == (other.numerics, other.seed, other.layer_id)
        assert getattr(one, "step", None) == getattr(other, "step", None)


def test_weights_are_quantized_once_a_step() -> None:
    module = fx.nn.Linear(4, 3, numerics=CHANCE)
    words, x = [], torch.randn(2, 4)
    for _ in range(3):
        module(x)
        words.append(module._words(training=True))
        assert torch.equal(module.int_weight().raw, words[-1].weight)
    assert words[0] is words[1] is words[2]
    with torch.no_grad():
        module.weight += 0  # an optimizer step, as far as anyone can tell
    module(x)
    assert module.step == 1
    assert module._words(training=True) is not words[0]


@pytest.mark.parametrize("change", ["weight", "bias", "numerics", "seed", "layer_id", "step", "swapped"])
def test_kept_words_are_dropped_when_something_changes(change: str) -> None:
    module = fx.nn.Linear(40, 30, numerics=CHANCE)
    before = module.int_weight()
    bias_before = module.int_bias()
    match change:
        case "weight" | "bias":
            with torch.no_grad():
                getattr(module, change).mul_(-1)
        case "numerics":
            module.numerics = OTHER
        case "swapped":
            module.weight.data = -module.weight.data
        case _:
            setattr(module, change, 7)
    assert (module.int_weight(), module.int_bias()) != (before, bias_before)


def test_evaluation_leaves_no_trace() -> None:
    module, twin = fx.nn.Linear(4, 3, numerics=CHANCE), None
    twin = copy.deepcopy(module)
    x = torch.randn(5, 4)
    for each, evaluations in ((module, 0), (twin, 2)):
        each(x)
        for _ in range(evaluations):
            with torch.no_grad():
                each.weight.mul_(0.5)
            each.eval()(x)
        with torch.no_grad():
            each.weight.mul_(0.25 if evaluations == 0 else 1.0)
        each.train()
        each.last = each(x)
    assert torch.equal(module.last, twin.last)
    assert (module.step, int(module.calls)) == (twin.step, int(twin.calls)) == (1, 2)


def test_an_assigned_step_stays() -> None:
    module = fx.nn.Linear(4, 3, numerics=CHANCE)
    module.step = 9
    for _ in range(2):
        module(torch.randn(2, 4))
        with torch.no_grad():
            module.weight.mul_(0.5)
    assert module.step == 9
    twin = copy.deepcopy(module)
    twin(torch.randn(2, 4))
    assert twin.step == 9
    with pytest.raises(ValueError, match="step = -1: steps are counted from 0"):
        module.step = -1


def test_a_layer_used_under_inference_mode_can_train_afterwards() -> None:
    module = fx.nn.Linear(4, 3, numerics=CHANCE)
    with torch.inference_mode():
        module(torch.randn(2, 4))
    module(torch.randn(2, 4)).sum().backward()
    assert module.weight.grad is not None


def test_a_float_checkpoint_loads_into_a_converted_model() -> None:
    plain = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    module = fx.convert(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), OTHER, seed=8)
    module(torch.randn(2, 4))
    module.load_state_dict(plain.state_dict())
    assert torch.equal(module[0].weight, plain[0].weight)
    assert (module[0].numerics, module[0].seed, int(module[0].calls)) == (OTHER, 8, 1)
    incomplete = module.state_dict()
    del incomplete["2.steps"], incomplete["2.bias"]
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "2.bias", "2.steps"'):
        module.load_state_dict(incomplete)


def test_integers_survive_a_round_trip() -> None:
    module = model()
    train(module, optimizer_of(module), 2)
    state = fx.int_state_dict(module)
    assert list(state) == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert state["0.weight"].shape == (3, 2, 3, 3)
    other = model()
    fx.load_int_state_dict(other, state)
    assert fx.int_state_dict(other) == state  # on the grid nothing moves, whatever the rounding
    assert torch.equal(other[0].weight, state["0.weight"].to_float())
    assert torch.equal(other[0].weight, other[0].weight_carrier())
    assert torch.equal(other[0].bias, other[0].bias_carrier())


def test_an_integer_state_that_does_not_fit_changes_nothing() -> None:
    module = model()
    state, before = fx.int_state_dict(module), copy.deepcopy(module.state_dict())
    for wrong, text in (
        ({"0.weight": state["0.weight"]}, "missing: 0.bias, 3.bias, 3.weight; unknown: none"),
        ({**state, "more": state["0.bias"]}, "missing: none; unknown: more"),
        ({**state, "3.bias": state["0.bias"]}, r"3\.bias is <6,4> of shape \(3,\): the layer has <6,4> and \(4,\)"),
        ({**state, "3.bias": fx.FixedTensor(state["3.bias"].raw, "<7,4>")}, r"3\.bias is <7,4> .* numerics first"),
    ):
        with pytest.raises(ValueError, match=text):
            fx.load_int_state_dict(module, wrong)
    assert all(torch.equal(before[name], module.state_dict()[name]) for name in before if "_extra" not in name)
    wide = fx.nn.Linear(2, 2, numerics=fx.Numerics("<30,4>", "<8,4>"))
    with pytest.raises(
        TypeError, match=r"load_int_state_dict: weight: to_float: float32 does not carry <30,4> exactly"
    ):
        fx.load_int_state_dict(wide, fx.int_state_dict(wide))


def test_carriers_pass_gradients_to_the_weight_but_where_it_was_clipped() -> None:
    module = fx.nn.Linear(2, 1, numerics=fx.Numerics("<4,2>", "<8,4>"))
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[0.3, 9.0]]))
        module.bias.fill_(-9.0)
    carrier, bias = module.weight_carrier(), module.bias_carrier()
    assert carrier.tolist() == [[0.25, 1.75]]
    assert bias is not None
    (carrier.square().sum() + bias.sum()).backward()
    assert module.weight.grad.tolist() == [[0.5, 0.0]]
    assert module.bias.grad.tolist() == [0.0]
    assert fx.nn.Linear(2, 1, bias=False, numerics=OTHER).bias_carrier() is None
    module.numerics = fx.Numerics("<30,2>", "<8,4>")
    with pytest.raises(TypeError, match="carrier: float32 does not carry the quantized format <30,2> exactly: float64"):
        module.weight_carrier()
