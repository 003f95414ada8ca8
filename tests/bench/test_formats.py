"""Steps that are compared are taken at the same formats."""

from __future__ import annotations

import pytest

from fxsim import Format
from fxsim.bench.step_resnet20 import CONTENDERS, Subject, batch, formats, require_formats, small_network
from fxsim.policies import AdaPT, AdaPTConfig
from fxsim.train.convert_for import convert_for

START = Format(8, 4)


def take(subject: Subject, steps: int) -> None:
    x, y = batch(2, 8)
    for _ in range(steps):
        subject.step(x, y)


def test_adapt_keeps_its_formats_for_more_steps_than_it_waits_by_default() -> None:
    subject = CONTENDERS["AdaPT, <8,4>"][0](small_network())
    before = formats(subject)
    assert set(before.values()) == {START}
    take(subject, 2 * AdaPTConfig().lb_lwr)
    require_formats("bench", subject, before)


def test_other_formats_than_before_are_refused() -> None:
    policy = AdaPT(AdaPTConfig(start=START, lb_lwr=1, lb_upr=1))
    subject = Subject.of(convert_for(policy, small_network()), policy)
    before = formats(subject)
    take(subject, 3)
    with pytest.raises(ValueError, match="bench, AdaPT: AdaPT chose other formats meanwhile; give fewer rounds"):
        require_formats("bench, AdaPT", subject, before)
