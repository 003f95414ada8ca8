import pytest

from fxsim.formats import Format
from fxsim.policies import Sakr, build
from fxsim.policies.base import LayerShape, Observation
from fxsim.policies.sakr import Assignment, LayerAssignment, LayerMeasurement, assign
from fxsim.policies.sakr.assign import feedforward

LAYER = LayerAssignment(
    weight=6,
    activation=5,
    weight_gradient=9,
    weight_gradient_range=-2,
    activation_gradient=8,
    activation_gradient_range=-6,
    accumulator=12,
    input_gradient_range=-4,
)


def measurement(**changes: float) -> LayerMeasurement:
    values = {
        "weights": 150,
        "weight_noise_gain": 64.0,
        "activation_noise_gain": 1.0,
        "weight_sigma_max": 0.1,
        "weight_sigma_min": 0.01,
        "activation_sigma_max": 0.001,
        "sensitivity": 2400.0,
        "input_sigma_max": 0.002,
        **changes,
    }
    return LayerMeasurement(**values)  # type: ignore[arg-type]


def test_the_formats_of_a_layer_have_the_ranges_of_the_method() -> None:
    assert LAYER.weight_format == Format(6, 5)
    assert (LAYER.weight_format.min, LAYER.weight_format.max) == (-1.0, 1.0 - 2**-5)
    assert LAYER.activation_format == Format(5, 4, signed=False)
    assert LAYER.activation_format.max == 2.0 - 2**-4
    assert LAYER.weight_gradient_format == Format(9, 10)
    assert LAYER.weight_gradient_format.min == -0.25
    assert LAYER.activation_gradient_format.min == -(2.0**-6)


def test_a_layer_rounds_to_nearest_away_and_hands_on_sums_that_do_not_decide_a_tie() -> None:
    numerics = LAYER.numerics()
    assert {str(q.rounding) for q in (numerics.weight, numerics.activation)} == {"nearest_away"}
    assert str(numerics.output) == "<24,16>,floor"
    assert str(numerics.bias) == "<32,9>,nearest_away"
    assert str(numerics.grad_output) == "<8,13>,nearest_away"
    assert str(numerics.grad_weight) == "<9,10>,nearest_away"
    assert str(numerics.grad_input) == "<24,25>,zero"
    assert numerics.ste == "pass"


def test_c_o_plus_and_minus_one_move_precisions_and_leave_ranges() -> None:
    moved = LAYER.shifted(1)
    assert moved.bits == type(LAYER.bits)(7, 6, 10, 9, 13)
    assert (moved.weight_gradient_range, moved.activation_gradient_range) == (-2, -6)
    assert moved.shifted(-1) == LAYER
    assert Assignment({"a": LAYER}).shifted(-1).layers["a"].weight == 5


def test_precisions_below_the_least_are_raised_with_a_warning() -> None:
    text = r"sakr: precisions were raised to the least there is: activation from 1 to 2, accumulator from 0 to 1"
    with pytest.warns(UserWarning, match=text):
        raised = LayerAssignment(
            weight=2,
            activation=1,
            weight_gradient=4,
            weight_gradient_range=0,
            activation_gradient=4,
            activation_gradient_range=0,
            accumulator=0,
        )
    assert (raised.activation, raised.accumulator) == (2, 1)


def test_an_assignment_is_its_text() -> None:
    assignment = Assignment({"conv1": LAYER, "fc": LAYER.shifted(1)})
    assert Assignment.from_text(assignment.to_text()) == assignment
    with pytest.raises(ValueError, match=r"sakr: the assignment is no text of Assignment.to_text"):
        Assignment.from_text('{"conv1": {"weight": 3}}')


def test_b_min_is_swept_upwards_until_the_mismatch_is_below_the_target() -> None:
    asked = []

    def mismatch(bits: dict[str, tuple[int, int]]) -> float:
        asked.append(dict(bits))
        return 0.5 / len(asked) ** 2

    measurements = {"a": measurement(), "b": measurement(weight_noise_gain=16.0, activation_noise_gain=4.0)}
    found = feedforward(measurements, mismatch, target=0.05)  # type: ignore[arg-type]
    # offsets: E_W 64 -> 3, 16 -> 2; E_A 1 -> 0, 4 -> 1; 0.5 / 16 is the first below 0.05
    assert found == {"a": (7, 4), "b": (6, 5)}
    assert asked[0] == {"a": (4, 2), "b": (3, 2)}
    assert len(asked) == 4


def test_the_image_has_no_more_than_8_bits() -> None:
    measurements = {"a": measurement(activation_noise_gain=4.0**9), "b": measurement(activation_noise_gain=4.0**9)}
    found = feedforward({**measurements, "c": measurement()}, lambda bits: 0.0, target=0.01)
    assert (found["a"][1], found["b"][1]) == (8, 10)


def test_a_target_that_12_bits_miss_is_an_error() -> None:
    with pytest.raises(
        ValueError, match=r"sakr: no B_min up to 12 has a mismatch below 0.01 \(the last is 0.2\); raise"
    ):
        assign({"a": measurement()}, lambda bits: 0.2, least_learning_rate=0.125)
    with pytest.raises(ValueError, match="sakr: there are no layers to assign precisions to"):
        assign({}, lambda bits: 0.0, least_learning_rate=0.125)
    with pytest.raises(ValueError, match=r"sakr: weight_sigma_min was measured as 0.0; a layer needs finite gradients"):
        measurement(weight_sigma_min=0.0)


def test_assign_puts_the_equations_together() -> None:
    layer = assign({"a": measurement()}, lambda bits: 0.0, least_learning_rate=2**-6).layers["a"]
    # r_GW = 2^ceil(log2 0.2) = 2^-2, D_GW = 2^floor(log2 0.0025) = 2^-9: 8 bits
    assert (layer.weight_gradient, layer.weight_gradient_range) == (8, -2)
    # r_GA = 2^ceil(log2 0.004) = 2^-7, D_GA = 2^floor(log2(2^-9 sqrt(150 / 2400))) = 2^-11: 5 bits
    assert (layer.activation_gradient, layer.activation_gradient_range) == (5, -7)
    # B_W is offset 3 plus B_min 1, B_acc 15 - 4 + 1
    assert (layer.weight, layer.activation, layer.accumulator) == (4, 2, 12)
    assert layer.input_gradient_range == -6


def test_the_policy_gives_each_layer_its_own_arithmetic_and_word() -> None:
    policy = Sakr(Assignment({"a": LAYER, "b": LAYER.shifted(1)}), offset=-1)
    decision = policy.start((LayerShape("a", (2, 3)), LayerShape("b", (2, 2))), seed=0)
    assert decision.formats == {"a": Format(5, 4), "b": Format(6, 5)}
    assert [switch.reason for switch in decision.switches] == ["assigned", "assigned"]
    assert policy.numerics_of("b") == LAYER.numerics()
    assert policy.update_rule is not None
    assert policy.update_rule.words == {"a": (5, 11), "b": (6, 12)}
    assert policy.observe(Observation(0, 1.0, ())) == type(decision)(decision.formats)


def test_the_policy_refuses_what_it_cannot_assign() -> None:
    with pytest.raises(
        ValueError, match="the assignment has no precisions for b; it has those of a: measure the model"
    ):
        Sakr(Assignment({"a": LAYER})).start((LayerShape("a", (2, 3)), LayerShape("b", (2, 2))), seed=0)
    with pytest.raises(ValueError, match="Sakr: offset is 2; give -1, 0 or 1"):
        build("sakr", {"offset": 2})


def test_the_policys_state_holds_an_assignment_that_was_measured() -> None:
    layers = (LayerShape("a", (2, 3)),)
    policy, resumed = Sakr(), Sakr()
    policy.adopt(Assignment({"a": LAYER}))
    policy.start(layers, seed=0)
    resumed.start(layers, seed=0)
    assert resumed.formats == {"a": Format(16, 15)}
    resumed.load_state_dict(policy.state_dict())
    assert resumed.formats == {"a": Format(6, 5)}
    assert resumed.assignment == policy.assignment
    with pytest.raises(ValueError, match="saved with offset = 0, this sakr policy has 1"):
        Sakr(offset=1).load_state_dict(policy.state_dict())
