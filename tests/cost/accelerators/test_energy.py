"""The energy table: every printed number, and where the fits leave them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fxsim.cost.accelerators import Accelerator, EnergyTable, FixedMac, Memory, SystolicArray, energy_table, systolic
from fxsim.cost.work import Work

TABLE = energy_table()


def number(array: np.ndarray) -> float:
    return float(array)


@pytest.mark.parametrize(
    ("bits", "add", "mul"),
    # Horowitz, ISSCC 2014: 8 and 32 bits; the addition of 8 bits is printed as 0.03, the fit is through that of 32
    [(8, 0.025, 0.2), (32, 0.1, 3.1)],
)
def test_integer_operations_take_what_horowitz_prints(bits: int, add: float, mul: float) -> None:
    width = np.int64(bits)
    assert number(TABLE.add_pj(width)) == pytest.approx(add, abs=1e-12)
    assert number(TABLE.mul_pj(width, width)) == pytest.approx(mul, abs=5e-4)


def test_the_printed_eight_bit_addition_is_the_fit_rounded_up() -> None:
    assert 0.02 < number(TABLE.add_pj(np.int64(8))) <= 0.03


def test_float_operations_and_main_memory_are_as_printed() -> None:
    assert (TABLE.fp16_add, TABLE.fp16_mul, TABLE.fp32_add, TABLE.fp32_mul) == (0.4, 1.1, 0.9, 3.7)
    assert TABLE.dram * 64 == 1300.0


@pytest.mark.parametrize(("kib", "pj"), [(8, 10), (32, 20), (1024, 100)])
def test_buffers_take_what_horowitz_prints_for_64_bits(kib: int, pj: float) -> None:
    assert 64 * TABLE.sram_pj_per_bit(kib * 8192) == pytest.approx(pj, rel=1e-3)


def test_small_buffers_have_one_number_and_large_ones_are_banks() -> None:
    assert TABLE.sram_pj_per_bit(8) == TABLE.sram_pj_per_bit(8 * 8192 - 1) == 0.156
    assert TABLE.sram_pj_per_bit(2**30) == TABLE.sram_pj_per_bit(2**23)
    sizes = [TABLE.sram_pj_per_bit(2**x) for x in range(16, 24)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("bits", [1, 5, 8, 17, 32])
def test_the_fit_of_qkeras_for_any_width(bits: int) -> None:
    width = np.int64(bits)
    assert number(TABLE.add_pj(width)) == 0.003125 * bits
    assert number(TABLE.mul_pj(width, width)) == pytest.approx(0.0029948 * bits**2 + 0.0010417 * bits, rel=1e-15)


def test_mixed_widths_lie_between_and_do_not_care_which_is_wider() -> None:
    mixed, other = number(TABLE.mul_pj(np.int64(4), np.int64(16))), number(TABLE.mul_pj(np.int64(16), np.int64(4)))
    assert mixed == other == pytest.approx(0.0029948 * 64 + 0.0010417 * 10)


def energy(work: Work, mac: FixedMac) -> float:
    return float(Accelerator("x", SystolicArray(4, 4, mac=mac)).price(work).energy_mac_pj[0])


def test_a_mac_is_a_product_and_an_addition_of_the_accumulator() -> None:
    work = Work.dense(3, 4, 5, a_bits=8, b_bits=6, acc_bits=20)
    product = 0.0029948 * 48 + 0.0010417 * 7
    assert energy(work, FixedMac()) == pytest.approx(60 * (product + 0.0625))
    wide = 0.0029948 * 256 + 0.0010417 * 16
    assert energy(work, FixedMac(16)) == pytest.approx(60 * (wide + 0.0625))
    narrow = 0.0029948 * 16 + 0.0010417 * 4
    assert energy(work, FixedMac(4)) == pytest.approx(4 * 60 * (narrow + 0.0625))  # 2 x 2 passes


def test_zero_gating_leaves_cycles_and_takes_the_energy_of_non_zero_products() -> None:
    work = Work.dense(3, 4, 5, acc_bits=32)
    zeros = dataclasses.replace(
        work, zero_a_macs=np.array([15]), zero_macs=np.array([15]), nz_macs=np.array([40]), pad_macs=np.array([5])
    )
    plain, gated = systolic(4, 4).price(zeros), systolic(4, 4, zero_gating=True).price(zeros)
    assert gated.cycles == plain.cycles
    assert gated.energy_mac_pj[0] == pytest.approx(plain.energy_mac_pj[0] * 40 / 60)


def test_float_products_have_their_own_numbers_whichever_operand_is_float() -> None:
    for a_float, b_float in ((True, True), (True, False), (False, True)):
        work = Work.dense(3, 4, 5, a_bits=32, b_bits=32, a_float=a_float, b_float=b_float)
        assert energy(work, FixedMac(8)) == pytest.approx(60 * 4.6)
    half = Work.dense(3, 4, 5, a_bits=16, b_bits=16, a_float=True, b_float=True)
    assert energy(half, FixedMac(8)) == pytest.approx(60 * 1.5)
    with pytest.raises(ValueError, match="energy table 'horowitz45': row 0 has floats of 64 bits, it knows 16 and 32"):
        energy(Work.dense(1, 1, 1, a_bits=64, a_float=True), FixedMac())


def test_memory_energy_is_bits_times_the_table() -> None:
    memory = Memory(sram_a_bits=8 * 8192, sram_b_bits=32 * 8192, sram_out_bits=1024 * 8192)
    cost = Accelerator("x", SystolicArray(8, 8), memory).gemm(20, 30, 40)
    a, b, out = 20 * 40 * 4 * 8, 30 * 40 * 3 * 8, 20 * 30 * 8
    assert (cost.sram_bits_a, cost.sram_bits_b, cost.sram_bits_out, cost.sram_bits_psum) == (a, b, out, 0)
    assert cost.energy_sram_pj == pytest.approx((a * 10 + b * 20 + out * 100) / 64, rel=1e-3)
    moved = cost.dram_bits_a + cost.dram_bits_b + cost.dram_bits_out
    assert moved == 20 * 40 * 8 + 30 * 40 * 8 + 20 * 30 * 8
    assert cost.energy_dram_pj == moved * 20.3125
    assert cost.energy_pj == cost.energy_mac_pj + cost.energy_sram_pj + cost.energy_dram_pj


def test_every_number_of_a_table_has_a_source() -> None:
    numbers = {field.name for field in dataclasses.fields(EnergyTable)} - {"name", "process", "sources"}
    assert {name for name, _ in TABLE.sources} == numbers
    assert all(text for _, text in TABLE.sources)


def test_tables_that_are_not_there_or_not_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="energy_table: 'x' is not a table; accepted: horowitz45"):
        energy_table("x")
    content = TABLE.to_dict()
    assert EnergyTable.from_dict(content) == TABLE
    with pytest.raises(ValueError, match="energy table: adds: no such number; a table has add, "):
        EnergyTable.from_dict({**content, "adds": 1})
    del content["dram"]
    with pytest.raises(ValueError, match="energy table: dram: missing"):
        EnergyTable.from_dict(content)
    with pytest.raises(TypeError, match="EnergyTable: dram = 'much': a number is needed"):
        dataclasses.replace(TABLE, dram="much")
