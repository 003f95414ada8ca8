"""batch_norm_relu: the reference's bits on every path, torch's values to rounding, errors by name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import fxsim as fx
from fxsim import _core, reference

Floats = npt.NDArray[np.float32]

SHAPES = [
    (1, 1, 1, 2),
    (2, 3, 4, 5),  # fewer channels than any vector holds
    (3, 16, 9, 10),  # 270 pixels: a block and a part
    (1, 7, 16, 16),  # one block exactly; a last vector that overlaps
    (2, 33, 13, 20),
    (1, 100, 1, 257),  # a last block of one pixel
    (0, 5, 3, 3),
]
MODES = [(relu, added, affine) for relu in (True, False) for added in (True, False) for affine in (True, False)]


@pytest.fixture(autouse=True)
def _default_isa() -> Iterator[None]:
    yield
    fx.isa.force(None)


def images(*shape: int, seed: int = 0, mean: float = 0.5) -> Tensor:
    """Channels of different means and spreads, in channels-last memory."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator) * torch.rand(shape[1], 1, 1, generator=generator) * 3 + mean
    return x.contiguous(memory_format=torch.channels_last)


def row(channels: int, seed: int) -> Tensor:
    return torch.randn(channels, generator=torch.Generator().manual_seed(seed))


def matrix(x: Tensor) -> Floats:
    """(pixels, channels)."""
    return x.detach().permute(0, 2, 3, 1).reshape(-1, x.shape[1]).numpy()


def bits(given: Tensor | Floats | None) -> bytes:
    array = given.detach().numpy() if isinstance(given, Tensor) else given
    assert array is not None
    assert array.dtype == np.float32
    return np.ascontiguousarray(array).tobytes()


def as_given(tensor: Tensor | None) -> Floats | None:
    return None if tensor is None else tensor.detach().numpy()


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_path_gives_the_bits_of_the_reference(isa: str, shape: tuple[int, ...]) -> None:
    fx.isa.force(isa)
    channels = shape[1]
    x, residual, grad = images(*shape), images(*shape, seed=1, mean=0), images(*shape, seed=2, mean=0)
    running_mean, running_var = row(channels, 3), row(channels, 4).square()
    for relu, added, affine in MODES:
        for batch_statistics in (True, False) if x.numel() else (False,):
            weight, bias = (row(channels, 5), row(channels, 6)) if affine else (None, None)
            extra = residual if added else None
            running = [running_mean.clone(), running_var.clone()]
            result, statistics = torch.ops.fxsim.batch_norm_relu(
                x, weight, bias, extra, *running, batch_statistics, 0.3, 1e-3, relu, ""
            )
            expected = reference.Statistics(*[each.numpy() for each in (running_mean, running_var) * 2])
            if batch_statistics:
                expected = reference.batch_statistics(matrix(x), expected.mean, expected.variance, 0.3)
            assert [bits(each) for each in (*statistics, *running)] == [bits(each) for each in expected]
            mean, variance = expected.mean, expected.variance
            rest = (mean, variance, as_given(weight), as_given(bias), matrix(extra) if added else None)
            y = reference.batch_norm_relu(matrix(x), *rest, eps=1e-3, relu=relu)
            assert bits(matrix(result)) == bits(y)
            gradients = reference.batch_norm_relu_backward(
                matrix(grad), matrix(x), *rest, eps=1e-3, relu=relu, batch_statistics=batch_statistics
            )
            from_output = result if relu and added else None
            back = torch.ops.fxsim.batch_norm_relu_backward(
                grad, x, from_output, statistics, weight, bias, batch_statistics, 1e-3, relu, ""
            )
            assert bits(matrix(back[0])) == bits(gradients.x)
            assert [bits(back[2]), bits(back[3])] == [bits(gradients.weight), bits(gradients.bias)]
            if from_output is not None:
                assert bits(matrix(back[1])) == bits(gradients.residual)


def everything(x: Tensor, residual: Tensor) -> list[bytes]:
    """The bits of a training forward and backward."""
    module = fx.nn.BatchNormReLU2d(x.shape[1])
    x, residual = x.detach().requires_grad_(), residual.detach().requires_grad_()
    y = module(x, residual)
    y.backward(y.detach().sin())
    tensors = (x.grad, residual.grad, module.weight.grad, module.bias.grad, module.running_mean, module.running_var)
    return [bits(each) for each in (y, *tensors) if each is not None]


@pytest.mark.parametrize("isa", fx.isa.available())
def test_threads_and_layouts_change_no_bit(isa: str) -> None:
    x, residual = images(8, 24, 17, 19), images(8, 24, 17, 19, seed=1)
    threads = torch.get_num_threads()
    expected = everything(x, residual)
    fx.isa.force(isa)
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            assert everything(x, residual) == expected
    finally:
        torch.set_num_threads(threads)
    assert everything(x.contiguous(), residual.contiguous()) == expected
    assert everything(x.transpose(2, 3).contiguous().transpose(2, 3), residual) == expected
    assert len(expected) == 7


@pytest.mark.parametrize("isa", fx.isa.available())
def test_images_that_go_past_the_cache_have_the_same_bits(isa: str) -> None:
    x, residual = images(4, 16, 64, 65), images(4, 16, 64, 65, seed=1)
    fx.isa.force("reference")
    expected = everything(x, residual)
    fx.isa.force(isa)
    assert everything(x, residual) == expected


@pytest.mark.parametrize("isa", fx.isa.available())
@pytest.mark.parametrize("channels", [16, 24])
def test_results_may_begin_anywhere(isa: str, channels: int) -> None:
    fx.isa.force(isa)
    shape = (4, 65, 64, channels)
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    statistics = np.stack((x[0, 0, 0], np.ones(channels, np.float32)))
    expected = np.maximum(x - statistics[0], 0)
    for first in (0, 1, 4, 8, 16):
        room = np.full(x.size + 32, 7, np.float32)
        out = room[first : first + x.size].reshape(shape)
        _core.batch_norm_relu(
            x.transpose(0, 3, 1, 2),
            None,
            None,
            None,
            statistics,
            running_mean=None,
            running_variance=None,
            measure=False,
            momentum=0.0,
            eps=0.0,
            relu=True,
            out=out.transpose(0, 3, 1, 2),
        )
        assert np.array_equal(out, expected)
        assert (room[:first] == 7).all()
        assert (room[first + x.size :] == 7).all()


@pytest.mark.parametrize("isa", fx.isa.available())
def test_special_values(isa: str) -> None:
    fx.isa.force(isa)
    nan, inf = float("nan"), float("inf")
    x = torch.tensor([-1.0, -0.0, 0.0, 2.0, nan, inf, -inf, 1e-45]).view(1, 1, 1, 8)
    one, zero = torch.ones(1), torch.zeros(1)
    y, _ = torch.ops.fxsim.batch_norm_relu(x, one, None, None, zero, one, False, 0.1, 0.0, True, "")
    assert bits(y.nan_to_num(nan=7.0, posinf=9.0).view(8)) == bits(torch.tensor([0, 0, 0, 2.0, 7.0, 9.0, 0, 1e-45]))
    (grad, *_) = torch.ops.fxsim.batch_norm_relu_backward(
        torch.ones_like(x), x, None, torch.tensor([[0.0], [1.0]]), one, None, False, 0.0, True, ""
    )
    assert grad.view(8)[[0, 1, 2, 3, 7]].tolist() == [0, 0, 0, 1, 1]


def test_a_large_mean_does_not_swallow_the_variance() -> None:
    x = images(16, 4, 32, 32).double()
    x += torch.tensor([1e3, -1e4, 1e5, 0.0]).view(1, 4, 1, 1)
    x = x.float()
    exact = x.double().var((0, 2, 3), correction=0)
    _, (mean, variance) = torch.ops.fxsim.batch_norm_relu(x, None, None, None, None, None, True, 0.0, 1e-5, True, "")
    assert ((variance - exact).abs() <= 2e-6 * exact).all()
    assert torch.equal(mean, x.double().mean((0, 2, 3)).float())


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("added", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_are_torch_s(relu: bool, added: bool, training: bool) -> None:
    """To 1e-5 of the largest: with float64 on torch's side, all of it is our own rounding."""
    channels = 6
    tensors = [images(8, channels, 9, 11), images(8, channels, 9, 11, seed=1), row(channels, 2), row(channels, 3)]
    ours = [each.clone().requires_grad_() for each in tensors]
    torchs = [each.double().requires_grad_() for each in tensors]
    running = [row(channels, 4), row(channels, 5).square()]
    twins = [each.double() for each in running]
    x, residual, weight, bias = ours
    y, _ = torch.ops.fxsim.batch_norm_relu(
        x, weight, bias, residual if added else None, *running, training, 0.2, 1e-5, relu, ""
    )
    x, residual, weight, bias = torchs
    z = F.batch_norm(x, twins[0], twins[1], weight, bias, training, 0.2, 1e-5)
    z = z + residual if added else z
    z = F.relu(z) if relu else z
    away_from_zero = z.detach().abs() > 1e-4  # elsewhere the ReLU may decide differently
    direction = images(8, channels, 9, 11, seed=6) * away_from_zero
    y.backward(direction)
    z.backward(direction.double())
    pairs = [(y, z), *zip(running, twins, strict=True)]
    pairs += [(a.grad, b.grad) for a, b in zip(ours, torchs, strict=True) if b.grad is not None]
    assert len(pairs) == 1 + 2 + 3 + added
    for mine, exact in pairs:
        assert mine.dtype == torch.float32
        assert (mine - exact).abs().max() <= 1e-5 * exact.abs().max()


def test_only_wanted_gradients_come_back() -> None:
    x, weight = images(2, 3, 4, 4), row(3, 0).requires_grad_()
    y, statistics = torch.ops.fxsim.batch_norm_relu(x, weight, row(3, 1), None, None, None, True, 0.1, 1e-5, True, "")
    assert not statistics.requires_grad
    (gradient,) = torch.autograd.grad(y.sum(), weight)
    assert gradient.shape == (3,)


def test_a_second_derivative_is_refused() -> None:
    x = images(2, 3, 4, 4).requires_grad_()
    y, _ = torch.ops.fxsim.batch_norm_relu(x, None, None, None, None, None, True, 0.1, 1e-5, True, "")
    (gradient,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="gradient of batch_norm_relu's gradient is not defined"):
        gradient.sum().backward()


def test_records_of_a_step() -> None:
    x, residual = images(2, 3, 4, 5).requires_grad_(), images(2, 3, 4, 5)
    with fx.count(keep_order=True) as counts:
        fx.nn.BatchNormReLU2d(3)(x, residual).backward(torch.ones(2, 3, 4, 5))
    counts.check()
    forward, backward = counts.ordered
    assert (forward.op, forward.pass_, forward.m, forward.macs) == ("batch_norm_relu", "fwd", 120, 0)
    assert (forward.elements_read, forward.elements_written) == (120 + 120 + 3 + 3, 120)
    assert (backward.op, backward.pass_, backward.m) == ("batch_norm_relu_backward", "dgrad", 120)
    assert (backward.elements_read, backward.elements_written) == (3 * 120 + 4 * 3, 2 * 120 + 2 * 3)


X = images(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"x": X.double()}, TypeError, r"^batch_norm_relu: x is float64: accepted is float32; convert it$"),
        ({"residual": X.half()}, TypeError, r"^batch_norm_relu: residual is float16: accepted is float32; convert it$"),
        ({"weight": row(3, 0).double()}, TypeError, r"^batch_norm_relu: weight is float64: accepted is float32; conv"),
        ({"x": X[0]}, ValueError, r"^batch_norm_relu: x has shape \(3, 4, 4\): accepted are images, \(N, C, H, W\)$"),
        (
            {"residual": X[:, :, :1]},
            ValueError,
            r"^batch_norm_relu: residual has shape \(2, 3, 1, 4\): accepted is that of x, \(2, 3, 4, 4\)$",
        ),
        (
            {"bias": row(4, 0), "layer": "a.bn"},
            ValueError,
            r"^a.bn: batch_norm_relu: bias has shape \(4,\): accepted is \(3,\), one for each channel of x$",
        ),
        (
            {"running_mean": row(3, 0)},
            ValueError,
            r"^batch_norm_relu: only one of running_mean and running_var is given; give both or neither$",
        ),
        (
            {"running_mean": row(6, 0)[::2], "running_var": row(3, 0)},
            ValueError,
            r"^batch_norm_relu: running_mean has strides \(2,\): it is changed in place and must be contiguous$",
        ),
        (
            {"batch_statistics": False},
            ValueError,
            r"^batch_norm_relu: batch_statistics is off and there are no running statistics; give them or turn it on$",
        ),
        (
            {"x": X[:1, :, :1, :1]},
            ValueError,
            (
                r"^batch_norm_relu: x has shape \(1, 3, 1, 1\), 1 values for each channel: batch statistics need "
                r"2 or more; give a larger batch, or normalise with running statistics, as in evaluation$"
            ),
        ),
    ],
)
def test_what_is_not_accepted_is_named(changes: dict[str, object], kind: type[Exception], text: str) -> None:
    arguments: dict[str, object] = {
        "x": X,
        "weight": None,
        "bias": None,
        "residual": None,
        "running_mean": None,
        "running_var": None,
        "batch_statistics": True,
        "momentum": 0.1,
        "eps": 1e-5,
        "relu": True,
        "layer": "",
    }
    with pytest.raises(kind, match=text):
        torch.ops.fxsim.batch_norm_relu(**{**arguments, **changes})
