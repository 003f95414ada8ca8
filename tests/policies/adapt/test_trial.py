import numpy as np
import pytest

from fxsim import reference
from fxsim.formats import Format
from fxsim.policies.adapt.trial import TRIAL_BITS, in_drawing_order, prepare, round_stochastically
from fxsim.rng import Key, uniform_bits
from fxsim.rounding import Quantizer, Stochastic

KEY = Key(2**63 + 11, 12345)

SPECIAL = [0.0, -0.0, 0.5, -0.5, 1e-45, -1e-45, 2**-16, -(2**-16), 2**-20, 127.99999, -128.0, -130.0, 3e38, -3e38, 1.0]


def draws(count: int) -> np.ndarray:
    return uniform_bits(KEY, count, TRIAL_BITS)


def tried(weight: np.ndarray, format: Format) -> list[int]:
    tensor = prepare(weight, draws(weight.size))
    out = round_stochastically(tensor.values, tensor.draws, format, np.empty_like(tensor.values))
    return [int(raw) for raw in out]


@pytest.mark.parametrize(
    "format", ["<8,4>", "<2,0>", "<32,0>", "<32,24>", "<32,32>", "<16,15>", "<8,12>", "<4,1>", "<24,20>"]
)
def test_is_the_stochastic_rounding_of_the_numerics_bit_for_bit(format: str) -> None:
    generator = np.random.default_rng(3)
    values = np.concatenate([np.array(SPECIAL), generator.normal(0, 1, 200), generator.normal(0, 1e-3, 200)])
    weight = values.astype(np.float32)
    quantizer = Quantizer(format, Stochastic(TRIAL_BITS), "saturate")
    expected, _ = reference.quantize(weight, quantizer, KEY)
    assert tried(weight, Format.parse(format)) == [int(raw) for raw in expected]


def test_convolution_weights_draw_in_channels_last_order() -> None:
    weight = np.random.default_rng(4).normal(0, 1, (3, 5, 2, 2)).astype(np.float32)
    quantizer = Quantizer("<8,4>", Stochastic(TRIAL_BITS), "saturate")
    expected, _ = reference.quantize(weight, quantizer, KEY, index_order="channels_last")
    in_order = in_drawing_order(expected)
    assert tried(weight, Format(8, 4)) == [int(raw) for raw in in_order]


def test_memory_layout_does_not_matter() -> None:
    weight = np.random.default_rng(5).normal(0, 1, (3, 4, 5, 6)).astype(np.float32)
    other = np.ascontiguousarray(weight.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert tried(weight, Format(8, 6)) == tried(other, Format(8, 6))


@pytest.mark.parametrize("scale", [1e-6, 0.01, 1.0, 100.0, 1e9])
@pytest.mark.parametrize("fl", [0, 4, 12, 31])
def test_sufficient_wl_saturates_nothing_unless_32_bits_do(scale: float, fl: int) -> None:
    weight = np.random.default_rng(6).normal(0, scale, 500).astype(np.float32)
    tensor = prepare(weight, draws(weight.size))
    wl = tensor.sufficient_wl(fl)
    assert 2 <= wl <= 32
    assert tried(weight, Format(wl, fl)) == tried(weight, Format(32, fl))


def test_refuses_what_it_cannot_try() -> None:
    with pytest.raises(ValueError, match="NaN or Inf; training has diverged: lower the learning rate"):
        prepare(np.array([1.0, np.nan], np.float32), draws(2))
    with pytest.raises(ValueError, match="NaN or Inf"):
        prepare(np.array([1.0, -np.inf], np.float32), draws(2))
    with pytest.raises(ValueError, match="0 weights and 0 random numbers; give equally many, at least 1"):
        prepare(np.empty(0, np.float32), draws(0))
    with pytest.raises(ValueError, match="2 weights and 3 random numbers"):
        prepare(np.ones(2, np.float32), draws(3))
    one = np.ones(1)
    with pytest.raises(ValueError, match=r"trial: format is <33,0>; words of at most 32 bits can be tried"):
        round_stochastically(one, one, Format(33, 0), one.copy())
