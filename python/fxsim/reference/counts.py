"""What happened during an operation, as exact integers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Event counts of one operation, under the names that every record of an operation uses.

    Attributes:
        macs: products, structural zeros included.
        pad_macs: products with a structural zero, a tap on padding or between strides; in none of the next three.
        zero_a_macs, zero_b_macs, zero_macs: products whose operand a, whose b, or either of them is 0.
        nz_macs: products of two non-zero operands.
        nnz_a, nnz_b: non-zero elements of the operands.
        product_overflows, step_overflows, outer_overflows, preload_overflows, output_overflows: values that overflow
            handling changed, by where they stood.
        inexact: outputs whose rounding dropped a non-zero fraction.
        round_to_zero: outputs that were not 0 and were rounded to 0.
        random_draws: values that passed a stochastic rounding anywhere, on the grid or not.
        clipped: elements quantized whose rounded integer lay outside the format; not counted by products.
    """

    macs: int = 0
    pad_macs: int = 0
    zero_a_macs: int = 0
    zero_b_macs: int = 0
    zero_macs: int = 0
    nz_macs: int = 0
    nnz_a: int = 0
    nnz_b: int = 0
    product_overflows: int = 0
    step_overflows: int = 0
    outer_overflows: int = 0
    preload_overflows: int = 0
    output_overflows: int = 0
    inexact: int = 0
    round_to_zero: int = 0
    random_draws: int = 0
    clipped: int = 0
