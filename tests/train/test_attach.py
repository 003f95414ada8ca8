import copy
import io
import logging
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fxsim as fx
from fxsim import reference
from fxsim.formats import Format
from fxsim.ops.records import OpRecord, Pass, listen
from fxsim.policies import AdaPT, AdaPTConfig, Float32, GradientRule, Policy, Static
from fxsim.rng import Key, Role, stream
from fxsim.rounding import Quantizer, Stochastic
from fxsim.train.attach import Run, attach
from fxsim.train.convert_for import convert_for
from fxsim.train.gradients import treat

SEED = 11


class Net(nn.Module):
    """A convolution, a normalisation, a pool and two linear layers; 8x8 images, 4 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.pool = nn.AvgPool2d(4)
        self.fc1 = nn.Linear(16, 12)
        self.fc2 = nn.Linear(12, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.bn(self.conv(x))))
        logits: Tensor = self.fc2(torch.tanh(self.fc1(x.flatten(1))))
        return logits


def batches(count: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Images whose brightest quadrant is their class; a function of the batch's number."""
    for number in range(start, start + count):
        generator = torch.Generator().manual_seed(number)
        y = torch.randint(0, 4, (16,), generator=generator)
        x = torch.randn(16, 1, 8, 8, generator=generator)
        for sample, quadrant in enumerate(y.tolist()):
            row, column = divmod(quadrant, 2)
            x[sample, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 2.0
        yield x, y


def net() -> Net:
    torch.manual_seed(2)
    return Net()


def attached(policy: Policy, model: nn.Module | None = None, **arguments: int) -> tuple[Run, torch.optim.SGD]:
    converted = convert_for(policy, net() if model is None else model, seed=SEED)
    optimizer = torch.optim.SGD(converted.parameters(), lr=0.03, momentum=0.9)
    return attach(policy, converted, optimizer, **arguments), optimizer


def backward(run: Run, x: Tensor, y: Tensor) -> Tensor:
    loss = F.cross_entropy(run.model(x), y) + run.penalty()
    loss.backward()
    return loss


def train(run: Run, optimizer: torch.optim.Optimizer, count: int, start: int = 0) -> list[float]:
    losses = []
    for x, y in batches(count, start):
        loss = backward(run, x, y)
        run.step(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def short(**changes: object) -> AdaPT:
    """AdaPT that decides often, so that few steps show its switches."""
    return AdaPT(AdaPTConfig(**{"lb_lwr": 3, "lb_upr": 12, **changes}))  # type: ignore[arg-type]


def parameters_of(run: Run) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in run.model.named_parameters()}


def test_convert_for_adapt_quantizes_weighted_layers_and_wraps_their_neighbours() -> None:
    plain = net()
    model = convert_for(AdaPT(), plain, seed=SEED)
    assert [(name, type(layer).__name__) for name, layer in fx.nn.layers(model)] == [
        ("conv", "Conv2d"),
        ("bn", "Quantized"),
        ("pool", "Quantized"),
        ("fc1", "Linear"),
        ("fc2", "Linear"),
    ]
    assert {layer.seed for _, layer in fx.nn.layers(model)} == {SEED}
    assert type(plain.conv) is nn.Conv2d


def test_convert_for_static_wraps_nothing_and_for_float32_converts_nothing() -> None:
    assert [name for name, _ in fx.nn.layers(convert_for(Static("<8,4>"), net()))] == ["conv", "fc1", "fc2"]
    plain = net()
    copied = convert_for(Float32(), plain)
    assert fx.nn.layers(copied) == []
    assert copied is not plain
    assert convert_for(Float32(), plain, inplace=True) is plain
    with pytest.raises(ValueError, match="policy float32 leaves the model in floating point, but overrides name fc1"):
        convert_for(Float32(), net(), overrides={"fc1": fx.Numerics("<8,4>", "<8,4>")})


def test_attach_sets_the_start_format_on_every_layer_and_its_followers() -> None:
    run, _ = attached(AdaPT())
    assert run.formats == {"conv": Format(8, 4), "fc1": Format(8, 4), "fc2": Format(8, 4)}
    for _, layer in fx.nn.layers(run.model):
        assert layer.numerics.activation == Quantizer("<8,4>", Stochastic(16), "saturate")
        assert layer.numerics.output == layer.numerics.activation


def test_attach_keeps_the_accumulators_a_layer_was_converted_with() -> None:
    policy = short()
    narrow = fx.Numerics("<8,4>", "<8,4>", accumulator=fx.Accumulator(24, overflow="wrap"))
    model = convert_for(policy, net(), overrides={"fc1": narrow})
    run = attach(policy, model, torch.optim.SGD(model.parameters(), lr=0.03))
    train(run, torch.optim.SGD(model.parameters(), lr=0.03), 20)
    numerics = dict(fx.nn.layers(model))["fc1"].numerics
    assert numerics.accumulator == narrow.accumulator
    assert numerics.weight.format != Format(8, 4)
    assert numerics.weight.is_stochastic


def test_gradients_of_weights_are_rounded_as_the_numerics_say_then_divided_by_their_norm() -> None:
    run, _ = attached(AdaPT(AdaPTConfig(l1=0.0)))
    x, y = next(batches(1))
    loss = backward(run, x, y)
    raw = {name: parameter.grad.clone() for name, parameter in run.model.named_parameters()}  # type: ignore[union-attr]
    run.step(loss)
    quantizer = Quantizer("<8,4>", Stochastic(16), "saturate")
    cases = [
        ("conv.weight", 0, Role.GRAD_WEIGHT, "channels_last"),
        ("conv.bias", 0, Role.GRAD_BIAS, "c"),
        ("bn.module.weight", 1, Role.GRAD_WEIGHT, "c"),
        ("bn.module.bias", 1, Role.GRAD_BIAS, "c"),
        ("fc1.weight", 3, Role.GRAD_WEIGHT, "c"),
        ("fc2.weight", 4, Role.GRAD_WEIGHT, "c"),
    ]
    treated = dict(run.model.named_parameters())
    for name, layer_id, role, order in cases:
        key = Key(SEED, stream(layer_id, role, 0))
        expected, _ = reference.quantize(raw[name].numpy(), quantizer, key, index_order=order)
        values = expected.astype(np.float64) / 16
        norm = np.sqrt((values**2).sum())
        got = treated[name].grad
        assert got is not None
        assert np.allclose(got.numpy(), values / norm if norm else values, rtol=1e-6, atol=0.0), name


def test_normalize_first_does_not_depend_on_the_scale_of_the_gradient() -> None:
    gradient = torch.randn(30, 40, generator=torch.Generator().manual_seed(0))
    rule, key = GradientRule("normalize_first"), Key(1, 2)
    smaller = gradient * 2.0**-30
    assert not treat(gradient, rule, Format(12, 10), key, layer="fc")
    assert not treat(smaller, rule, Format(12, 10), key, layer="fc")
    assert torch.equal(gradient, smaller)
    assert abs(float(gradient.norm()) - 1.0) < 1e-6


def test_gradients_of_convolution_weights_draw_in_channels_last_order() -> None:
    gradient = torch.randn(3, 5, 2, 2, generator=torch.Generator().manual_seed(0))
    quantizer = Quantizer("<8,4>", Stochastic(16), "saturate")
    raw, _ = reference.quantize(gradient.numpy(), quantizer, Key(1, 2), index_order="channels_last")
    values = raw.astype(np.float32) / np.float32(16)
    length = np.sqrt((values.astype(np.float64) ** 2).sum())
    treat(gradient, GradientRule(), Format(8, 4), Key(1, 2), layer="conv")
    assert np.array_equal(gradient.numpy(), values / np.float32(length))


def test_a_gradient_that_rounds_to_nothing_stays_zero_and_is_called_vanished() -> None:
    gradient = torch.full((4, 4), 2.0**-40)
    assert treat(gradient, GradientRule(), Format(8, 4), Key(1, 2), layer="fc")
    assert bool((gradient == 0.0).all())


def test_penalty_is_alpha_times_the_quantized_l1_norm_plus_the_word_length_term_over_accs() -> None:
    run, _ = attached(AdaPT(AdaPTConfig(l1=0.25)), accs=2)
    layers = dict(fx.nn.layers(run.model))
    carriers = [
        layers["conv"].weight_carrier(),
        layers["conv"].bias_carrier(),
        run.model.bn.module.weight,
        run.model.bn.module.bias,
        layers["fc1"].weight_carrier(),
        layers["fc1"].bias_carrier(),
        layers["fc2"].weight_carrier(),
    ]
    l1 = sum(float(carrier.detach().abs().double().sum()) for carrier in carriers)
    density = sum(float((carrier != 0).double().mean()) for carrier in carriers) / len(carriers)
    expected = (0.25 * l1 + 8 / 32 * density) / 2
    assert abs(float(run.penalty().detach()) - expected) < 1e-5


def test_penalty_has_the_gradient_alpha_sign_of_the_quantized_weight_where_it_is_in_range() -> None:
    run, _ = attached(AdaPT(AdaPTConfig(l1=0.5)))
    layer = dict(fx.nn.layers(run.model))["fc1"]
    with torch.no_grad():
        layer.weight[0, 0] = 100.0
    run.penalty().backward()
    expected = 0.5 * torch.sign(layer.weight_carrier().detach())
    expected[0, 0] = 0.0
    assert torch.equal(layer.weight.grad, expected)


def test_policies_without_a_loss_rule_add_nothing() -> None:
    for policy in (Float32(), Static("<16,10>")):
        run, _ = attached(policy)
        assert float(run.penalty()) == 0.0


def test_adapt_switches_formats_from_the_next_forward_on_and_followers_follow() -> None:
    run, optimizer = attached(short())
    losses = train(run, optimizer, 40)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    switches = run.take_switches()
    assert {switch.layer for switch in switches} == {"conv", "fc1", "fc2"}
    assert run.switches == []
    layers = dict(fx.nn.layers(run.model))
    for follower in ("bn", "pool"):
        assert layers[follower].numerics.activation.format == run.formats["conv"]
    for name, format in run.formats.items():
        last = [switch for switch in switches if switch.layer == name][-1]
        assert format == last.new
        assert layers[name].int_weight().format == format


def test_steps_are_told_to_the_layers_so_that_weights_are_drawn_anew_each_step() -> None:
    run, optimizer = attached(AdaPT())
    train(run, optimizer, 3)
    assert run.steps == 3
    assert {layer.step for _, layer in fx.nn.layers(run.model) if isinstance(layer, fx.nn.Weighted)} == {3}


def test_a_run_numbers_its_steps_from_0_whatever_the_model_has_been_through() -> None:
    model = convert_for(AdaPT(), net(), seed=SEED)
    layer = dict(fx.nn.layers(model))["fc1"]
    assert isinstance(layer, fx.nn.Weighted)
    layer.step = 7
    attach(AdaPT(), model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert layer.step == 0


def test_finalize_reports_both_formats_and_the_average_over_time() -> None:
    run, optimizer = attached(short())
    assert run.time_average_word_length == 8.0
    lengths = []
    for start in range(30):
        lengths.append(run.mean_word_length)
        train(run, optimizer, 1, start)
    before = run.formats
    run.take_switches()
    final = run.finalize()
    assert final.before == before
    assert final.after == run.formats
    assert final.time_average_word_length == sum(lengths) / 30
    assert [switch.reason for switch in run.switches] == ["finalize"] * 3


def test_mean_word_lengths_count_layers_or_elements() -> None:
    policy = Static("<8,4>")
    model = convert_for(policy, net(), overrides={"fc1": fx.Numerics("<20,4>", "<8,4>")})
    run = attach(policy, model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert run.mean_word_length == 12.0
    elements = {"conv": 36, "fc1": 192, "fc2": 48}
    assert run.mean_word_length_by_elements == (8 * 36 + 20 * 192 + 8 * 48) / sum(elements.values())
    run, _ = attached(Float32())
    assert (run.mean_word_length, run.mean_word_length_by_elements, run.formats) == (32.0, 32.0, {})


@pytest.mark.parametrize("policy", [Float32(), Static("<16,10>")])
def test_policies_without_a_gradient_rule_leave_gradients_alone(policy: Policy) -> None:
    run, optimizer = attached(policy)
    loss = backward(run, *next(batches(1)))
    before = {name: parameter.grad.clone() for name, parameter in run.model.named_parameters()}  # type: ignore[union-attr]
    run.step(loss)
    for name, parameter in run.model.named_parameters():
        assert torch.equal(parameter.grad, before[name])  # type: ignore[arg-type]
    losses = train(run, optimizer, 40)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert run.switches == []


def test_static_leaves_layers_as_they_were_converted() -> None:
    policy = Static("<16,10>")
    own = fx.Numerics("<12,8>", "<12,6>")
    model = convert_for(policy, net(), overrides={"fc2": own})
    run = attach(policy, model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert dict(fx.nn.layers(model))["fc2"].numerics == own
    assert run.formats["fc2"] == Format(12, 8)


@pytest.mark.parametrize("stop", [1, 7, 20])
@pytest.mark.parametrize("push_up", ["closed", "alg4"])
def test_a_restored_run_continues_to_the_same_bits(stop: int, push_up: str) -> None:
    straight, optimizer = attached(short(push_up=push_up))
    train(straight, optimizer, 30)

    first, optimizer = attached(short(push_up=push_up))
    train(first, optimizer, stop)
    file = io.BytesIO()
    torch.save({"run": first.state_dict(), "optimizer": optimizer.state_dict()}, file)
    model_state = copy.deepcopy(first.model.state_dict())
    file.seek(0)

    second, optimizer = attached(short(push_up=push_up))
    saved = torch.load(file, weights_only=True)
    second.model.load_state_dict(model_state)
    optimizer.load_state_dict(saved["optimizer"])
    second.load_state_dict(saved["run"])
    train(second, optimizer, 30 - stop, stop)

    assert second.formats == straight.formats
    assert second.time_average_word_length == straight.time_average_word_length
    expected = parameters_of(straight)
    assert all(torch.equal(parameter, expected[name]) for name, parameter in parameters_of(second).items())
    assert second.finalize().after == straight.finalize().after


def test_a_loaded_state_sets_the_formats_whether_or_not_the_model_is_loaded_too() -> None:
    first, optimizer = attached(short())
    train(first, optimizer, 20)
    second, _ = attached(short())
    second.load_state_dict(first.state_dict())
    assert second.formats == first.formats != attached(short())[0].formats
    layers = dict(fx.nn.layers(second.model))
    assert layers["bn"].numerics.activation.format == second.formats["conv"]


def test_equal_seeds_give_equal_runs() -> None:
    runs = [attached(short()) for _ in range(2)]
    for run, optimizer in runs:
        train(run, optimizer, 10)
    one, two = (parameters_of(run) for run, _ in runs)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_section_5_gradients_that_all_vanish_get_the_widest_fraction_and_then_train() -> None:
    run, optimizer = attached(short(l1=0.0, penalty=False))
    before = parameters_of(run)
    for step, (x, y) in enumerate(batches(6)):
        loss = 2.0**-24 * F.cross_entropy(run.model(x), y)
        loss.backward()
        run.step(loss)
        optimizer.step()
        optimizer.zero_grad()
        moved = not torch.equal(dict(run.model.named_parameters())["fc1.weight"], before["fc1.weight"])
        assert moved is (step >= 3)
    assert {(switch.step, switch.reason, str(switch.new)) for switch in run.switches if switch.step == 2} == {
        (2, "vanished", "<32,24>")
    }


def test_micro_batches_make_one_step() -> None:
    run, optimizer = attached(short(), accs=2)
    for number in range(6):
        for x, y in batches(2, 2 * number):
            loss = F.cross_entropy(run.model(x), y) / 2 + run.penalty()
            loss.backward()
        run.step(loss)
        optimizer.step()
        optimizer.zero_grad()
    assert run.steps == 6
    assert int(dict(fx.nn.layers(run.model))["fc1"].calls) == 12


def test_parameters_of_plain_modules_follow_the_layer_before_them() -> None:
    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offset = nn.Parameter(torch.zeros(4))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.offset

    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4), Shift())
    run, _ = attached(AdaPT(AdaPTConfig(l1=0.0)), model)
    loss = backward(run, *next(batches(1)))
    parameter = run.model[2].offset
    raw = parameter.grad.clone()
    run.step(loss)
    key = Key(SEED, stream(1, Role.GRAD_WEIGHT, 0))
    expected, _ = reference.quantize(raw.numpy(), Quantizer("<8,4>", Stochastic(16), "saturate"), key)
    values = expected.astype(np.float64) / 16
    assert np.allclose(parameter.grad.numpy(), values / np.sqrt((values**2).sum()), rtol=1e-6, atol=0.0)


def test_a_shared_weight_is_treated_once_and_has_one_format() -> None:
    first = nn.Linear(64, 64, bias=False)
    second = nn.Linear(64, 64, bias=False)
    second.weight = first.weight
    model = nn.Sequential(nn.Flatten(), first, nn.Tanh(), second, nn.Linear(64, 4))
    run, optimizer = attached(short(), model)
    assert list(run.formats) == ["1", "4"]
    train(run, optimizer, 20)
    layers = dict(fx.nn.layers(run.model))
    assert layers["1"].numerics == layers["3"].numerics
    assert run.formats["1"] != Format(8, 4)


def test_updates_are_recorded_for_every_parameter_and_policy() -> None:
    for policy in (AdaPT(), Float32()):
        run, _ = attached(policy)
        loss = backward(run, *next(batches(1)))
        heard: list[OpRecord] = []
        with listen(heard.append):
            run.step(loss)
        updates = [record for record in heard if record.pass_ is Pass.UPDATE]
        assert sum(record.m for record in updates) == sum(parameter.numel() for parameter in run.model.parameters())
        assert {record.output for record in updates} == {"fp32"}


def test_section_2_warns_once_where_the_l1_term_is_most_of_a_gradient(caplog: pytest.LogCaptureFixture) -> None:
    run, optimizer = attached(AdaPT(AdaPTConfig(l1=10.0)))
    with caplog.at_level(logging.WARNING, logger="fxsim"):
        train(run, optimizer, 3)
    assert len(caplog.records) == 1
    assert "step 0: the L1 term (l1 = 10) has a gradient of norm" in caplog.text
    assert "lower l1, or raise the gain of the initialisation" in caplog.text


def test_section_2_does_not_warn_of_a_small_l1_term(caplog: pytest.LogCaptureFixture) -> None:
    run, optimizer = attached(AdaPT(AdaPTConfig(l1=1e-6)))
    with caplog.at_level(logging.WARNING, logger="fxsim"):
        train(run, optimizer, 3)
    assert caplog.records == []


def test_refuses_what_does_not_fit() -> None:
    plain = net()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="policy adapt decides on fixed-point layers, but the model has none; convert"):
        attach(AdaPT(), plain, optimizer)
    with pytest.raises(ValueError, match="accs is 0; give the number of micro-batches"):
        attach(Float32(), plain, optimizer, accs=0)
    with pytest.raises(ValueError, match="the optimizer updates 7 parameters that the model does not have; make the"):
        attach(Float32(), net(), optimizer)
    converted = convert_for(Static("<8,4>"), plain)
    with pytest.raises(ValueError, match=r"trains in floating point, but the model has fixed-point layers \(conv, fc1"):
        attach(Float32(), converted, torch.optim.SGD(converted.parameters(), lr=0.1))


def test_refuses_a_step_without_gradients_and_a_loss_that_is_not_finite() -> None:
    run, _ = attached(AdaPT())
    with pytest.raises(RuntimeError, match=r"no parameter has a gradient; call loss.backward\(\) before run.step"):
        run.step(1.0)
    with pytest.raises(ValueError, match="step 0: the loss is nan: training has diverged; lower the learning rate"):
        run.step(float("nan"))


def test_refuses_the_state_of_another_policy() -> None:
    run, _ = attached(AdaPT())
    other, _ = attached(Static("<8,4>"))
    with pytest.raises(ValueError, match="the state was saved by policy 'static', this one is 'adapt'"):
        run.load_state_dict(other.state_dict())
