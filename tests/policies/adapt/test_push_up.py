import math

import pytest

from fxsim.formats import Format
from fxsim.policies.adapt.push_up import add_buffer, push_up, raise_format, steps_when_vanished, suggested_steps
from fxsim.policies.adapt.strategy import Strategy

START = Format(8, 4)

ORACLE: list[tuple[Strategy, float, str]] = [
    ("min", 1, "<9,5>"),
    ("min", 2, "<9,5>"),
    ("min", 2.8, "<9,4>"),
    ("min", 3, "<9,4>"),
    ("min", 3.5, "<9,4>"),
    ("min", 4, "<9,5>"),
    ("min", 5, "<11,7>"),
    ("min", 6, "<10,6>"),
    ("min", 8, "<9,5>"),
    ("min", 20, "<9,5>"),
    ("min", math.inf, "<9,5>"),
    ("mean", 2.8, "<32,28>"),
    ("mean", 3, "<32,28>"),
    ("mean", 3.5, "<16,12>"),
    ("mean", 4, "<12,8>"),
    ("mean", 5, "<14,10>"),
    ("mean", 6, "<18,14>"),
    ("mean", 8, "<23,19>"),
    ("mean", 20, "<23,19>"),
    ("max", 3.5, "<24,20>"),
    ("max", 4, "<15,11>"),
    ("max", 5, "<16,12>"),
    ("max", 6, "<25,21>"),
    ("max", 8, "<32,28>"),
]

CHANGED_BY_THE_FLOOR = {("min", 2.8): "<9,5>", ("min", 3): "<9,5>", ("min", 3.5): "<9,5>", ("mean", 3.5): "<17,13>"}


@pytest.mark.parametrize(("strategy", "diversity", "expected"), ORACLE)
def test_section_9_oracle_of_the_authors_code_which_floors_s2_at_0(
    strategy: Strategy, diversity: float, expected: str
) -> None:
    steps = suggested_steps(diversity, START.fl, strategy, s2_floor=0)
    assert str(push_up(START, steps, 4)) == expected


@pytest.mark.parametrize(("strategy", "diversity", "reference"), ORACLE)
def test_section_9_oracle_with_s2_floored_at_1_as_the_paper_has_it(
    strategy: Strategy, diversity: float, reference: str
) -> None:
    """Differs from the authors' code in four rows, where their s2 is 0 and could leave a layer as coarse as it is."""
    expected = CHANGED_BY_THE_FLOOR.get((strategy, diversity), reference)
    assert str(push_up(START, suggested_steps(diversity, START.fl, strategy), 4)) == expected


def test_section_9_just_above_e_the_rule_jumps() -> None:
    assert suggested_steps(math.e, 4, "max") == 1
    assert suggested_steps(math.e * 1.0001, 4, "max") > 1_000_000
    assert str(push_up(START, suggested_steps(math.e * 1.0001, 4, "max"), 8)) == "<32,24>"


def test_section_9_infinite_diversity_asks_for_one_step() -> None:
    for strategy in ("min", "mean", "max"):
        assert suggested_steps(math.inf, 4, strategy) == 1


def test_mean_is_rounded_up() -> None:
    u = math.log(4) - 1
    s1, s2 = math.ceil(1 / u**2), math.ceil(32 * u**2) - 4
    assert (s1, s2) == (7, 1)
    assert suggested_steps(4, 3, "mean") == math.ceil((7 + 2) / 2)


@pytest.mark.parametrize("fl_min", range(33))
def test_section_5_vanished_gradients_raise_the_fraction_to_the_cap(fl_min: int) -> None:
    least = Format(32, fl_min)
    assert raise_format(least, steps_when_vanished(fl_min)).fl == 32
    assert str(push_up(least, steps_when_vanished(fl_min), 8)) == "<32,24>"


@pytest.mark.parametrize("buff", [0, 4, 8])
@pytest.mark.parametrize("wl_max", [16, 24, 32])
def test_words_keep_their_buffer_and_their_cap_whatever_pushdown_found(buff: int, wl_max: int) -> None:
    for wl in range(2, wl_max + 1):
        for fl in range(wl_max + 1):
            for steps in (1, 2, 7, 32, 10**9):
                new = push_up(Format(wl, fl), steps, buff, wl_max=wl_max)
                assert new.wl <= wl_max
                assert new.wl >= new.fl + buff
                assert 0 <= new.fl <= wl_max - buff


def test_section_9_word_length_follows_the_new_fraction_not_the_old() -> None:
    """The paper prints the old fractional length in both places."""
    assert str(raise_format(Format(8, 4), 10)) == "<15,14>"
    assert str(add_buffer(Format(15, 14), 8)) == "<22,14>"
