"""Numerics: what a field may be, and texts."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.rounding import OVERFLOWS, ROUNDINGS, Quantizer, Stochastic


def numerics() -> st.SearchStrategy[Numerics]:
    formats = st.builds(Format, st.integers(1, 32), st.integers(-64, 64), st.booleans())
    quantizers = st.builds(Quantizer, formats, st.sampled_from(ROUNDINGS), st.sampled_from(OVERFLOWS))
    accumulators = st.builds(Accumulator, st.none() | st.integers(1, 64), overflow=st.sampled_from(OVERFLOWS))
    optional = st.none() | quantizers
    return st.builds(
        Numerics,
        quantizers,
        quantizers,
        output=optional,
        bias=optional,
        accumulator=accumulators,
        grad_output=optional,
        grad_weight=optional,
        grad_input=optional,
        accumulator_dgrad=accumulators,
        accumulator_wgrad=accumulators,
        ste=st.sampled_from(("clipped", "pass")),
        carrier=st.sampled_from(("exact", "round")),
    )


@given(numerics())
def test_text_round_trip(given_numerics: Numerics) -> None:
    text = given_numerics.to_text()
    assert Numerics.from_text(text) == given_numerics
    assert Numerics.from_text(text).to_text() == text


@given(numerics())
def test_copies_are_equal(given_numerics: Numerics) -> None:
    assert pickle.loads(pickle.dumps(given_numerics)) == given_numerics == copy.deepcopy(given_numerics)
    assert hash(copy.deepcopy(given_numerics)) == hash(given_numerics)


def test_the_text_is_canonical_json_without_defaults() -> None:
    short = Numerics("<8,4>", Format(6, 2, False))
    assert short.to_text() == '{"weight":"<8,4>","activation":"u<6,2>"}'
    full = Numerics(
        Quantizer("<8,4>", Stochastic()), "<6,2>", "<9,3>", accumulator=Accumulator(20, lanes=2), carrier="round"
    )
    assert json.loads(full.to_text()) == {
        "weight": "<8,4>,stochastic(16,truncate)",
        "activation": "<6,2>",
        "output": "<9,3>",
        "accumulator": "20 lanes=2",
        "carrier": "round",
    }


def test_fields_become_quantizers() -> None:
    made = Numerics("<8,4>,floor", Format(6, 2), grad_output="ap_fixed<8,4>")
    assert made.weight == Quantizer("<8,4>", "floor")
    assert made.activation == Quantizer("<6,2>")
    assert made.grad_output == Quantizer("<8,4>", "floor", "wrap")
    assert made.output is None


def test_a_bias_is_quantized_as_the_weight_unless_told() -> None:
    assert Numerics("<8,4>,floor", "<6,2>").bias_quantizer == Quantizer("<8,4>", "floor")
    assert Numerics("<8,4>,floor", "<6,2>", bias="<16,8>").bias_quantizer == Quantizer("<16,8>")


def test_with_format_keeps_the_modes() -> None:
    made = Numerics(
        "<8,4>,floor", "u<6,2>,ceil,wrap", "<9,3>", grad_weight="<9,3>,zero", accumulator=Accumulator(20), ste="pass"
    )
    assert made.with_format(Format(5, 1)) == Numerics(
        "<5,1>,floor", "<5,1>,ceil,wrap", "<5,1>", grad_weight="<5,1>,zero", accumulator=Accumulator(20), ste="pass"
    )


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"weight": 8}, TypeError, "Numerics: weight: a Quantizer, a Format or a text"),
        ({"weight": None}, TypeError, "Numerics: weight: a Quantizer, a Format or a text"),
        ({"output": "<99,0>"}, ValueError, "Numerics: output: Format: wl = 99"),
        ({"grad_input": "<8,0>,up"}, ValueError, "Numerics: grad_input: rounding = 'up'"),
        ({"accumulator": 32}, TypeError, "Numerics: accumulator: an Accumulator is needed, not int"),
        ({"accumulator_wgrad": None}, TypeError, "Numerics: accumulator_wgrad: an Accumulator is needed, not NoneType"),
        ({"ste": "hard"}, ValueError, "Numerics: ste = 'hard': accepted are clipped, pass"),
        ({"carrier": "float"}, ValueError, "Numerics: carrier = 'float': accepted are exact, round"),
    ],
)
def test_what_is_refused(changed: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Numerics(**{"weight": "<8,4>", "activation": "<8,4>"} | changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<8,4>", "is not JSON"),
        ("[1]", "an object with weight and activation is needed"),
        ('{"weight":"<8,4>"}', "an object with weight and activation is needed"),
        ('{"weight":"<8,4>","activation":"<8,4>","bits":"8"}', "its other fields may be output, bias, accumulator"),
    ],
)
def test_texts_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Numerics.from_text(text)
