"""Accelerators by name, each number with its source; `table.PRESETS` lists them."""

from __future__ import annotations

from typing import Final

from fxsim.accumulator import Accumulator
from fxsim.cost.accelerators.accelerator import Accelerator
from fxsim.cost.accelerators.array import FixedMac, SystolicArray
from fxsim.cost.accelerators.bitserial import BitSerial
from fxsim.cost.accelerators.fusion import BitFusion
from fxsim.cost.accelerators.memory import KIB, Memory
from fxsim.cost.accelerators.valueserial import DynamicStripes, Pragmatic
from fxsim.cost.accelerators.zero_skipping import Skipping

_BUFFERS: Final = ("memory", "buffers of 64 KiB: configs/scale.cfg of SCALE-Sim; no limit of main memory")
_OUR_BUFFERS: Final = ("memory", "ours: buffers of 64 KiB, no limit of main memory")
_STRIPES: Final = "Judd, Albericio, Hetherington, Aamodt and Moshovos, Stripes, MICRO 2016"


def systolic(
    rows: int = 32,
    columns: int = 32,
    dataflow: str = "os",
    *,
    schedule: str = "pipelined",
    edge: str = "exact",
    mac_bits: int | None = 8,
    zero_gating: bool = False,
    accumulator: Accumulator | str | int | None = None,
    memory: Memory | None = None,
    clock_hz: int | None = None,
) -> Accelerator:
    """A systolic array of rows x columns elements for operands of mac_bits bits; cycles are those of our Verilog array.

    mac_bits None: elements as wide as the operands are.
    accumulator: format and modes of its registers: an Accumulator, its text, or a number of bits; None: exact.
    The other arguments are those of `SystolicArray`, `FixedMac` and `Accelerator`.
    """
    return Accelerator(
        f"systolic {rows}x{columns} {dataflow}",
        SystolicArray(rows, columns, dataflow, schedule, edge, FixedMac(mac_bits, zero_gating)),
        memory=Memory() if memory is None else memory,
        clock_hz=clock_hz,
        accumulator=_register(accumulator),
        sources=(("engine", "closed forms of fxsim, equal to the Verilog arrays of its tests"), _BUFFERS),
    )


def scalesim(rows: int = 32, columns: int = 32, dataflow: str = "os") -> Accelerator:
    """What SCALE-Sim 3.0.0 simulates: its "Total Cycles" is `last_index`; words have no width, memory no limit."""
    return Accelerator(
        f"scalesim {rows}x{columns} {dataflow}",
        SystolicArray(rows, columns, dataflow, "scalesim", "full"),
        sources=(
            ("engine", "SCALE-Sim 3.0.0; Samajdar et al., ISPASS 2020; the default is configs/scale.cfg's array"),
            _BUFFERS,
        ),
    )


def fixed_mac(bits: int = 32, rows: int = 32, columns: int = 32, dataflow: str = "os") -> Accelerator:
    """A systolic array of elements of one width, which narrower operands do not speed up; 32 bits: float32's width.

    The baseline of AdaPT's speed-ups, in which a multiplication costs its word length and the baseline has 32 bits.
    """
    return Accelerator(
        f"fixed_mac {bits} bits {rows}x{columns} {dataflow}",
        SystolicArray(rows, columns, dataflow, mac=FixedMac(bits)),
        sources=(
            ("engine", "32 bits: Kummer et al., AdaPT, 2021, equations (6) to (9); the array is systolic's"),
            _BUFFERS,
        ),
    )


def bitfusion(rows: int = 16, columns: int = 32) -> Accelerator:
    """Bit Fusion in the size that its authors compare with Eyeriss: 512 units at 500 MHz."""
    return Accelerator(
        f"bitfusion {rows}x{columns}",
        BitFusion(rows, columns),
        memory=Memory(32 * KIB, 64 * KIB, 16 * KIB, dram_bits_per_cycle=192),
        clock_hz=500_000_000,
        accumulator=Accumulator(32),
        sources=(
            ("engine", "Sharma et al., Bit Fusion, ISCA 2018; 16 x 32 units: bf_e_conf.ini of the authors' simulator"),
            ("engine.window", "ours: 64 rows of 32 partial sums of 32 bits are half of the output buffer"),
            ("memory", "bf_e_conf.ini: weights 64 KiB, activations 32 KiB, outputs 16 KiB, interface of 192 bits"),
            ("clock_hz", "bf_e_conf.ini"),
            ("accumulator", "32 bits: the words of the output buffer in the authors' simulator"),
        ),
    )


def stripes() -> Accelerator:
    """Stripes: 16 tiles of 16 filters, 16 windows and 16 lanes; activations bit by bit, weights of 16 bits."""
    return Accelerator(
        "stripes",
        BitSerial(windows=16, filters=256, lanes=16, a_bits_per_cycle=1, b_bits_per_cycle=16),
        sources=(("engine", _STRIPES), _OUR_BUFFERS),
    )


def dynamic_stripes() -> Accelerator:
    """Stripes' tiles, each group of 16 windows x 16 lanes as wide as its widest activation; needs level 2 counts."""
    return Accelerator(
        "dynamic_stripes",
        DynamicStripes(windows=16, filters=256, lanes=16),
        sources=(
            ("engine", "Delmas et al., Dynamic Stripes, arXiv:1706.00504, on Stripes' tiles"),
            _OUR_BUFFERS,
        ),
    )


def pragmatic() -> Accelerator:
    """Stripes' tiles, each group of 16 windows x 16 lanes taking its most set bits; needs level 2 counts."""
    return Accelerator(
        "pragmatic",
        Pragmatic(windows=16, filters=256, lanes=16),
        sources=(
            ("engine", "Albericio et al., Bit-Pragmatic, MICRO 2017: single-stage shifting, windows in step"),
            _OUR_BUFFERS,
        ),
    )


def loom(a_bits_per_cycle: int = 1) -> Accelerator:
    """Loom: 128 filters, 16 windows, 16 lanes, both sides bit by bit: 128 products of 16 by 16 bits a cycle.

    a_bits_per_cycle: bits of the activations at once, on as many times fewer windows; the paper has 1, 2 and 4.

    Raises:
        ValueError: it does not divide 16.
    """
    if a_bits_per_cycle not in (1, 2, 4, 8, 16):
        raise ValueError(f"loom: a_bits_per_cycle = {a_bits_per_cycle}: accepted are 1, 2, 4, 8, 16")
    return Accelerator(
        f"loom {a_bits_per_cycle}b",
        BitSerial(
            windows=16 // a_bits_per_cycle,
            filters=128,
            lanes=16,
            a_bits_per_cycle=a_bits_per_cycle,
            b_bits_per_cycle=1,
        ),
        sources=(
            ("engine", "Sharify, Delmas Lascorz, Siu, Judd and Moshovos, Loom, DAC 2018: the size of 128 MACs"),
            _OUR_BUFFERS,
        ),
    )


def unpu() -> Accelerator:
    """UNPU: weights bit by bit, activations of 16 bits; 13,824 bit products a cycle at 200 MHz.

    At 16-bit weights that is the published peak of 345.6 GOPS; the mode for 1-bit weights, which is faster by a third,
    is not modelled.
    """
    return Accelerator(
        "unpu",
        BitSerial(windows=24, filters=24, lanes=24, a_bits_per_cycle=16, b_bits_per_cycle=1),
        clock_hz=200_000_000,
        sources=(
            ("engine", "Lee et al., UNPU, JSSC 54(1), 2019; the split into 24 windows, filters and lanes is ours"),
            ("clock_hz", "Lee et al. 2019"),
            _OUR_BUFFERS,
        ),
    )


def skipping(rows: int = 32, columns: int = 32, sides: str = "a") -> Accelerator:
    """An output-stationary array that skips zeros of one or both operands in lock step; needs level 1 or 2 counts."""
    return Accelerator(
        f"skipping {rows}x{columns} {sides}",
        Skipping(rows, columns, sides),
        sources=(("engine", "the bound of lock-stepped skipping; see Skipping"), _BUFFERS),
    )


def _register(given: Accumulator | str | int | None) -> Accumulator:
    match given:
        case Accumulator():
            return given
        case str():
            return Accumulator.parse(given)
        case _:
            return Accumulator(given)
