import math

import pytest

from fxsim.policies.adapt import tnvs


def test_section_3_std_after_truncation_is_0_81464_sigma() -> None:
    assert round(tnvs.std_after_truncation(), 5) == 0.81464


def test_std_after_truncation_agrees_with_integration_of_the_quantile_function() -> None:
    steps = 20_000
    second_moment = sum(tnvs.quantile((i + 0.5) / steps) ** 2 for i in range(steps)) / steps
    assert math.isclose(math.sqrt(second_moment), tnvs.std_after_truncation(), rel_tol=1e-6)


def test_sigma_and_cut_of_a_known_layer() -> None:
    assert tnvs.sigma(fan_in=200, gain=0.5) == 0.05
    assert math.isclose(tnvs.cut(fan_in=150, gain=0.5), 0.1, rel_tol=1e-15)


def test_the_cut_is_where_a_uniform_distribution_of_the_same_variance_ends() -> None:
    sigma = tnvs.sigma(400, 0.5)
    assert math.isclose(tnvs.cut(400, 0.5) ** 2 / 3.0, sigma**2, rel_tol=1e-12)


def test_quantile_ends_at_the_truncation_and_is_odd_about_one_half() -> None:
    assert tnvs.quantile(0.0) >= -tnvs.CUT_IN_SIGMAS
    assert math.isclose(tnvs.quantile(0.0), -tnvs.CUT_IN_SIGMAS, rel_tol=1e-12)
    assert math.isclose(tnvs.quantile(1.0), tnvs.CUT_IN_SIGMAS, rel_tol=1e-12)
    assert tnvs.quantile(1.0) <= tnvs.CUT_IN_SIGMAS
    assert math.isclose(tnvs.quantile(0.25), -tnvs.quantile(0.75), rel_tol=1e-12)


@pytest.mark.parametrize(
    ("layers", "normalized", "gain"), [(5, False, 0.5), (6, False, 2.0), (20, True, 0.5), (8, False, 2.0)]
)
def test_recommended_gain_is_2_only_for_deep_plain_nets(layers: int, normalized: bool, gain: float) -> None:
    assert tnvs.recommended_gain(layers, normalized=normalized) == gain


def test_refuses_a_share_or_a_fan_in_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"tnvs: u is 1.5; give a share between 0 and 1"):
        tnvs.quantile(1.5)
    with pytest.raises(ValueError, match=r"tnvs: fan_in is 0 and gain is 0.5; give a fan_in of at least 1"):
        tnvs.sigma(0, 0.5)
