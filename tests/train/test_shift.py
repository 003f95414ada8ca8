import math
from fractions import Fraction

import torch

from fxsim.formats import Format
from fxsim.nn.codes import nearest_power
from fxsim.policies import ShiftUpdate
from fxsim.rng import Key, random_bits
from fxsim.train.shift import shift_update

RULE = ShiftUpdate(Format(8, 7))


def test_the_nearest_power_of_two_turns_at_the_square_root_of_two() -> None:
    below = math.nextafter(math.sqrt(2.0), 0)
    assert [nearest_power(x) for x in (1.0, below, 1.4143, 2.0, 0.7, 0.71, 3e-30)] == [0, 0, 1, 1, -1, 0, -98]


def test_weights_move_by_whole_steps_and_by_one_more_with_the_fractions_probability() -> None:
    weight = torch.tensor([0.0, 0.5, -0.5, 0.25, 0.0])
    gradient = torch.tensor([1.0, -0.3, 0.7, 0.0, -0.01])
    key = Key(5, 9)
    found = shift_update(weight, gradient, 8.0, RULE, key)
    for i, (w, g, f) in enumerate(zip(weight.tolist(), gradient.tolist(), found.tolist(), strict=True)):
        scaled = math.floor(abs(g) * 8.0 * 2**16)  # max |g| is 1, so its power is 0
        steps = (scaled + random_bits(key, i, 16)) >> 16
        assert f == w - math.copysign(steps, g) / 128


def test_the_scale_of_a_gradient_does_not_matter() -> None:
    weight, gradient = torch.zeros(3, 4), torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    first = shift_update(weight, gradient, 1.0, RULE, Key(0, 0))
    assert torch.equal(first, shift_update(weight, gradient * 2.0**-90, 1.0, RULE, Key(0, 0)))


def test_weights_stay_below_one_and_zero_gradients_move_nothing() -> None:
    top = torch.tensor([127 / 128, -127 / 128])
    moved = shift_update(top, torch.tensor([-1.0, 1.0]), 8.0, RULE, Key(0, 0))
    assert torch.equal(moved, top)
    assert torch.equal(shift_update(top, torch.zeros(2), 8.0, RULE, Key(0, 0)), top)


def test_a_rate_that_is_no_power_of_two_is_cut_to_24_bits_and_multiplied_exactly() -> None:
    gradient = torch.linspace(-1.0, 1.0, 64)
    found = shift_update(torch.zeros(64), gradient, 5.1, RULE, Key(2, 3))
    rate = Fraction(math.floor(5.1 * 2**21), 2**21)
    for i, (g, f) in enumerate(zip(gradient.tolist(), found.tolist(), strict=True)):
        steps = (math.floor(abs(Fraction(g)) * rate * 2**16) + random_bits(Key(2, 3), i, 16)) >> 16
        assert f == -math.copysign(steps, g) / 128
