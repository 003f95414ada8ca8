import numpy as np
import pytest
import torch
from torch import nn

from fxsim.policies import TernaryRule
from fxsim.rng import Key, Role, random_bits, stream
from fxsim.train.ternary import scale_of, ternarize, ternary

GRADIENT = torch.tensor([[0.5, -0.1, 0.0, 0.25], [-0.75, 1.5, 0.01, -0.3]])


def test_the_scale_is_two_and_a_half_deviations_or_the_largest_magnitude() -> None:
    sigma = float(np.std(GRADIENT.numpy().astype(np.float64)))
    assert scale_of(GRADIENT, 1.0) == np.float32(sigma)
    assert scale_of(GRADIENT, 2.5) == 1.5  # 2.5 sigma is more
    assert scale_of(GRADIENT, 0.0) == 1.5
    assert scale_of(torch.full((3,), -0.25), 2.5) == 0.25
    assert scale_of(torch.zeros(3), 2.5) == 0.0


def test_an_element_fires_where_its_random_number_says_so_in_integers() -> None:
    key = Key(3, 5)
    found = ternary(GRADIENT, TernaryRule(clip=1.0), key)
    s = scale_of(GRADIENT, 1.0)
    for index, (g, t) in enumerate(zip(GRADIENT.flatten().tolist(), found.flatten().tolist(), strict=True)):
        fires = random_bits(key, index, 16) * s < abs(g) * 2**16
        assert t == (np.sign(g) * s if fires else 0.0)
        assert t != 0.0 or abs(g) <= s  # beyond the scale it always fires


def test_the_mean_of_the_clipped_gradient_is_kept() -> None:
    rule = TernaryRule(clip=1.0)
    mean = sum(ternary(GRADIENT, rule, Key(1, n)).double() for n in range(4000)) / 4000
    s = scale_of(GRADIENT, 1.0)
    assert torch.allclose(mean, GRADIENT.double().clamp(-s, s), atol=4 * s / 2 / 4000**0.5)


def test_the_deterministic_rule_fires_above_half_the_scale() -> None:
    g = torch.tensor([1.0, 0.5, 0.5000001, -0.5, -0.6, 0.0])
    assert ternary(g, TernaryRule(clip=0.0, stochastic=False), Key(0, 0)).tolist() == [1.0, 0.0, 1.0, 0.0, -1.0, 0.0]


@pytest.mark.parametrize(("rule", "expected"), [(TernaryRule(), "abcd"), (TernaryRule(least_elements=4), "ac")])
def test_small_tensors_may_be_exempt(rule: TernaryRule, expected: str) -> None:
    assert treated(rule) == set(expected)
    assert treated(TernaryRule(except_last=True)) == {"a", "b"}


def treated(rule: TernaryRule) -> set[str]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    names = dict(zip("abcd", net.parameters(), strict=True))
    for parameter in net.parameters():
        parameter.grad = torch.randn_like(parameter)
    before = {name: p.grad.clone() for name, p in names.items() if p.grad is not None}
    ternarize(net, rule, seed=7, step=2)
    return {name for name, p in names.items() if p.grad is not None and not torch.equal(before[name], p.grad)}


def test_every_parameter_has_its_own_stream() -> None:
    net = nn.Linear(4, 3)
    for parameter in net.parameters():
        parameter.grad = torch.linspace(-1, 1, parameter.numel()).view(parameter.shape)
    expected = [
        ternary(p.grad.clone(), TernaryRule(), Key(7, stream(number, role, 2)))
        for number, (p, role) in enumerate([(net.weight, Role.GRAD_WEIGHT), (net.bias, Role.GRAD_BIAS)])
        if p.grad is not None
    ]
    ternarize(net, TernaryRule(), seed=7, step=2)
    assert [torch.equal(p.grad, e) for p, e in zip(net.parameters(), expected, strict=True) if p.grad is not None] == [
        True,
        True,
    ]
