"""fx.nn.Add, Clip, ReLU and the pools: the reference on quantized floats, gradients, streams, torch's own settings."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fxsim as fx
from fxsim import reference
from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.ops import records
from fxsim.ops.records import Pass
from fxsim.rng import Key, Role, stream
from fxsim.rounding import Quantizer

SEED, LAYER, CALL, FIRST = 2**63 + 5, 3, 4, 2

PLAIN = Numerics("<1,0>", "<6,3>", "<7,2>", grad_output="<7,5>", grad_input="<9,5>")
CHANCE = Numerics(
    "<1,0>", "<6,3>,stochastic", "<7,2>,stochastic", grad_output="<7,5>,stochastic", grad_input="<9,4>,stochastic",
    ste="pass",
)  # fmt: skip
NUMERICS = {"plain": PLAIN, "chance": CHANCE, "exact": replace(PLAIN, output=None, grad_input=None)}


def floats(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2


def key(role: Role, *, evaluation: bool = False) -> Key:
    return Key(SEED, stream(LAYER, role, CALL, evaluation=evaluation))


def words(x: Tensor, q: Quantizer, k: Key) -> np.ndarray[Any, Any]:
    order = "channels_last" if x.dim() == 4 else "c"
    return reference.quantize(x.detach().numpy(), q, k, FIRST * x[0].numel(), order)[0]


def outside(x: Tensor, numerics: Numerics, role: Role = Role.INPUT) -> np.ndarray[Any, Any]:
    q = numerics.activation
    raw = words(x, Quantizer(Format(60, q.format.fl), q.rounding), key(role))
    return ((raw < q.format.raw_min) | (raw > q.format.raw_max)) & (numerics.ste == "clipped")


def carried(raw: np.ndarray[Any, Any], form: Format) -> list[Any]:
    values: list[Any] = (raw.astype(np.float64) * 2.0**-form.fl).tolist()
    return values


def rounded(raw: np.ndarray[Any, Any], form: Format, q: Quantizer | None, role: Role) -> list[Any]:
    """Raws requantized as the output, or the input's gradient, of the layer."""
    if q is None:
        return carried(raw, form)
    order = "channels_last" if raw.ndim == 4 else "c"
    return carried(reference.requantize(raw, form, q, key(role), FIRST * raw[0].size, order)[0], q.format)


def ready(module: Any) -> Any:
    module.layer_id, module.seed = LAYER, SEED
    module.calls.fill_(CALL)
    return module


def run(module: Any, *inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The output, and the gradient it is given."""
    with fx.shard(FIRST):
        y = ready(module)(*inputs)
    grad = floats(*y.shape, seed=9) / 4
    y.backward(grad)
    return y, grad


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4, 5), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("numerics", NUMERICS.values(), ids=NUMERICS)
def test_add(numerics: Numerics, shape: tuple[int, ...]) -> None:
    a, b = (floats(*shape, seed=seed).requires_grad_() for seed in (0, 1))
    y, grad = run(fx.nn.Add(numerics=numerics), a, b)
    raw = words(a, numerics.activation, key(Role.INPUT)) + words(b, numerics.activation, key(Role.SECOND_INPUT))
    assert y.tolist() == rounded(raw, numerics.activation.format, numerics.output, Role.OUTPUT)
    assert numerics.grad_output is not None
    g = words(grad, numerics.grad_output, key(Role.GRAD_OUTPUT))
    through = np.array(rounded(g, numerics.grad_output.format, numerics.grad_input, Role.GRAD_INPUT))
    for x, role in ((a, Role.INPUT), (b, Role.SECOND_INPUT)):
        assert x.grad is not None
        assert x.grad.tolist() == np.where(outside(x, numerics, role), 0, through).tolist()


BOUNDS: dict[str, tuple[float | None, float | None, bool]] = {
    "relu": (0.0, None, False), "clip": (-1.0, 2.0, True), "hardtanh": (-1.0, 2.0, False), "odd": (-0.9, 1.3, True),
}  # fmt: skip


@pytest.mark.parametrize("bounds", BOUNDS.values(), ids=BOUNDS)
@pytest.mark.parametrize("numerics", NUMERICS.values(), ids=NUMERICS)
def test_clip(numerics: Numerics, bounds: tuple[float | None, float | None, bool]) -> None:
    low, high, edges = bounds
    x = floats(2, 3, 8, 8).requires_grad_()
    form = numerics.activation.format
    y, grad = run(fx.nn.Clip(*bounds, numerics=numerics), x)
    raw = words(x, numerics.activation, key(Role.INPUT))
    assert y.tolist() == rounded(reference.clip(raw, form, low, high), form, numerics.output, Role.OUTPUT)
    values = raw * 2.0**-form.fl
    least = -np.inf if low is None else np.ceil(low * 8) / 8
    greatest = np.inf if high is None else np.floor(high * 8) / 8
    inside = (values >= least) & (values <= greatest) if edges else (values > least) & (values < greatest)
    assert numerics.grad_output is not None
    g = words(grad, numerics.grad_output, key(Role.GRAD_OUTPUT))
    through = np.array(rounded(g, numerics.grad_output.format, numerics.grad_input, Role.GRAD_INPUT))
    assert x.grad is not None
    assert x.grad.tolist() == np.where(inside & ~outside(x, numerics), through, 0).tolist()
    if edges and high == 2.0:
        assert ((values == 2.0) & (x.grad.numpy() != 0)).any()


def test_relu_is_torch_s_on_the_grid() -> None:
    x = torch.arange(-32.0, 32.0) / 8
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y = fx.nn.ReLU(numerics=Numerics("<1,0>", "<6,3>"))(ours)
    z = torch.relu(theirs)
    assert torch.equal(y, z)
    y.sum().backward()
    z.sum().backward()
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize("window", [((3, 2), (3, 2), (0, 0)), ((3, 3), (2, 1), (1, 1)), ((4, 2), (4, 2), (0, 0))])
@pytest.mark.parametrize("numerics", [PLAIN, CHANCE], ids=["plain", "chance"])
def test_avg_pool2d(numerics: Numerics, window: tuple[tuple[int, int], ...]) -> None:
    x = floats(2, 3, 8, 6).requires_grad_()
    y, grad = run(fx.nn.AvgPool2d(*window, numerics=numerics), x)
    assert numerics.output is not None
    assert numerics.grad_output is not None
    raw = words(x, numerics.activation, key(Role.INPUT))
    expected, form, _ = reference.avg_pool2d(
        raw, numerics.activation.format, *window, numerics.output, key(Role.OUTPUT), FIRST * y[0].numel()
    )
    assert y.tolist() == carried(expected, form)
    g = words(grad, numerics.grad_output, key(Role.GRAD_OUTPUT))
    through, form, _ = reference.avg_pool2d_dgrad(
        g, numerics.grad_output.format, (8, 6), *window, numerics.grad_input, key(Role.GRAD_INPUT), FIRST * x[0].numel()
    )
    assert x.grad is not None
    assert x.grad.tolist() == carried(np.where(outside(x, numerics), 0, through), form)


def test_a_pool_of_a_power_of_two_needs_no_format() -> None:
    x = floats(2, 3, 8, 6).requires_grad_()
    y, grad = run(fx.nn.AvgPool2d((4, 2), numerics=NUMERICS["exact"]), x)
    z = x.detach().mul(8).round().clamp(-32, 31).div(8).requires_grad_()
    assert torch.equal(y, nn.AvgPool2d((4, 2))(z))
    nn.AvgPool2d((4, 2))(z).backward(grad.mul(32).round().clamp(-64, 63).div(32))
    assert torch.equal(x.grad, z.grad.masked_fill(torch.from_numpy(outside(x, PLAIN)), 0))


@pytest.mark.parametrize("size", [1, (2, 3), (4, 6)])
def test_adaptive_pools_divide_the_image(size: int | tuple[int, int]) -> None:
    numerics, x = replace(PLAIN, output=Quantizer("<20,12>")), floats(2, 3, 4, 6)
    y = fx.nn.AdaptiveAvgPool2d(size, numerics=numerics)(x)
    z = nn.AdaptiveAvgPool2d(size)(x.mul(8).round().clamp(-32, 31).div(8))
    assert y.shape == z.shape
    assert (y - z).abs().max() <= 2.0**-13
    assert torch.equal(fx.nn.AdaptiveAvgPool2d(size, numerics=numerics)(x[0]), y[0])


def float_gradient(module: nn.Module, *shape: int) -> tuple[Tensor, Tensor, Tensor]:
    x = floats(*shape).requires_grad_()
    y = module(x) if not isinstance(module, fx.nn.Add) else module(x, torch.zeros_like(x))
    grad = floats(*y.shape, seed=5)
    y.backward(grad)
    assert x.grad is not None
    return x.grad, grad, x.detach()


def test_float_gradients() -> None:
    numerics = Numerics("<1,0>", "<8,4>", "<10,6>")
    through, grad, _ = float_gradient(fx.nn.Add(numerics=numerics), 2, 3, 4, 4)
    assert torch.equal(through, grad)
    through, grad, x = float_gradient(fx.nn.ReLU(numerics=numerics), 2, 3, 4, 4)
    assert torch.equal(through, grad.masked_fill(x * 16 <= 0.5, 0))
    through, grad, _ = float_gradient(fx.nn.AvgPool2d(3, 1, 1, numerics=numerics), 2, 3, 4, 4)
    leaf = torch.zeros(2, 3, 4, 4, requires_grad=True)
    nn.AvgPool2d(3, 1, 1)(leaf).backward(grad)
    assert torch.equal(through, leaf.grad)
    rounded = replace(numerics, grad_input=Quantizer("<8,2>"))
    for module in (
        fx.nn.Add(numerics=rounded),
        fx.nn.ReLU(numerics=rounded),
        fx.nn.AvgPool2d(3, 1, 1, numerics=rounded),
    ):
        through, _, _ = float_gradient(module, 2, 3, 4, 4)
        assert torch.equal(through * 4, (through * 4).round())
        assert through.any()


MODULES: dict[str, Any] = {
    "add": lambda numerics: nn.Sequential(Twice(fx.nn.Add(numerics=numerics))),
    "relu": lambda numerics: nn.Sequential(fx.nn.ReLU(numerics=numerics)),
    "pool": lambda numerics: nn.Sequential(fx.nn.AvgPool2d(2, numerics=numerics)),
    "adaptive": lambda numerics: nn.Sequential(fx.nn.AdaptiveAvgPool2d(2, numerics=numerics)),
}


class Twice(nn.Module):
    """x + x, of one rounded twice."""

    def __init__(self, add: fx.nn.Add) -> None:
        super().__init__()
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        y: Tensor = self.add(x, x)
        return y


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_compile_evaluation_and_state(make: Any) -> None:
    model, x = make(CHANCE), floats(2, 3, 4, 4)
    twin = copy.deepcopy(model)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for _ in range(2):
        one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, z = compiled(one), twin(other)
        assert torch.equal(y, z)
        y.sum().backward()
        z.sum().backward()
        assert torch.equal(one.grad, other.grad)
    again = make(PLAIN)
    again.load_state_dict(twin.state_dict())
    assert torch.equal(again(x), twin(x))
    twin.eval()
    assert torch.equal(twin(x), twin(x))


def test_the_two_inputs_of_a_sum_draw_bits_of_their_own() -> None:
    numerics, x = Numerics("<1,0>", "<12,0>,stochastic"), torch.full((1000,), 0.5)
    sums = fx.nn.Add(numerics=numerics)(x, x)
    assert set(sums.tolist()) == {0.0, 1.0, 2.0}


def test_records_name_the_layer() -> None:
    for make in MODULES.values():
        model, heard = fx.convert(make(PLAIN), PLAIN, inplace=True), []
        with records.listen(heard.append):
            model(floats(2, 3, 4, 4).requires_grad_()).sum().backward()
        name = fx.nn.layers(model)[0][0]
        assert {record.layer for record in heard} == {name}
        assert [record.pass_ for record in heard if record.pass_ is not Pass.QUANTIZE] == [Pass.FWD, Pass.DGRAD]


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"^add: a has shape \(2,\) and torch.float32, b \(3,\) and torch.float32"):
        fx.nn.Add(numerics=PLAIN)(torch.ones(2), torch.ones(3))
    with pytest.raises(TypeError, match="clip: x is int64: accepted are float32 and float64"):
        fx.nn.ReLU(numerics=PLAIN)(torch.ones(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="avg_pool2d: output is None: a mean of 9 values has no exact format"):
        fx.nn.AvgPool2d(3, numerics=replace(PLAIN, output=None))(floats(1, 1, 3, 3))
    mean = fx.nn.AvgPool2d(3, numerics=replace(PLAIN, grad_input=None))(floats(1, 1, 3, 3).requires_grad_()).sum()
    with pytest.raises(ValueError, match="avg_pool2d: grad_input is None: a mean of 9 values"):
        mean.backward()
    with pytest.raises(ValueError, match=r"AdaptiveAvgPool2d: an image of \(5, 4\) is no multiple of the output"):
        fx.nn.AdaptiveAvgPool2d(2, numerics=PLAIN)(floats(1, 1, 5, 4))
    with pytest.raises(TypeError, match="float32 does not carry the output format <30,4> exactly"):
        fx.nn.Add(numerics=replace(PLAIN, output=Quantizer("<30,4>")))(torch.ones(2), torch.ones(2))


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("numerics", NUMERICS.values(), ids=NUMERICS)
def test_fork(numerics: Numerics, shape: tuple[int, ...]) -> None:
    x = floats(*shape).requires_grad_()
    with fx.shard(FIRST):
        one, other = ready(fx.nn.Fork(numerics=numerics))(x)
    assert torch.equal(one, x)
    assert torch.equal(other, x)
    gradients = [floats(*shape, seed=seed) / 4 for seed in (5, 6)]
    torch.autograd.backward([one, other], gradients)
    q = numerics.grad_output
    assert q is not None
    raws = [
        words(grad, q, key(role))
        for grad, role in zip(gradients, (Role.GRAD_OUTPUT, Role.SECOND_GRAD_OUTPUT), strict=True)
    ]
    assert x.grad is not None
    assert x.grad.tolist() == rounded(raws[0] + raws[1], q.format, numerics.grad_input, Role.GRAD_INPUT)


def test_a_fork_of_which_one_half_is_used_adds_nothing() -> None:
    x = floats(3, 5).requires_grad_()
    fx.nn.Fork(numerics=PLAIN)(x)[1].backward(floats(3, 5, seed=1))
    assert torch.equal(x.grad, floats(3, 5, seed=1))


def test_a_fork_without_integer_gradients_adds_floats() -> None:
    x = floats(3, 5).requires_grad_()
    one, other = fx.nn.Fork(numerics=Numerics("<1,0>", "<8,4>", grad_input="<8,2>"))(x)
    (one * 2 + other * 3.3).sum().backward()
    assert x.grad is not None
    assert x.grad.unique().tolist() == [5.25]
