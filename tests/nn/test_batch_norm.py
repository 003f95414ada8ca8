"""BatchNormReLU2d as a torch module: statistics, states, copies, compilation."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import fxsim as fx


def images(seed: int = 0) -> Tensor:
    return torch.randn(4, 5, 6, 7, generator=torch.Generator().manual_seed(seed)) * 2 + 1


def trained(module: nn.Module, batches: int = 3) -> nn.Module:
    for seed in range(batches):
        module(images(seed))
    return module


def close(ours: nn.Module, torchs: nn.Module) -> bool:
    """Buffers to float32 rounding, counts exactly."""
    mine, theirs = dict(ours.named_buffers()), dict(torchs.named_buffers())
    assert mine.keys() == theirs.keys()
    return all(torch.allclose(mine[name], theirs[name], rtol=1e-6, atol=1e-7) for name in mine)


@pytest.mark.parametrize("momentum", [0.1, 0.7, None])
def test_running_statistics_are_kept_as_torch_keeps_them(momentum: float | None) -> None:
    ours = trained(fx.nn.BatchNormReLU2d(5, momentum=momentum))
    torchs = trained(nn.BatchNorm2d(5, momentum=momentum))
    assert close(ours, torchs)
    assert ours.num_batches_tracked.item() == 3
    before = copy.deepcopy(ours.state_dict())
    y = ours.eval()(images(9))
    assert torch.allclose(y, torchs.eval()(images(9)).relu(), atol=1e-5)
    assert all(torch.equal(before[name], value) for name, value in ours.state_dict().items())


def test_without_running_statistics_every_batch_is_its_own() -> None:
    module = fx.nn.BatchNormReLU2d(5, affine=False, track_running_stats=False)
    y = module(images())
    assert torch.equal(module.eval()(images()), y)
    assert torch.allclose(y, F.relu(F.batch_norm(images(), None, None, training=True)), atol=1e-5)
    assert list(module.state_dict()) == []


def test_the_residual_and_the_relu_are_optional() -> None:
    x, residual = images(), images(1)
    expected = F.batch_norm(x, None, None, training=True)
    plain = fx.nn.BatchNormReLU2d(5, relu=False)
    assert torch.allclose(plain(x), expected, atol=1e-5)
    assert torch.allclose(plain(x, residual), expected + residual, atol=1e-5)
    assert torch.allclose(fx.nn.BatchNormReLU2d(5)(x, residual), (expected + residual).relu(), atol=1e-5)
    assert plain(x).is_contiguous(memory_format=torch.channels_last)


def test_states_are_torch_s() -> None:
    ours, torchs = trained(fx.nn.BatchNormReLU2d(5)), trained(nn.BatchNorm2d(5), 5)
    assert list(ours.state_dict()) == list(torchs.state_dict())
    ours.load_state_dict(torchs.state_dict())
    assert all(torch.equal(value, torchs.state_dict()[name]) for name, value in ours.state_dict().items())
    torchs.load_state_dict(trained(fx.nn.BatchNormReLU2d(5)).state_dict())
    assert torchs.num_batches_tracked.item() == 3


def test_copies_compute_the_same() -> None:
    module = trained(fx.nn.BatchNormReLU2d(5, eps=1e-3)).eval()
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin(images(9), images(8)), module(images(9), images(8)))
    assert repr(module).startswith("BatchNormReLU2d(5, eps=0.001, ")
    assert repr(module).endswith(", track_running_stats=True, relu=True)")


def test_an_empty_batch() -> None:
    module = fx.nn.BatchNormReLU2d(5)
    assert module.eval()(images()[:0]).shape == (0, 5, 6, 7)
    with pytest.raises(ValueError, match=r"x has shape \(0, 5, 6, 7\), 0 values for each channel: batch statistics"):
        module.train()(images()[:0])
    assert module.num_batches_tracked.item() == 0


def test_wrong_inputs_are_refused_before_anything_is_counted() -> None:
    module = fx.nn.BatchNormReLU2d(5)
    with pytest.raises(ValueError, match=r"weight has shape \(5,\): accepted is \(3,\), one for each channel of x"):
        module(images()[:, :3])
    with pytest.raises(TypeError, match="x is float64: accepted is float32"):
        module(images().double())
    assert module.num_batches_tracked.item() == 0
    assert torch.equal(module.running_mean, torch.zeros(5))


def net() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(5, 5, 3, padding=1), fx.nn.BatchNormReLU2d(5), nn.Flatten(), nn.Linear(210, 2))


def steps(module: nn.Module, call: nn.Module) -> list[list[float]]:
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    for seed in range(3):
        optimizer.zero_grad()
        call(images(seed)).square().sum().backward()
        optimizer.step()
    return [each.flatten().tolist() for each in module[1].state_dict().values()]


def test_compiled_training_and_export() -> None:
    eager, compiled = net(), net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's compiler about itself
        expected = steps(eager, eager)
        assert steps(compiled, torch.compile(compiled, backend="aot_eager", fullgraph=True)) == expected
        exported = torch.export.export(net(), (images(),)).module()
    torch._dynamo.reset()
    x, y = images().requires_grad_(), images().requires_grad_()
    exported(x).square().sum().backward()
    net()(y).square().sum().backward()
    assert torch.equal(x.grad, y.grad)
    assert x.grad.any()
