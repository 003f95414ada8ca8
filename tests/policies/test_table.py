import numpy as np
import pytest

from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.policies import (
    POLICIES,
    SQ,
    AdaPT,
    Float32,
    GradientRule,
    LayerObservation,
    LayerShape,
    Observation,
    Policy,
    Sakr,
    Static,
    Switch,
    build,
)

LAYER = LayerShape("fc", (4, 8), 0)


def observation(step: int) -> Observation:
    gradient = np.random.default_rng(step).normal(0, 1, LAYER.shape)
    unit = (gradient / np.linalg.norm(gradient)).astype(np.float32)
    weight = np.random.default_rng(99).normal(0, 0.1, LAYER.shape).astype(np.float32)
    return Observation(step, 1.0, (LayerObservation("fc", weight, unit),))


def test_the_table_names_each_policy_as_it_names_itself() -> None:
    for name, policy in {"float32": Float32, "static": Static, "adapt": AdaPT, "sakr": Sakr, "sq": SQ}.items():
        assert POLICIES[name].policy is policy
    for name, row in POLICIES.items():
        policy = build(name)
        assert type(policy) is row.policy
        assert policy.name == name


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_is_deterministic_and_its_state_round_trips(name: str) -> None:
    first, second = build(name), build(name)
    for policy in (first, second):
        policy.plan(80)
    starts = [policy.start((LAYER,), seed=3) for policy in (first, second)]
    assert starts[0] == starts[1]
    for step in range(40):
        assert first.observe(observation(step)) == second.observe(observation(step))
    restored = build(name)
    restored.plan(80)
    restored.start((LAYER,), seed=8)
    restored.load_state_dict(first.state_dict())
    assert dict(restored.formats) == dict(first.formats)
    for step in range(40, 80):
        assert restored.observe(observation(step)) == first.observe(observation(step))


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_can_be_built_from_its_own_options(name: str) -> None:
    assert repr(build(name, POLICIES[name].options)) == repr(build(name))


def test_unknown_names_and_options_are_refused_with_what_is_accepted() -> None:
    with pytest.raises(ValueError, match="policy 'adpat' is unknown; give one of float32, static, adapt, "):
        build("adpat")
    with pytest.raises(ValueError, match="policy 'static' has no option bits; its options are: numerics"):
        build("static", {"bits": 8})
    with pytest.raises(ValueError, match="policy 'float32' has no option bits; its options are: none"):
        build("float32", {"bits": 8})


def test_static_of_a_format_computes_everything_in_it() -> None:
    for given in ("<12,8>", Format(12, 8)):
        numerics = Static(given).start_numerics()
        assert numerics == Numerics("<12,8>", "<12,8>", "<12,8>", carrier="round")
    own = Numerics("<8,7>", "<8,4>", None)
    assert Static(own).start_numerics() is own
    assert Static(own.to_text()).start_numerics() == own
    assert Static(own).start((LAYER,), 0).formats == {"fc": Format(8, 7)}


def test_static_refuses_what_is_no_arithmetic_and_the_state_of_another() -> None:
    with pytest.raises(TypeError, match="Static: numerics is a int; give a Numerics, a Format or a text of either"):
        Static(8)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"saved with numerics = .*, this static policy has"):
        Static("<8,4>").load_state_dict(Static("<8,5>").state_dict())


def test_float32_has_no_arithmetic_of_its_own() -> None:
    policy: Policy = Float32()
    assert policy.start_numerics() is None
    assert policy.numerics_for(Format(8, 4)) is None
    assert policy.start((LAYER,), 0).formats == {}
    assert (policy.gradient_rule, policy.loss_rule, policy.adaptive) == (None, None, False)


def test_a_switch_may_confirm_the_old_format() -> None:
    old = Format(8, 4)
    assert not Switch(0, "fc", old, Format(8, 4), "min").changed
    assert Switch(0, "fc", old, Format(9, 4), "min").changed


def test_a_gradient_rule_has_one_of_two_orders() -> None:
    with pytest.raises(ValueError, match="order is 'both'; give one of quantize_first, normalize_first"):
        GradientRule("both")  # type: ignore[arg-type]
