"""Accumulators: what is refused, texts, and what every default means once the operands are known."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxsim.accumulator import Accumulator, Resolved, resolve
from fxsim.formats import Format
from fxsim.rounding import OVERFLOWS, ROUNDINGS, TAILS, Quantizer, Rounding, Stochastic

S8 = Format(8, 4)
S6 = Format(6, 1)
U8 = Format(8, 4, False)
U6 = Format(6, 1, False)


def modes() -> st.SearchStrategy[Rounding]:
    return st.sampled_from(ROUNDINGS) | st.builds(Stochastic, st.integers(1, 32), st.sampled_from(TAILS))


def accumulators() -> st.SearchStrategy[Accumulator]:
    formats = st.builds(Format, st.integers(1, 63), st.integers(-192, 192), st.booleans())
    common = {
        "format": st.none() | st.integers(1, 64) | formats,
        "rounding": modes(),
        "overflow": st.sampled_from(OVERFLOWS),
        "at": st.sampled_from(("step", "end")),
        "lanes": st.integers(1, 9),
    }
    outer = st.none() | st.builds(Accumulator, **common)
    only_inner = {
        "product": st.none() | formats | st.builds(Quantizer, formats, modes(), st.sampled_from(OVERFLOWS)),
        "bias": st.sampled_from(("after", "preload")),
        "k_order": st.sampled_from(("kh_kw_cin", "cin_kh_kw")),
    }
    plain = st.builds(Accumulator, **common, **only_inner)
    return plain | st.builds(Accumulator, **common, **only_inner, chunk=st.integers(1, 99), outer=outer)


@given(accumulators())
def test_text_round_trip(acc: Accumulator) -> None:
    assert Accumulator.parse(str(acc)) == acc


@given(accumulators())
def test_copies_are_equal(acc: Accumulator) -> None:
    assert pickle.loads(pickle.dumps(acc)) == acc == copy.deepcopy(acc)
    assert hash(copy.deepcopy(acc)) == hash(acc)


@pytest.mark.parametrize(
    ("acc", "text"),
    [
        (Accumulator(), "exact"),
        (Accumulator(32, overflow="WRAP"), "32 overflow=wrap"),
        (Accumulator("<20,8>", "TRN", at="end"), "<20,8> rounding=floor at=end"),
        (Accumulator(20, product="<9,2>"), "20 product=<9,2>,nearest_even,saturate"),
        (
            Accumulator(16, chunk=8, outer=Accumulator(24, lanes=2), bias="preload"),
            "16 chunk=8 outer=[24 lanes=2] bias=preload",
        ),
    ],
)
def test_texts(acc: Accumulator, text: str) -> None:
    assert str(acc) == text
    assert repr(acc) == f"Accumulator.parse('{text}')"


@pytest.mark.parametrize(
    "text", ["", "exact lanes", "exact lanes=2 lanes=3", "exact width=3", "exact lanes=two", "exact format=8", "wide"]
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an accumulator|is not a count|is not a format"):
        Accumulator.parse(text)


def test_a_bare_product_format_takes_the_accumulators_modes() -> None:
    expected = Quantizer("<9,2>", "floor", "wrap")
    assert Accumulator(20, "floor", "wrap", product=Format(9, 2)).product == expected
    assert Accumulator(20, "floor", "wrap", product="<9,2>").product == expected
    assert Accumulator(20, "floor", "wrap", product="ap_fixed<9,7>").product == expected
    assert Accumulator(None, "floor", "wrap", product="<9,2>").product == expected


def test_a_product_with_modes_brings_its_own() -> None:
    quantizer = Quantizer("<9,2>", "nearest_even", "saturate")
    assert Accumulator(20, "floor", "wrap", product=quantizer).product == quantizer
    assert Accumulator(20, "floor", "wrap", product="<9,2>,ceil").product == Quantizer("<9,2>", "ceil", "saturate")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"format": 0}, ValueError, "format = 0: an accumulator has 1 to 64 bits"),
        ({"format": 65}, ValueError, "format = 65: an accumulator has 1 to 64 bits"),
        ({"format": 8.0}, TypeError, "Accumulator: format = 8.0"),
        ({"format": "wide"}, ValueError, "'wide' is not a format"),
        ({"rounding": "up"}, ValueError, "rounding = 'up'"),
        ({"overflow": "clip"}, ValueError, "overflow = 'clip'"),
        ({"at": "last"}, ValueError, "at = 'last': accepted are step, end"),
        ({"product": 8}, TypeError, "product = 8: a Quantizer, a Format or a text is needed"),
        ({"product": "<99,0>"}, ValueError, "wl = 99"),
        ({"lanes": 0}, ValueError, "lanes = 0: 1 or more is needed"),
        ({"lanes": True}, TypeError, "lanes = True: an integer is needed, not bool"),
        ({"chunk": 0}, ValueError, "chunk = 0: 1 or more is needed"),
        ({"bias": "before"}, ValueError, "bias = 'before': accepted are after, preload"),
        ({"k_order": "cin"}, ValueError, "k_order = 'cin': accepted are kh_kw_cin, cin_kh_kw"),
        ({"outer": Accumulator()}, ValueError, "chunk is None; give chunk, or drop outer"),
        ({"chunk": 2, "outer": 16}, TypeError, "outer = 16: an Accumulator is needed, not int"),
        ({"chunk": 2, "outer": Accumulator(chunk=2)}, ValueError, "outer has chunk = 2, which only the inner"),
        ({"chunk": 2, "outer": Accumulator(product="<8,0>")}, ValueError, "outer has product = <8,0>,nearest_even"),
        ({"chunk": 2, "outer": Accumulator(bias="preload")}, ValueError, "outer has bias = preload"),
        ({"chunk": 2, "outer": Accumulator(k_order="cin_kh_kw")}, ValueError, "outer has k_order = cin_kh_kw"),
    ],
)
def test_what_is_refused(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Accumulator(**arguments)  # type: ignore[arg-type]


def test_the_exact_default() -> None:
    assert resolve(Accumulator(), S8, S6, 100) == Resolved(
        product=None,
        inner=None,
        at="step",
        lanes=1,
        chunk=None,
        outer=None,
        outer_at="step",
        outer_lanes=1,
        preload=False,
        output=None,
        result=Format(8 + 6 + 7, 5),
    )


@pytest.mark.parametrize(("k", "growth"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10), (1025, 11)])
def test_an_exact_result_grows_with_k(k: int, growth: int) -> None:
    assert resolve(Accumulator(), S8, S6, k).result == Format(14 + growth, 5)


@pytest.mark.parametrize(("a", "b", "signed"), [(S8, S6, True), (U8, S6, True), (S8, U6, True), (U8, U6, False)])
def test_an_exact_result_is_signed_if_an_operand_is(a: Format, b: Format, signed: bool) -> None:
    assert resolve(Accumulator(), a, b, 4).result == Format(16, 5, signed)


@pytest.mark.parametrize(
    ("a", "bias", "expected"),
    [
        # k = 4: w_p = 14 + 2 (+ fl), and the sum of the two parts takes one bit more than the wider
        (S8, Format(10, 5), Format(17, 5)),
        (S8, Format(24, 5), Format(25, 5)),
        (S8, Format(10, 7), Format(19, 7)),
        (S8, Format(10, 1), Format(17, 5)),
        (S8, Format(14, 1), Format(19, 5)),
        (S8, Format(18, 5, False), Format(20, 5)),
        (S8, Format(10, 5, False), Format(17, 5)),
        (U8, Format(10, 5, False), Format(17, 5, False)),
        (U8, Format(10, 5), Format(18, 5)),
        (U8, Format(20, 5), Format(21, 5)),
        (U8, Format(40, -10), Format(56, 5)),
        (U8, Format(60, -10), Format(64, 5)),
        (U8, Format(60, -10, False), Format(63, 5, False)),
    ],
)
@pytest.mark.parametrize("place", ["after", "preload"])
def test_an_exact_result_with_a_bias(a: Format, bias: Format, expected: Format, place: str) -> None:
    b = S6 if a.signed else U6
    resolved = resolve(Accumulator(bias=place), a, b, 4, bias=bias)
    assert resolved.result == expected
    assert (resolved.preload, resolved.output) == (False, None)


def test_an_exact_result_has_at_most_64_bits() -> None:
    wide, unsigned = Format(32, 0), Format(32, 0, False)
    assert resolve(Accumulator(), wide, wide, 1).result == Format(64, 0)
    assert resolve(Accumulator(), wide, wide, 1000).result == Format(64, 0)
    assert resolve(Accumulator(), unsigned, unsigned, 1).result == Format(63, 0, False)


def test_a_width_stands_at_the_products_point() -> None:
    resolved = resolve(Accumulator(20, "floor", "wrap"), S8, S6, 9)
    assert resolved.inner == Quantizer(Format(20, 5), "floor", "wrap")
    assert resolved.result == Format(20, 5)
    assert resolved.output is None


@pytest.mark.parametrize(("a", "b", "signed"), [(S8, S6, True), (U8, S6, True), (S8, U6, True), (U8, U6, False)])
def test_a_width_is_signed_if_what_enters_is(a: Format, b: Format, signed: bool) -> None:
    assert resolve(Accumulator(20), a, b, 9).result == Format(20, 5, signed)


def test_a_width_is_signed_if_a_preloaded_bias_is() -> None:
    bias = Format(9, 3)
    assert resolve(Accumulator(20, bias="preload"), U8, U6, 9, bias=bias).result == Format(20, 5)
    assert resolve(Accumulator(20, bias="after"), U8, U6, 9, bias=bias).result == Format(20, 5, False)
    chunked = resolve(Accumulator(20, bias="preload", chunk=4, outer=Accumulator(24)), U8, U6, 9, bias=bias)
    assert (chunked.inner, chunked.outer) == (Quantizer("u<20,5>"), Quantizer("<24,5>"))


def test_64_unsigned_bits_are_refused() -> None:
    assert resolve(Accumulator(64), S8, S6, 9).result == Format(64, 5)
    with pytest.raises(ValueError, match=r"matmul: an accumulator of 64 bits is unsigned here.*such as <64,5>"):
        resolve(Accumulator(64), U8, U6, 9)


def test_a_named_format_is_taken_as_it_is() -> None:
    assert resolve(Accumulator("u<20,9>"), S8, S6, 9).inner == Quantizer("u<20,9>")


def test_a_product_register_takes_the_place_of_the_product() -> None:
    named = resolve(Accumulator(20, "floor", product="u<9,2>"), S8, S6, 9)
    assert named.product == Quantizer("u<9,2>", "floor")
    assert named.inner == Quantizer("u<20,2>", "floor")
    assert resolve(Accumulator(product="u<9,2>"), S8, S6, 9).result == Format(13, 2, False)
    assert resolve(Accumulator(product="<60,100>"), S8, S6, 9).result == Format(64, 100)


def test_chunks_of_a_named_accumulator_enter_in_its_format() -> None:
    acc = Accumulator("<12,3>", chunk=4)
    resolved = resolve(acc, U8, U6, 9)
    assert (resolved.chunk, resolved.outer) == (4, None)
    assert resolved.result == Format(12 + 2, 3)  # three chunk results
    assert resolve(acc, U8, U6, 0).result == Format(12, 3)
    outer = Accumulator(16, "ceil", "wrap", "end", lanes=2)
    assert resolve(replace(acc, outer=outer), U8, U6, 9) == Resolved(
        product=None,
        inner=Quantizer("<12,3>"),
        at="step",
        lanes=1,
        chunk=4,
        outer=Quantizer("<16,3>", "ceil", "wrap"),
        outer_at="end",
        outer_lanes=2,
        preload=False,
        output=None,
        result=Format(16, 3),
    )


def test_chunks_of_an_exact_accumulator_are_products_still() -> None:
    assert resolve(Accumulator(chunk=4), S8, S6, 9).result == resolve(Accumulator(), S8, S6, 9).result
    resolved = resolve(Accumulator(chunk=4, outer=Accumulator(16)), U8, U6, 9)
    assert (resolved.inner, resolved.outer) == (None, Quantizer("u<16,5>"))


def test_where_a_bias_is_rounded() -> None:
    bias, out = Format(9, 3), Quantizer("<5,1>", "floor")
    acc = Accumulator(20, "ceil", "wrap")
    register = Quantizer("<20,5>", "ceil", "wrap")
    after = resolve(acc, S8, S6, 9, bias=bias)
    assert (after.preload, after.output, after.result) == (False, register, register.format)
    assert resolve(acc, S8, S6, 9).output is None
    named = resolve(acc, S8, S6, 9, bias=bias, out=out)
    assert (named.output, named.result) == (out, out.format)
    preload = resolve(replace(acc, bias="preload"), S8, S6, 9, bias=bias)
    assert (preload.preload, preload.output, preload.result) == (True, None, register.format)
    assert not resolve(replace(acc, bias="preload"), S8, S6, 9).preload
    outer = Accumulator(24, "floor")
    chunked = resolve(replace(acc, chunk=4, outer=outer), S8, S6, 9, bias=bias)
    assert chunked.output == Quantizer("<24,5>", "floor")
    exact_outer = resolve(replace(acc, chunk=4, bias="preload"), S8, S6, 9, bias=bias)
    assert (exact_outer.preload, exact_outer.output) == (False, None)
    assert exact_outer.result == Format(23, 5)


def test_a_bias_gradient_sums_gradients() -> None:
    acc = Accumulator(20, product="<9,2>")
    assert resolve(acc, S8, S8, 9, product_format=S8).inner == Quantizer("<20,4>")
    assert resolve(acc, S8, S8, 9, product_format=S8).product is None
    assert resolve(Accumulator(product="<9,2>"), U8, U8, 9, product_format=U8).result == Format(12, 4, False)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (
            Format(40, 8),
            S8,
            (
                "^linear: operand a is <40,8>: operands have 1 to 32 bits; requantize it, "
                "or name an output format where it was made$"
            ),
        ),
        (S8, Format(33, 0, False), "^linear: operand b is u<33,0>: operands have 1 to 32 bits"),
        (Format(8, 65), S8, "^linear: operand a is <8,65>: operands have fl from -64 to 64; requantize it"),
        (S8, Format(8, -65), "^linear: operand b is <8,-65>: operands have fl from -64 to 64"),
    ],
)
def test_operands_that_are_too_wide(a: Format, b: Format, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve(Accumulator(), a, b, 9, op="linear")


def test_the_widest_operands() -> None:
    assert resolve(Accumulator(), Format(32, 64), Format(32, -64, False), 1).result == Format(64, 0)


def test_negative_k() -> None:
    with pytest.raises(ValueError, match="matmul: k = -1"):
        resolve(Accumulator(), S8, S8, -1)


LIMIT = 2**21


@pytest.mark.parametrize(
    ("acc", "k", "what"),
    [
        (Accumulator(20, "stochastic"), LIMIT, "accumulator steps"),
        (Accumulator(20, "stochastic", lanes=4), 4 * LIMIT, "accumulator steps"),
        (Accumulator(20, "stochastic", chunk=3, lanes=2), LIMIT // 2 * 3, "accumulator steps"),
        (Accumulator(20, "stochastic", at="end", chunk=3), 3 * LIMIT, "accumulator steps"),
        (Accumulator(product="<9,2>,stochastic"), LIMIT, "products"),
        (Accumulator(chunk=3, outer=Accumulator(20, "stochastic")), 3 * LIMIT, "outer accumulator steps"),
        (Accumulator(chunk=3, outer=Accumulator(20, "stochastic", lanes=2)), 6 * LIMIT, "outer accumulator steps"),
    ],
)
def test_stochastic_steps_have_so_many_ordinals(acc: Accumulator, k: int, what: str) -> None:
    resolve(acc, S8, S8, k)
    with pytest.raises(ValueError, match=f"k = {k + 1} makes {LIMIT + 1} stochastic {what} for one output"):
        resolve(acc, S8, S8, k + 1)


def test_other_sums_may_be_longer() -> None:
    resolve(Accumulator(40), S8, S8, LIMIT + 1)
    resolve(Accumulator(40, "stochastic", at="end"), S8, S8, LIMIT + 1)
    resolve(Accumulator(rounding="stochastic"), S8, S8, LIMIT + 1)
