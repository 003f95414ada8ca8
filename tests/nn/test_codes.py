"""Layers of BinaryNet, DoReFa and WAGE against their definitions."""

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

import fxsim as fx
from fxsim.nn.activations import Clamp, Sign
from fxsim.nn.codes import dorefa_codes, wage_shift

GENERATOR = torch.Generator().manual_seed(4)


def linear(numerics: fx.Numerics, weight: Tensor) -> fx.nn.Linear:
    layer = fx.nn.Linear(weight.shape[1], weight.shape[0], bias=False, numerics=numerics)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


def test_a_clip_passes_gradients_at_its_bounds() -> None:
    x = torch.tensor([-0.1, 0.0, 1.0, 2.0, 2.1], requires_grad=True)
    y = Clamp(0.0, 2.0)(x)
    y.sum().backward()
    assert y.tolist() == [0.0, 0.0, 1.0, 2.0, 2.0]
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]


def test_the_sign_of_zero_is_one_and_gradients_pass_up_to_one() -> None:
    x = torch.tensor([-1.5, -1.0, -0.0, 0.0, 0.5, 1.0, 1.01], requires_grad=True)
    y = Sign()(x)
    (3.0 * y).sum().backward()
    assert y.tolist() == [-1, -1, 1, 1, 1, 1, 1]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 3, 3, 3, 3, 3, 0]


def test_a_sign_layer_multiplies_signs_and_masks_large_weights() -> None:
    weight = torch.tensor([[0.3, -0.2, -1.5], [0.0, 2.0, -0.9]])
    layer = linear(fx.Numerics("<2,0>", "<2,0>", code="sign"), weight)
    assert layer.int_weight().raw.tolist() == [[1, -1, -1], [1, 1, -1]]
    x = torch.tensor([[1.0, -1.0, 1.0]], requires_grad=True)
    y = layer(x)
    assert y.tolist() == [[1.0, -1.0]]
    (y * torch.tensor([[2.0, 3.0]])).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[2, -2, 0], [3, 0, 3]]
    assert x.grad is not None
    assert x.grad.tolist() == [[5.0, 1.0, -5.0]]


def test_a_coded_layer_has_no_bias() -> None:
    with pytest.raises(ValueError, match=r"Linear: numerics.code = 'sign': such layers have no bias; remove it"):
        fx.nn.Linear(3, 2, numerics=fx.Numerics("<2,0>", "<2,0>", code="sign"))
    with pytest.raises(ValueError, match="Numerics: code = 'signs': accepted are round, sign, dorefa, wage"):
        fx.Numerics("<2,0>", "<2,0>", code="signs")


@pytest.mark.parametrize("bits", [2, 3, 5])
def test_dorefa_weights_are_odd_integers_between_the_extremes(bits: int) -> None:
    weight = torch.randn(4, 6, generator=GENERATOR)
    layer = linear(fx.Numerics(f"<{bits + 1},0>", "u<2,0>", ste="pass", code="dorefa"), weight)
    t = torch.tanh(weight.double())
    top = 2**bits - 1
    expected = 2 * torch.round((t / (2 * t.abs().max()) + 0.5) * top) - top
    assert torch.equal(layer.int_weight().raw.double(), expected)
    assert int(layer.int_weight().raw.abs().max()) == top
    x = torch.rand(5, 6, generator=GENERATOR)
    codes = torch.round(x.double() * 3)
    scaled = codes @ expected.t() * ((1.0 / top) / 3)
    assert torch.equal(layer(x), scaled.float())


def test_dorefa_of_one_bit_is_the_mean_magnitude_times_signs_and_passes_gradients() -> None:
    weight = torch.tensor([[0.5, -0.25], [0.0, -1.25]])
    layer = linear(fx.Numerics("<2,0>", "u<2,0>", ste="pass", code="dorefa"), weight)
    x = torch.tensor([[1.0, 1 / 3]])
    assert torch.equal(layer(x), torch.full((1, 2), 0.5 * (3 - 1) / 3, dtype=torch.float64).float())
    y = layer(x)
    y.backward(torch.tensor([[63.0, -63.0]]))  # extremes are levels, so nothing is rounded
    assert layer.weight.grad is not None
    assert torch.allclose(layer.weight.grad, 63.0 * torch.tensor([[1.0, 1 / 3], [-1.0, -1 / 3]]))


def test_dorefa_gradient_codes_are_decided_on_integers() -> None:
    top = torch.tensor([[3.0]], dtype=torch.float64)
    values = [3.0, -3.0, 0.0, 1.1, -0.7, 2.9999, -1e-20]
    g = torch.tensor([values], dtype=torch.float64)
    for draw in (0, 1, 2**15 - 1, 2**15, 2**16 - 1):
        found = dorefa_codes(g, top, torch.full_like(g, draw))
        for value, code in zip(values, found[0].tolist(), strict=True):
            exact = 63 * (Fraction(value) / 6)
            cut = math.floor(exact * 2**16) + 63 * 2**15
            assert code == (cut + draw) >> 16


def test_dorefa_gradients_of_zero_become_plus_or_minus_one_step_and_cancel() -> None:
    layer = linear(fx.Numerics("<2,0>", "u<2,0>", ste="pass", code="dorefa"), torch.eye(2))
    x = torch.ones(64, 2, requires_grad=True)
    g = torch.zeros(64, 2)
    g[:32, 0] = 63.0  # samples 32 ... 63 have no gradient at all, and keep none
    layer(x).backward(g)
    assert x.grad is not None
    other = x.grad[:32] / (0.5 / 3 * 3)  # rows of signs: [1, 1] each, as sign(0) = 1
    assert set((other[:, 0] - 63.0).tolist()) == {-1.0, 1.0}
    assert not bool(x.grad[32:].any())


def test_wage_scalings_of_lenet5_are_2_4_8_4_4() -> None:
    assert [2 ** wage_shift(fan_in) for fan_in in (25, 150, 400, 120, 84)] == [2, 4, 8, 4, 4]
    assert wage_shift(1) == 0


def test_a_wage_layer_multiplies_ternary_words_and_drops_the_scale_of_its_error() -> None:
    numerics = fx.policies.Wage().start_numerics()
    assert numerics is not None
    weight = torch.tensor([[0.75, -0.25, -0.3], [0.24, 0.26, 0.0]])
    layer = linear(numerics, weight)
    assert layer.int_weight().raw.tolist() == [[1, 0, -1], [0, 1, 0]]
    x = torch.tensor([[0.5, 0.25, -1.5]], requires_grad=True)
    y = layer(x)
    assert y.tolist() == [[(0.25 + 127 / 256), 0.125]]  # fan-in 3: limit 1, no scaling; -1.5 saturates at -127/128
    y.backward(torch.tensor([[3e-9, -1e-9]]))
    power = round(math.log2(3e-9))
    errors = [round(3e-9 * 2.0**-power * 128), round(-1e-9 * 2.0**-power * 128)]
    assert x.grad is not None
    saturated = [min(max(e, -127), 127) / 128 for e in errors]
    assert x.grad.tolist() == [[saturated[0] / 2, saturated[1] / 2, 0.0]]  # the third input was clipped


def test_a_code_is_part_of_a_layers_state() -> None:
    numerics = fx.Numerics("<2,0>", "<2,0>", code="sign")
    assert fx.Numerics.from_text(numerics.to_text()) == numerics
    assert "code" not in fx.Numerics("<8,4>", "<8,4>").to_text()
    layer = linear(numerics, torch.ones(2, 3))
    other = fx.nn.Linear(3, 2, bias=False, numerics=fx.Numerics("<8,4>", "<8,4>"))
    other.load_state_dict(layer.state_dict())
    assert other.numerics == numerics
