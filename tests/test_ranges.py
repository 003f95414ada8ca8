from __future__ import annotations

import math
from fractions import Fraction

import pytest

from fxsim.formats import Format
from fxsim.ranges import Affine, Block, Plain, RangedNumerics, block_exponent, parse_range

NUMERICS = RangedNumerics(
    weight=Affine(4, "channel"),
    activation=Affine(8, "sample_mean"),
    bias=Affine(8),
    grad_output=Affine(8, random_bits=16),
    grad_copy=Affine(16, random_bits=8),
    evaluation_bits=6,
    momentum=Fraction(1, 3),
)


def largest(low: float, high: float, bits: int) -> int:
    """The definition, tried exponent by exponent."""
    top, half = 2 ** (bits - 1), Fraction(1, 2)

    def fits(s: int) -> bool:
        scale = Fraction(2) ** s
        return (high <= 0 or Fraction(high) * scale <= top - half) and (
            low >= 0 or Fraction(low) * scale >= -top - half
        )

    return max((s for s in range(-64, 65) if fits(s)), default=-64)


@pytest.mark.parametrize(
    ("low", "high", "s"),
    [(-0.25, 0.5, 7), (-1.0, 0.3, 7), (-2.0, 3.0, 5), (0.2, 1.0, 6), (-1.0, -1.0, 7), (0.0, 127.5 / 128, 7)],
)
def test_muppet_section_3_examples_at_8_bits(low: float, high: float, s: int) -> None:
    assert block_exponent(low, high, 8) == s


def test_a_block_at_the_very_edge_saturates_and_is_not_what_covering_gives() -> None:
    assert block_exponent(-128.5 / 128, 0.0, 8) == 7
    assert block_exponent(math.nextafter(-128.5 / 128, -2), 0.0, 8) == 6
    assert Format.covering(0.0, 127.5 / 128, 8).fl == 6 != block_exponent(0.0, 127.5 / 128, 8)


@pytest.mark.parametrize("bits", [2, 5, 8, 16])
def test_the_exponent_is_the_largest_that_fits_on_both_sides_of_every_boundary(bits: int) -> None:
    top = 2 ** (bits - 1)
    for s in (-3, 0, 9):
        for bound in ((top - 0.5) * 2.0**-s, (top + 0.5) * 2.0**-s):
            for x in (math.nextafter(bound, 0), bound, math.nextafter(bound, math.inf)):
                assert block_exponent(0.0, x, bits) == largest(0.0, x, bits)
                assert block_exponent(-x, 0.0, bits) == largest(-x, 0.0, bits)
                assert block_exponent(-x / 3, x, bits) == largest(-x / 3, x, bits)


def test_exponents_end_at_64_and_zeros_have_none() -> None:
    assert block_exponent(0.0, 0.0, 8) == 0
    assert block_exponent(0.0, 5e-324, 8) == 64
    assert block_exponent(-1e300, 1.0, 8) == -64


def test_texts_round_trip() -> None:
    for quantizer in (Affine(3, "channel", 4), Block(12, 0), Plain()):
        assert parse_range(str(quantizer)) == quantizer
    assert RangedNumerics.from_text(NUMERICS.to_text()) == NUMERICS
    with pytest.raises(ValueError, match=r"range quantizer 'affine\(8\)' is unknown; write affine\(bits,over,random"):
        parse_range("affine(8)")


def test_evaluation_has_bits_of_its_own() -> None:
    seen = NUMERICS.evaluated()
    assert (seen.weight, seen.activation) == (Affine(6, "channel"), Affine(6, "sample_mean"))
    plain = RangedNumerics(weight=Plain(), activation=Plain(), grad_output=Plain())
    assert plain.evaluated() is plain
    assert plain.is_float
    assert plain.weight.format.wl == 32


def test_what_cannot_be_is_refused_with_what_can() -> None:
    with pytest.raises(ValueError, match="Affine: bits is 17; give 1 to 16"):
        Affine(17)
    with pytest.raises(ValueError, match="Affine: over is 'row'; give one of tensor, channel, sample_mean"):
        Affine(8, "row")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Block: bits is 1; give 2 to 16"):
        Block(1)
    with pytest.raises(ValueError, match="Block: random_bits is 33; give 0 for nearest even, or 1 to 32"):
        Block(8, 33)
    with pytest.raises(ValueError, match=r"weight is float32, .* quantize all three, or none"):
        RangedNumerics(weight=Plain(), activation=Block(8), grad_output=Block(8))
    with pytest.raises(ValueError, match=r"activation is .*; only weights have a range for each channel"):
        RangedNumerics(weight=Affine(8), activation=Affine(8, "channel"), grad_output=Affine(8))
    with pytest.raises(ValueError, match="momentum is 1; give 0 or more, below 1"):
        RangedNumerics(weight=Block(8), activation=Block(8), grad_output=Block(8), momentum=Fraction(1))


def test_a_power_of_two_for_each_sample_is_written_and_read_and_only_for_activations() -> None:
    block = Block(8, 3, over="sample")
    assert str(block) == "block(8,3,sample)"
    assert parse_range(str(block)) == block
    assert (block.format.wl, Block(16, over="sample").format.wl, Block(8).format.wl) == (25, 17, 8)
    assert block.with_bits(12) == Block(12, 3, over="sample")
    numerics = RangedNumerics(weight=Block(8), activation=block, grad_output=Block(8))
    assert RangedNumerics.from_text(numerics.to_text()) == numerics
    with pytest.raises(
        ValueError, match=r"weight is block\(8,3,sample\); only activations have a power of two a sample"
    ):
        RangedNumerics(weight=block, activation=block, grad_output=Block(8))
    for make in (lambda: Block(8, over="row"), lambda: parse_range("block(8,16,row)")):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="Block: over is 'row'; give one of tensor, sample"):
            make()
