"""Buffers and main memory: how many bits move, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from fxsim.cost.accelerators.checks import require_choice, require_count, require_flag
from fxsim.cost.accelerators.engine import Timing
from fxsim.cost.columns import Flags, Ints, ceil_div, product
from fxsim.cost.work import Work

KIB: Final = 8 * 1024
"""Bits of a kibibyte."""

PORTS: Final = ("shared", "separate")
IM2COL: Final = ("on_the_fly", "stored")

_MOST_BITS: Final = 2**40


@final
@dataclass(frozen=True, slots=True)
class Memory:
    """A buffer for each operand and for the outputs, and main memory behind them.

    sram_a_bits, sram_b_bits, sram_out_bits: sizes of the buffers; outputs share theirs with partial sums.
    dram_bits_per_cycle: what main memory moves in a cycle; None: as much as is asked for, so that nothing waits.
    double_buffered: whether a buffer has two halves, one in use while the other is filled; what fits is then half.
    ports: shared: main memory reads and writes take turns; separate: they go on at once, each at the full rate.
    im2col: on_the_fly: a convolution's input is fetched element by element and unfolded in the buffer; stored: main
        memory holds it unfolded.

    The default sizes are those of SCALE-Sim's configs/scale.cfg, 64 KiB each.
    """

    sram_a_bits: int = 64 * KIB
    sram_b_bits: int = 64 * KIB
    sram_out_bits: int = 64 * KIB
    dram_bits_per_cycle: int | None = None
    double_buffered: bool = True
    ports: str = "shared"
    im2col: str = "on_the_fly"

    def __post_init__(self) -> None:
        for name in ("sram_a_bits", "sram_b_bits", "sram_out_bits"):
            require_count("Memory", name, getattr(self, name), _MOST_BITS)
        if self.dram_bits_per_cycle is not None:
            require_count("Memory", "dram_bits_per_cycle", self.dram_bits_per_cycle, _MOST_BITS)
        require_flag("Memory", "double_buffered", self.double_buffered)
        require_choice("Memory", "ports", self.ports, PORTS)
        require_choice("Memory", "im2col", self.im2col, IM2COL)

    def holds(self, buffer_bits: int, bits: Ints) -> Flags:
        """Whether so many bits fit the part of a buffer that is in use."""
        return np.asarray(bits <= (buffer_bits // 2 if self.double_buffered else buffer_bits))


@final
@dataclass(frozen=True, slots=True, eq=False)
class Operands:
    """What one GEMM of each row takes from main memory and gives back, and what stays in the buffers.

    a, b, out, psum: bits of the operands, of the outputs, and of the partial sums of all outputs.
    a_once, b_once: whether the operand is fetched only once; with os, b_once means that a column block of it stays
        while the rows pass.
    psum_spills: whether partial sums go to main memory and back between row folds.
    """

    a: Ints
    b: Ints
    out: Ints
    psum: Ints
    a_once: Flags
    b_once: Flags
    psum_spills: Flags


def operands(memory: Memory, work: Work, timing: Timing) -> Operands:
    """The rules of each dataflow; b's role in `is` is a's in `ws`.

    os: a stays if all of it fits, else it is fetched for every column fold; b if a column block or all of it fits, else
    for every row fold. ws: b is fetched once, a as with os; partial sums stay if a column block of them fits.
    """
    a_words, b_words = work.a_elements, work.b_elements
    if memory.im2col == "stored":
        a_words = product("operand a", work.m, work.k, work.groups)
        b_words = product("operand b", work.k, work.n, work.groups)
    a = ceil_div(product("operand a", a_words, work.a_bits), work.groups)
    b = ceil_div(product("operand b", b_words, work.b_bits), work.groups)
    out = ceil_div(product("outputs", work.out_elements, work.out_bits), work.groups)
    psum = product("partial sums", work.m, work.n, work.acc_bits)
    a_fits, b_fits = memory.holds(memory.sram_a_bits, a), memory.holds(memory.sram_b_bits, b)
    always = np.ones_like(a_fits)
    if timing.dataflow == "os":
        stripe = product("column block", work.k, timing.column_block, work.b_bits)
        return Operands(a, b, out, psum, a_fits, b_fits | memory.holds(memory.sram_b_bits, stripe), ~always)
    moving = work.m if timing.dataflow == "ws" else work.n
    block = product("partial sums", moving, timing.column_block, work.acc_bits)
    spills = ~memory.holds(memory.sram_out_bits, block) & (timing.fr > 1)
    once = (a_fits, always) if timing.dataflow == "ws" else (always, b_fits)
    return Operands(a, b, out, psum, *once, spills)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Bits between buffers and main memory, all GEMMs of a row."""

    a: Ints
    b: Ints
    out: Ints
    psum: Ints


def dram_traffic(work: Work, timing: Timing, of: Operands) -> Traffic:
    """How often the operands are fetched, times what they are."""
    one, fr, fc, gemms = np.ones_like(timing.fr), timing.fr, timing.fc, work.gemms
    b_again = fr if timing.dataflow == "os" else fc
    spilled = np.where(of.psum_spills, 2 * (fr - 1), 0)
    return Traffic(
        a=product("dram a", of.a, np.where(of.a_once, one, fc), gemms),
        b=product("dram b", of.b, np.where(of.b_once, one, b_again), gemms),
        out=product("dram outputs", of.out, gemms),
        psum=product("dram partial sums", of.psum, spilled, gemms),
    )


@final
@dataclass(frozen=True, slots=True, eq=False)
class Accesses:
    """Words between buffers and array, all GEMMs of a row; partial_sums are written and read again as often."""

    reads_a: Ints
    reads_b: Ints
    writes: Ints
    partial_sums: Ints


def sram_accesses(work: Work, timing: Timing) -> Accesses:
    """What the array reads and writes.

    os: a M K fc, b K N fr, writes M N. ws: a M K fc, b K N, writes M N fr. is: a M K, b K N fc, writes M N fr.
    All but the last M N writes are partial sums.

    Source: SCALE-Sim 3.0.0's counts, but for the F (R + C) that it adds to the writes of os.
    """
    fr, fc, gemms = timing.fr, timing.fc, work.gemms
    a = product("sram a", work.m, work.k, gemms)
    b = product("sram b", work.k, work.n, gemms)
    out = product("sram outputs", work.m, work.n, gemms)
    match timing.dataflow:
        case "os":
            reads = product("sram a", a, fc), product("sram b", b, fr)
        case "ws":
            reads = product("sram a", a, fc), b
        case _:
            reads = a, product("sram b", b, fc)
    return Accesses(*reads, product("sram outputs", out, timing.sums), product("partial sums", out, timing.sums - 1))
