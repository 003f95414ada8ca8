"""Waits for memory in closed form against a plain loop over folds."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fxsim.cost.accelerators import Accelerator, FixedMac, Memory, SystolicArray, bitfusion
from fxsim.cost.cost import BINDINGS, Cost
from fxsim.cost.work import Work


def loop(accelerator: Accelerator, work: Work, row: int) -> tuple[int, list[int]]:
    """Stalls of one GEMM and bits (a, b, out, psum) that move, fold by fold from the definition."""
    array, memory = accelerator.engine, accelerator.memory
    assert isinstance(array, SystolicArray)
    m, n, k, a_bits, b_bits, acc_bits, out_bits = (
        int(getattr(work, name)[row]) for name in ("m", "n", "k", "a_bits", "b_bits", "acc_bits", "out_bits")
    )
    half = 2 if memory.double_buffered else 1
    a_fits, b_fits = m * k * a_bits <= memory.sram_a_bits // half, k * n * b_bits <= memory.sram_b_bits // half
    sr, sc = {"os": (m, n), "ws": (k, n), "is": (k, m)}[array.dataflow]
    width = min(array.columns, sc)
    stripe_fits = k * width * b_bits <= memory.sram_b_bits // half
    steps = n if array.dataflow == "is" else m
    psum_fits = steps * width * acc_bits <= memory.sram_out_bits // half
    fr, fc = -(-sr // array.rows), -(-sc // array.columns)

    coming, going, sums = [], [], [0, 0, 0, 0]
    for j, i in itertools.product(range(fc), range(fr)):
        r, c = min(array.rows, sr - i * array.rows), min(array.columns, sc - j * array.columns)
        read = [0, 0, 0, 0]
        write = [0, 0, 0, 0]
        match array.dataflow:
            case "os":
                read[0] = r * k * a_bits if j == 0 or not a_fits else 0
                read[1] = c * k * b_bits if i == 0 or not (stripe_fits or b_fits) else 0
                write[2] = r * c * out_bits
            case "ws":
                read[0] = m * r * a_bits if j == 0 or not a_fits else 0
                read[1] = r * c * b_bits
            case _:
                read[0] = r * c * a_bits
                read[1] = n * r * b_bits if j == 0 or not b_fits else 0
        if array.dataflow != "os":
            if i == fr - 1:
                write[2] = steps * c * out_bits
            elif not psum_fits:
                write[3] = steps * c * acc_bits
            if i > 0 and not psum_fits:
                read[3] = steps * c * acc_bits
        coming.append(sum(read))
        going.append(sum(write))
        sums = [total + x + y for total, x, y in zip(sums, read, write, strict=True)]

    rate = memory.dram_bits_per_cycle
    if rate is None:
        return 0, sums
    coming, going = [-(-bits // rate) for bits in coming], [-(-bits // rate) for bits in going]
    timing = array.timing(work)
    compute = [int(timing.step[row])] * (fr * fc - 1) + [int(timing.tail[row])]
    total = coming[0] + going[-1]
    for t, cycles in enumerate(compute):
        next_in = coming[t + 1] if t + 1 < len(coming) else 0
        last_out = going[t - 1] if t > 0 else 0
        transfers = (next_in + last_out,) if memory.ports == "shared" else (next_in, last_out)
        total += max(cycles, *transfers)
    return total - sum(compute), sums


def gemms(count: int = 24) -> Work:
    """Random shapes and widths, small ones among them."""
    rng = np.random.default_rng(7)
    m, n, k = (rng.integers(1, top, count) for top in (70, 50, 90))
    widths = {name: rng.integers(1, 17, count) for name in ("a_bits", "b_bits", "out_bits")}
    return Work.dense(m, n, k, acc_bits=rng.integers(8, 33, count), **widths)


MEMORIES = [
    Memory(sram_a_bits=a, sram_b_bits=b, sram_out_bits=out, dram_bits_per_cycle=rate, ports=ports, double_buffered=two)
    for (a, b, out), (rate, ports, two) in itertools.product(
        [(2**20, 2**20, 2**20), (1, 1, 1), (2**13, 2**10, 2**12), (2**9, 2**14, 2**13)],
        [(1, "shared", True), (37, "separate", False), (400, "shared", False)],
    )
]


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("array", [(1, 1), (4, 8), (8, 3), (16, 16)])
def test_stalls_and_traffic_are_those_of_a_loop_over_folds(dataflow: str, array: tuple[int, int]) -> None:
    work = gemms()
    for memory in MEMORIES:
        accelerator = Accelerator("x", SystolicArray(*array, dataflow), memory)
        cost = accelerator.price(work)
        for row in range(len(work)):
            stalls, bits = loop(accelerator, work, row)
            assert cost.stall_cycles[row] == stalls
            found = [getattr(cost, f"dram_bits_{name}")[row] for name in ("a", "b", "out", "psum")]
            assert found == bits


def moved(cost: Cost) -> np.ndarray:
    return cost.dram_bits_a + cost.dram_bits_b + cost.dram_bits_out + cost.dram_bits_psum


@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
@pytest.mark.parametrize("ports", ["shared", "separate"])
def test_more_bandwidth_never_hurts_and_none_beats_the_roofline(dataflow: str, ports: str) -> None:
    work = gemms()
    engine = SystolicArray(4, 8, dataflow, mac=FixedMac(8))
    unlimited = Accelerator("x", engine, Memory(2**13, 2**10, 2**12, ports=ports))
    assert not unlimited.price(work).stall_cycles.any()
    before = None
    for rate in (1, 2, 3, 7, 20, 64, 300, 5000):
        cost = replace(unlimited, memory=replace(unlimited.memory, dram_bits_per_cycle=rate)).price(work)
        busiest = moved(cost) if ports == "shared" else moved(cost) // 2  # one of two ports moves half or more
        assert (cost.cycles * rate >= busiest).all()
        assert (cost.cycles >= cost.compute_cycles + cost.fill_drain_cycles).all()
        assert before is None or (cost.cycles <= before).all()
        before = cost.cycles
    assert replace(unlimited, memory=Memory(dram_bits_per_cycle=2**40)).price(work).stall_cycles.max() <= 2


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)),
    st.integers(1, 2000),
    st.sampled_from(["os", "ws", "is"]),
)
def test_groups_and_calls_wait_one_after_the_other(shape: tuple[int, int, int], rate: int, dataflow: str) -> None:
    accelerator = Accelerator("x", SystolicArray(4, 4, dataflow), Memory(64, 64, 64, dram_bits_per_cycle=rate))
    one = accelerator.price(Work.dense(*shape))
    several = accelerator.price(Work.dense(*shape, groups=3, calls=5))
    for name in ("cycles", "stall_cycles", "sram_reads_a", "dram_bits_a", "dram_bits_psum", "folds"):
        assert getattr(several, name) == 15 * getattr(one, name)


def test_the_binding_resource_is_the_largest_part() -> None:
    engine = SystolicArray(8, 8, "os")
    assert Accelerator("x", engine).gemm(64, 64, 500).binding == "compute"
    assert Accelerator("x", engine).gemm(8, 8, 2).binding == "fill_drain"
    slow = Accelerator("x", engine, Memory(dram_bits_per_cycle=1))
    assert slow.gemm(64, 64, 500).binding == "dram"
    assert BINDINGS == ("compute", "fill_drain", "dram")


def test_bit_fusion_waits_for_its_narrow_interface() -> None:
    cost = bitfusion().gemm(1024, 512, 16)
    assert cost.compute_cycles == 1024 * 16
    assert cost.stall_cycles > 0
    assert cost.binding == "dram"
    assert cost.cycles * 192 >= cost.dram_bits_a + cost.dram_bits_b + cost.dram_bits_out + cost.dram_bits_psum
