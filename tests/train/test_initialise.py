import math

import numpy as np
import pytest
import torch
from torch import nn

from fxsim.policies.adapt import tnvs
from fxsim.train.initialise import initialise, truncated_normal


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_samples_stay_inside_the_cut_and_have_the_truncated_deviation() -> None:
    samples = truncated_normal((400, 1000), 1000, 0.5, generator())
    assert samples.abs().max() <= tnvs.cut(1000, 0.5)
    deviation = float(samples.std()) / tnvs.sigma(1000, 0.5)
    assert math.isclose(deviation, 0.81464, abs_tol=0.002)  # 1 / sqrt(2 * 400,000) is 0.0011 of the deviation


def test_samples_are_the_quantiles_of_torchs_uniform_numbers() -> None:
    uniform = torch.rand(50, generator=generator(3), dtype=torch.float64)
    samples = truncated_normal((50,), 25, 2.0, generator(3))
    expected = [tnvs.quantile(float(u)) * tnvs.sigma(25, 2.0) for u in uniform]
    assert np.allclose(samples.numpy(), expected, rtol=1e-9, atol=1e-12)


@torch.no_grad()
def test_weights_by_fan_in_biases_by_its_root_and_normalisation_at_the_identity() -> None:
    model = nn.Sequential(nn.Conv2d(4, 64, 5, groups=2), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(64, 50))
    with torch.no_grad():
        model[1].weight.fill_(7.0)
        model[1].bias.fill_(7.0)
    initialise(model, gain=0.5, generator=generator())
    for module, fan_in in ((model[0], 2 * 25), (model[3], 64)):
        assert float(module.weight.abs().max()) <= tnvs.cut(fan_in, 0.5) * (1 + 1e-6)
        assert float(module.weight.abs().max()) > 0.95 * tnvs.cut(fan_in, 0.5)
        assert 0.8 / math.sqrt(fan_in) < float(module.bias.abs().max()) <= 1 / math.sqrt(fan_in)
        assert float(module.bias.min()) < 0.0 < float(module.bias.max())
    assert bool((model[1].weight == 1.0).all())
    assert bool((model[1].bias == 0.0).all())


def test_equal_generators_give_equal_models() -> None:
    one, two, three = nn.Linear(20, 20), nn.Linear(20, 20), nn.Linear(20, 20)
    initialise(one, generator=generator(1))
    initialise(two, generator=generator(1))
    initialise(three, generator=generator(2))
    assert torch.equal(one.weight, two.weight)
    assert torch.equal(one.bias, two.bias)
    assert not torch.equal(one.weight, three.weight)


def test_layers_without_bias_or_affine_parameters_are_no_obstacle() -> None:
    initialise(nn.Sequential(nn.Linear(3, 3, bias=False), nn.BatchNorm1d(3, affine=False), nn.ReLU()))


@pytest.mark.parametrize("gain", [0.0, -1.0])
def test_refuses_a_gain_that_is_not_positive(gain: float) -> None:
    with pytest.raises(ValueError, match="give a fan_in of at least 1 and a gain above 0"):
        initialise(nn.Linear(2, 2), gain=gain)
