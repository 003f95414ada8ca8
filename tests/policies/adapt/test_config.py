import dataclasses
from fractions import Fraction
from typing import Any

import pytest

from fxsim.formats import Format
from fxsim.policies import AdaPTConfig


def test_section_2_defaults_are_the_papers() -> None:
    config = AdaPTConfig()
    assert (config.r_lwr, config.r_upr, config.lb_lwr, config.lb_upr) == (50, 150, 25, 100)
    assert config.gamma == Fraction(33, 100)
    assert config.start == Format(8, 4)
    assert (config.buff, config.wl_max, config.eps) == (8, 32, 1e-3)
    assert (config.kl_direction, config.push_up, config.grad_order) == (
        "quantized_original",
        "closed",
        "quantize_first",
    )
    assert (config.l1, config.penalty) == (1e-4, True)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"gamma": Fraction(9, 10), "start": Format(16, 8)},
        {"push_up": "alg4", "penalty": False, "l1": 0.0},
    ],
)
def test_options_round_trip_as_plain_values(changes: dict[str, Any]) -> None:
    config = AdaPTConfig(**changes)
    options = config.to_options()
    assert all(isinstance(value, str | int | float | bool) for value in options.values())
    assert AdaPTConfig.from_options(options) == config


@pytest.mark.parametrize("gamma", ["33/100", "0.33", 0.33])
def test_gamma_from_a_file_is_exact_whatever_its_spelling(gamma: str | float) -> None:
    assert AdaPTConfig.from_options({"gamma": gamma}).gamma == Fraction(33, 100)


def test_is_frozen_and_hashable() -> None:
    config = AdaPTConfig()
    assert hash(config) == hash(AdaPTConfig())
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.buff = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wl_max": 33}, "AdaPTConfig: wl_max is 33; give 2 to 32"),
        ({"buff": 25, "wl_max": 24}, "AdaPTConfig: buff is 25; give 0 to wl_max = 24"),
        ({"start": Format(32, 4), "wl_max": 24}, "AdaPTConfig: start is <32,4>; give a signed format with 2 to"),
        ({"start": Format(8, 4, signed=False)}, "AdaPTConfig: start is u<8,4>; give a signed format"),
        ({"start": Format(8, -1)}, "AdaPTConfig: start is <8,-1>; give a signed format"),
        ({"r_lwr": 151}, "AdaPTConfig: r_lwr is 151; give 1 to r_upr = 150"),
        ({"lb_lwr": 0}, "AdaPTConfig: lb_lwr is 0; give 1 to lb_upr = 100"),
        ({"gamma": Fraction(0)}, "AdaPTConfig: gamma is 0; give a number above 0 and at most 1"),
        ({"eps": 0.0}, "AdaPTConfig: eps is 0.0; give a number of bits above 0"),
        ({"l1": -1.0}, "AdaPTConfig: l1 is -1.0; give a factor of at least 0"),
        ({"random_bits": 33}, "AdaPTConfig: random_bits is 33; give 1 to 32"),
        ({"kl_direction": "both"}, "AdaPTConfig: kl_direction is both; give quantized_original, original_quantized"),
        ({"push_up": "open"}, "AdaPTConfig: push_up is open; give closed, alg4"),
        ({"grad_order": "none"}, "AdaPTConfig: grad_order is none; give quantize_first, normalize_first"),
    ],
)
def test_refuses_what_is_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        AdaPTConfig(**changes)
    assert message in str(caught.value)
