"""Engines whose cycles follow from word lengths: fixed elements, Bit Fusion, bit-serial arrays."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fxsim.cost.accelerators import BitFusion, BitSerial, bitfusion, fixed_mac, loom, stripes, systolic, unpu
from fxsim.cost.work import Work


def conv(m: int, n: int, kernel: int, c_in: int, a_bits: int, b_bits: int) -> Work:
    """A convolution whose taps and channels are told apart."""
    taps = np.array([kernel])
    work = Work.dense(m, n, kernel * kernel * c_in, a_bits=a_bits, b_bits=b_bits)
    return dataclasses.replace(work, kernel_h=taps, kernel_w=taps, c_in=np.array([c_in]))


@pytest.mark.parametrize(
    ("a", "b", "passes"),
    [
        ("<8,0>", "<8,0>", 1),
        ("<2,0>", "<5,0>", 1),
        ("<9,0>", "<8,0>", 2),
        ("<16,0>", "<17,0>", 6),
        ("fp32", "fp32", 16),
    ],
)
def test_a_fixed_element_takes_wider_operands_in_passes(a: str, b: str, passes: int) -> None:
    cost, one = systolic(8, 8).gemm(64, 64, 100, a, b), systolic(8, 8).gemm(64, 64, 100)
    assert cost.compute_cycles == passes * one.compute_cycles == passes * 64 * 100
    assert cost.fill_drain_cycles == one.fill_drain_cycles
    assert cost.utilization == pytest.approx(64 * 64 * 100 * passes / (64 * cost.cycles))


def test_an_element_made_for_its_operands_takes_one_pass() -> None:
    assert systolic(8, 8, mac_bits=None).gemm(64, 64, 100, "<32,0>", "<31,0>").compute_cycles == 6400


def test_narrow_operands_do_not_speed_up_the_float32_wide_baseline() -> None:
    costs = [fixed_mac(32).gemm(100, 20, 300, text, text) for text in ("<2,0>", "<8,4>", "<32,16>", "fp32")]
    assert len({cost.cycles for cost in costs}) == 1
    # a single element does one product a cycle: macs, and one more cycle until the result is out
    assert fixed_mac(32, 1, 1).gemm(3, 4, 5).cycles == 61
    assert [cost.energy_mac_pj for cost in costs[:2]] == [costs[2].energy_mac_pj] * 2


@pytest.mark.parametrize(
    ("a_bits", "b_bits", "products"),
    # (8 / p(a)) (8 / p(b)) a unit and cycle
    [
        (8, 8, 1),
        (1, 1, 16),
        (2, 2, 16),
        (3, 2, 8),
        (4, 4, 4),
        (5, 4, 2),
        (8, 1, 4),
        (16, 8, 0.5),
        (9, 5, 0.5),
        (16, 16, 0.25),
    ],
)
def test_a_fusion_unit_does_as_many_products_as_its_bricks_allow(a_bits: int, b_bits: int, products: float) -> None:
    # channels enough to fill 16 rows of units exactly, 32 output channels, 10 pixels, 9 taps
    channels = int(16 * max(products, 1)) * 4
    work = conv(10, 32, 3, channels, a_bits, b_bits)
    cost = bitfusion().price(work)
    assert cost.compute_cycles == 10 * 9 * channels / (16 * products)
    assert cost.mapping_efficiency == 1.0
    assert cost.fill_drain_cycles == 0


def test_bit_fusion_walks_a_convolution_tap_by_tap_or_unfolded() -> None:
    work = conv(784, 6, 5, 1, 8, 8)
    assert BitFusion(16, 32).timing(work).compute == 784 * 25 * 1 * 1
    assert BitFusion(16, 32, "im2col").timing(work).compute == 784 * 1 * 2
    linear = Work.dense(64, 100, 400, a_bits=4, b_bits=4)
    assert BitFusion(16, 32).timing(linear).compute == 64 * 4 * 7 == BitFusion(16, 32, "im2col").timing(linear).compute


def test_bit_fusion_keeps_partial_sums_in_its_output_buffer() -> None:
    cost = bitfusion().gemm(130, 40, 16 * 5)
    assert cost.folds == 3 * 2  # ⌈130 / 64⌉ windows, ⌈40 / 32⌉ columns
    assert cost.sram_writes == 130 * 40 * 5
    assert cost.sram_bits_psum == 2 * 130 * 40 * 4 * 32
    assert cost.sram_reads_b == 80 * 40 * 3
    assert cost.dram_bits_psum == 0
    assert bitfusion().memory.sram_out_bits == 2 * 64 * 32 * 32


def test_bit_fusion_is_in_the_size_of_the_authors_file() -> None:
    machine = bitfusion()
    memory = machine.memory
    assert (memory.sram_a_bits, memory.sram_b_bits, memory.sram_out_bits) == (32 * 8192, 64 * 8192, 16 * 8192)
    assert (machine.clock_hz, memory.dram_bits_per_cycle) == (500_000_000, 192)
    assert machine.engine == BitFusion(16, 32)


@pytest.mark.parametrize(
    ("machine", "a", "b", "cycles"),
    # 33 windows, 257 filters, 33 products: one more than 2, 1 and 2 groups of Stripes
    [
        (stripes(), "<8,0>", "<8,0>", 3 * 2 * 3 * 8),
        (stripes(), "<5,0>", "<16,0>", 3 * 2 * 3 * 5),
        (stripes(), "<5,0>", "<17,0>", 3 * 2 * 3 * 5 * 2),
        (loom(), "<8,0>", "<8,0>", 3 * 3 * 3 * 64),
        (loom(), "<3,0>", "<7,0>", 3 * 3 * 3 * 21),
        (loom(2), "<3,0>", "<7,0>", 5 * 3 * 3 * 14),
        (unpu(), "<16,0>", "<3,0>", 2 * 11 * 2 * 3),
    ],
)
def test_bit_serial_arrays_take_a_cycle_for_each_serial_bit(machine: object, a: str, b: str, cycles: int) -> None:
    assert machine.gemm(33, 257, 33, a, b).cycles == cycles  # type: ignore[attr-defined]


def peak(engine: object, a_bits: int, b_bits: int) -> float:
    assert isinstance(engine, BitSerial)
    return float(engine.timing(Work.dense(1, 1, 1, a_bits=a_bits, b_bits=b_bits)).peak[0])


def test_peaks_are_those_of_the_papers() -> None:
    # Lee et al. 2019: 345.6 GOPS with 16-bit weights at 200 MHz, two operations a product
    assert peak(unpu().engine, 16, 16) * 2 * 200e6 == 345.6e9
    # Judd et al. 2016: as many products as DaDianNao's 16 tiles of 16 filters and 16 lanes, at 16 bits
    assert peak(stripes().engine, 16, 16) == 16 * 16 * 16
    # Sharify et al. 2018: 128 products of 16 by 16 bits, whatever number of activation bits at once
    assert [peak(loom(bits).engine, 16, 16) for bits in (1, 2, 4)] == [128, 128, 128]


def test_speed_follows_precision_as_the_papers_say() -> None:
    machines = stripes(), loom(), unpu()
    costs = [(m.gemm(256, 256, 4608, "<16,0>", "<16,0>"), m.gemm(256, 256, 4608, "<4,0>", "<8,0>")) for m in machines]
    assert [wide.cycles / narrow.cycles for wide, narrow in costs] == [4, 8, 2]


def test_what_an_engine_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="BitFusion: lowering = 'winograd': accepted are direct, im2col"):
        BitFusion(1, 1, "winograd")
    with pytest.raises(ValueError, match="BitSerial: lanes = 0: accepted are 1 to 65536"):
        BitSerial(1, 1, 0, 1, 1)
    with pytest.raises(TypeError, match=r"BitSerial: windows = 1\.0: a whole number is needed, not float"):
        BitSerial(1.0, 1, 1, 1, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="loom: a_bits_per_cycle = 3: accepted are 1, 2, 4, 8, 16"):
        loom(3)
