"""The measuring run and fixed-point training under its assignment, on a net of three layers."""

import io
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fxsim as fx
from fxsim.policies import Sakr
from fxsim.policies.sakr import Assignment, LayerAssignment
from fxsim.train.attach import Run, attach
from fxsim.train.convert_for import convert_for
from fxsim.train.noise_gains import noise_gains
from fxsim.train.sakr import RunningVariance, mismatch, prepare, sensitivity

RATE = 0.25

LAYER = LayerAssignment(
    weight=6,
    activation=5,
    weight_gradient=10,
    weight_gradient_range=-1,
    activation_gradient=10,
    activation_gradient_range=-5,
    accumulator=10,
    input_gradient_range=-5,
)


class Net(nn.Module):
    """8x8 images, four classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.pool = nn.MaxPool2d(4)
        self.fc1 = nn.Linear(16, 12)
        self.relu2 = nn.ReLU()
        self.fc2 = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu1(self.conv(x)))
        logits: Tensor = self.fc2(self.relu2(self.fc1(x.flatten(1))))
        return logits


def net() -> Net:
    torch.manual_seed(2)
    return Net()


def batches(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images in [0, 2) whose brightest quadrant is their class."""
    for number in range(count):
        generator = torch.Generator().manual_seed(number)
        y = torch.randint(0, 4, (16,), generator=generator)
        x = torch.rand(16, 1, 8, 8, generator=generator)
        for sample, quadrant in enumerate(y.tolist()):
            row, column = divmod(quadrant, 2)
            x[sample, 0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 0.9
        yield torch.round(x * 128) / 128, y


def attached(policy: Sakr) -> tuple[Run, torch.optim.SGD]:
    model = convert_for(policy, net(), seed=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    return attach(policy, model, optimizer), optimizer


def train(run: Run, optimizer: torch.optim.SGD, given: Iterator[tuple[Tensor, Tensor]]) -> list[float]:
    losses = []
    for x, y in given:
        loss = F.cross_entropy(run.model(x), y)
        loss.backward()
        run.step(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def fixed() -> Sakr:
    return Sakr(Assignment(dict.fromkeys(("conv", "fc1", "fc2"), LAYER)))


def test_a_measured_assignment_trains_as_well_as_float() -> None:
    policy = Sakr(images=20)
    assignment = prepare(policy, net(), batches(150), rates=[RATE] * 150)
    assert policy.assignment == assignment
    assert list(assignment.layers) == ["conv", "fc1", "fc2"]
    for layer in assignment.layers.values():
        assert 2 <= layer.weight <= 16
        assert 4 <= layer.weight_gradient <= 16
        assert 2 <= layer.activation_gradient <= 20
    losses = train(*attached(policy), batches(150))
    assert sum(losses[-20:]) / 20 < 0.5 * losses[0]


def test_no_product_and_no_parameter_of_the_training_is_a_float() -> None:
    run, optimizer = attached(fixed())
    with fx.count() as counts:
        train(run, optimizer, batches(3))
    products = [record for record in counts.records if record.macs]
    assert {record.pass_ for record in products} >= {"fwd", "dgrad", "wgrad"}
    assert [record for record in products if "fp32" in (record.a, record.b, record.accumulator)] == []
    updates = [record for record in counts.records if record.op == "update"]
    assert {record.output for record in updates} == {"<16,15>", "<32,9>"}
    for name, layer in dict(fx.nn.layers(run.model)).items():
        raw = layer.weight.detach() * 2.0**5
        assert torch.equal(raw, raw.round()), name
        assert -32 <= int(raw.min()) <= int(raw.max()) <= 31
        bias = layer.bias.detach() * 2.0**9
        assert torch.equal(bias, bias.round())


def test_sums_are_rounded_once_although_they_travel_in_24_bits() -> None:
    run, _ = attached(fixed())
    model = run.model.eval()
    x = fx.quantize(next(batches(1))[0], LAYER.activation_format, "nearest_away").to_float()
    conv = dict(fx.nn.layers(model))["conv"]
    exact = F.conv2d(x.double(), conv.weight.detach().double(), conv.bias.detach().double(), padding=1)
    once = torch.floor(exact.clamp(0, 2) * 16 + 0.5).clamp(max=31)  # ties away from zero, of what is not negative
    seen: list[Tensor] = []
    fc1 = dict(fx.nn.layers(model))["fc1"]
    fc1.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(x)
    quantized = fx.quantize(seen[0], "u<5,4>", "nearest_away").raw
    assert torch.equal(quantized.double(), F.max_pool2d(once, 4).flatten(1))


def test_a_run_resumes_with_its_words() -> None:
    first, optimizer = attached(fixed())
    train(first, optimizer, batches(5))
    saved = io.BytesIO()
    torch.save({"model": first.model.state_dict(), "run": first.state_dict()}, saved)
    saved.seek(0)
    state = torch.load(saved)
    resumed, other = attached(Sakr(Assignment(dict.fromkeys(("conv", "fc1", "fc2"), LAYER))))
    resumed.model.load_state_dict(state["model"])
    resumed.load_state_dict(state["run"])
    assert train(resumed, other, batches(4)) == train(first, optimizer, batches(4))
    for a, b in zip(resumed.model.parameters(), first.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_range_normalisation_takes_the_place_of_batch_normalisation_and_keeps_its_own_arithmetic() -> None:
    plain = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 4)
    )
    policy = Sakr(Assignment({"0": LAYER, "4": LAYER}), range_norm=True)
    model = convert_for(policy, plain)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    run = attach(policy, model, optimizer)
    norm = dict(fx.nn.layers(model))["1"]
    assert (type(norm), str(norm.numerics.activation)) == (fx.nn.RangeBatchNorm2d, "<24,16>")
    before = norm.weight.detach().clone()
    losses = train(run, optimizer, batches(30))
    assert losses[-1] < losses[0]
    assert not torch.equal(norm.weight, before)  # the optimizer's
    words = run.state_dict()["update"]["words"]
    assert list(words) == ["0.weight", "0.bias", "4.weight", "4.bias"]


def test_the_update_is_the_policys_and_wants_plain_sgd() -> None:
    model = convert_for(fixed(), net())
    with pytest.raises(
        ValueError, match=r"by plain SGD, but the optimizer has momentum 0.9; give torch.optim.SGD without"
    ):
        attach(fixed(), model, torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9))
    with pytest.raises(ValueError, match="but the optimizer has Adam; give"):
        attach(fixed(), model, torch.optim.Adam(model.parameters()))


def test_a_learning_rate_that_is_no_power_of_two_is_warned_of_once() -> None:
    run, optimizer = attached(fixed())
    optimizer.param_groups[0]["lr"] = 0.1
    with pytest.warns(UserWarning, match=r"the learning rate 0.1 is no power of two") as caught:
        train(run, optimizer, batches(2))
    assert len(caught) == 1


def test_running_variances_are_corrected_for_their_start() -> None:
    variance = RunningVariance()
    assert variance.sigma == 0.0
    for _ in range(3):
        variance.add(torch.tensor([1.0, -1.0, 3.0, 1.0]))
    assert math.isclose(variance.sigma, math.sqrt(2.0), rel_tol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(5, 3),
        nn.Conv2d(2, 4, 3, padding=1),
        nn.Conv2d(4, 6, 2, stride=2, groups=2),
        nn.Conv2d(2, 2, 3, dilation=2),
    ],
)
def test_the_sensitivity_is_the_sum_of_squared_derivatives_of_the_weight_gradient(layer: nn.Module) -> None:
    torch.manual_seed(3)
    channels = 5 if isinstance(layer, nn.Linear) else layer.in_channels
    x = torch.randn(2, channels) if isinstance(layer, nn.Linear) else torch.randn(2, channels, 6, 6)
    y = layer(x)
    mask = torch.rand_like(y) < 0.6

    def weight_gradient(g: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad((y * (g * mask)).sum(), layer.weight, create_graph=True, retain_graph=True)
        return gradient

    jacobian = torch.autograd.functional.jacobian(weight_gradient, torch.zeros_like(y))
    assert math.isclose(sensitivity(layer, x, mask), float(jacobian.double().square().sum()), rel_tol=1e-5)


def test_noise_gains_of_a_linear_net_are_its_weights_over_its_margins() -> None:
    layer = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]))
    x = torch.tensor([[1.0, 1.0, 1.0], [3.0, 1.0, 0.0]])
    # margins: 1 - 2 = -1 and 2 - 3 = -1; d/dW of Z_i - Z_y is +-x in two rows, d/dx is the difference of the rows
    gains = noise_gains(nn.Sequential(layer), x, [("0", layer)])["0"]
    assert gains.weight == (2 * 3 + 2 * 10) / 2 / 2
    assert gains.activation == (5 / 2 + 5 / 2) / 2


def test_the_mismatch_is_zero_with_many_bits_and_not_with_few() -> None:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4, bias=False)).eval()
    with torch.no_grad():
        model[1].weight -= model[1].weight.mean(1, keepdim=True)
    x = torch.rand(200, 1, 8, 8)
    assert mismatch(model, {"1": (14, 14)}, x) < 0.02
    assert mismatch(model, {"1": (2, 8)}, x) > 0.3  # steps of a half: all weights are 0
