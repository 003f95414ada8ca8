"""A Verilog array computes the kernels' bits, counts what they count, in the cycles that the closed forms give."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import fxsim as fx
from fxsim.accumulator import resolve
from fxsim.cost.accelerators import Accelerator, systolic
from fxsim.cost.accelerators.systolic_cycles import (
    DATAFLOWS,
    SCHEDULES,
    feasible,
    interval,
    last_mac,
    last_output,
    mapping,
)
from fxsim.models import LeNet5
from fxsim.ops.records import OpRecord
from fxsim.rounding import ROUNDINGS

OVERFLOWS = ("saturate", "saturate_symmetric", "saturate_zero", "wrap")
"""In the order of their numbers in arithmetic.v; those of roundings are the order of ROUNDINGS."""

EVENTS = ("zero_macs", "product_overflows", "step_overflows", "outer_overflows")

DETERMINISTIC = tuple(each for each in ROUNDINGS if each != "stochastic")
PRODUCT_MODES = [(rounding, overflow) for rounding in DETERMINISTIC for overflow in OVERFLOWS]

ARRAYS, GEMMS = len(PRODUCT_MODES) + 8, 5
"""Arrays of a dataflow, one for each pair of modes of the product register and some without one; GEMMs on each."""


class Cycles(NamedTuple):
    """What the closed forms say: cycles between folds, until the last multiply-accumulate, until the last output."""

    interval: int
    last_mac: int
    last_output: int


@dataclasses.dataclass(frozen=True)
class Hardware:
    """An array and the numbers it takes. register: one accumulator of it, as an element has it."""

    dataflow: str
    rows: int
    columns: int
    a: fx.Format
    b: fx.Format
    register: fx.Accumulator

    def described(self, schedule: str = "pipelined") -> Accelerator:
        """As the library describes it."""
        return systolic(
            self.rows, self.columns, self.dataflow, schedule=schedule, mac_bits=None, accumulator=self.register
        )

    @property
    def accumulator(self) -> fx.Accumulator:
        """The order of sums that the description gives."""
        return self.described().arithmetic()

    def parameters(self) -> dict[str, int]:
        """Of bench.sv. Input stationary is weight stationary with the operands exchanged."""
        a, b = (self.b, self.a) if self.dataflow == "is" else (self.a, self.b)
        registers = resolve(self.register, a, b, 1)
        exact = fx.Quantizer(fx.Format(a.wl + b.wl, a.fl + b.fl, a.signed or b.signed))
        product = registers.product or exact
        return {
            "WEIGHT_STATIONARY": int(self.dataflow != "os"),
            "R": self.rows,
            "C": self.columns,
            "A_BITS": a.wl,
            "A_SIGNED": int(a.signed),
            "B_BITS": b.wl,
            "B_SIGNED": int(b.signed),
            "SHIFT": exact.format.fl - product.format.fl,
            "ROUNDING": ROUNDINGS.index(product.rounding_name),
            "P_BITS": product.format.wl,
            "P_SIGNED": int(product.format.signed),
            "P_OVERFLOW": OVERFLOWS.index(product.overflow),
            "ACC_BITS": registers.inner.format.wl,
            "ACC_SIGNED": int(registers.inner.format.signed),
            "ACC_OVERFLOW": OVERFLOWS.index(registers.inner.overflow),
        }

    def multiply(self, a: fx.FixedTensor, b: fx.FixedTensor) -> fx.FixedTensor:
        """The GEMM as the kernels do it."""
        if self.dataflow == "is":
            return fx.matmul(b.permute(1, 0), a.permute(1, 0), accumulator=self.accumulator)
        return fx.matmul(a, b, accumulator=self.accumulator)

    def cycles(self, schedule: str, m: int, n: int, k: int) -> Cycles:
        on = mapping(self.dataflow, self.rows, self.columns, m, n, k)
        step = interval(self.dataflow, schedule, self.rows, self.columns, on.t)
        return Cycles(int(step), int(last_mac(self.dataflow, on, step)), int(last_output(self.dataflow, on, step)))

    def feasible(self, schedule: str, m: int, n: int, k: int) -> bool:
        on = mapping(self.dataflow, self.rows, self.columns, m, n, k)
        return bool(feasible(self.dataflow, schedule, self.rows, self.columns, on))


def random_hardware(rng: random.Random, dataflow: str, number: int) -> Hardware:
    """Operands of 1 to 16 bits; registers so narrow that they overflow."""
    a, b = (fx.Format(rng.randint(1, 16), rng.randint(-2, 9), rng.random() < 0.7) for _ in range(2))
    bits, signed = a.wl + b.wl, a.signed or b.signed
    product = None
    if number < len(PRODUCT_MODES):
        shift = rng.randint(1, min(bits, 8))
        bits, signed = max(bits - shift + rng.randint(-2, 2), 1), signed or rng.random() < 0.2
        product = fx.Quantizer(fx.Format(bits, a.fl + b.fl - shift, signed), *PRODUCT_MODES[number])
    width = max(bits + rng.randint(-2, 5), 1)
    register = fx.Accumulator(width, overflow=rng.choice(OVERFLOWS), product=product)
    return Hardware(dataflow, rng.randint(1, 6), rng.randint(1, 6), a, b, register)


def random_words(rng: random.Random, form: fx.Format, *shape: int) -> fx.FixedTensor:
    """Words of which some are 0 and some extreme."""
    choices = (lambda: 0, lambda: form.raw_min, lambda: form.raw_max, lambda: rng.randint(form.raw_min, form.raw_max))
    flat = [rng.choices(choices, (3, 1, 1, 6))[0]() for _ in range(shape[0] * shape[1])]
    return fx.FixedTensor(torch.tensor(flat).reshape(shape), form)


def differences(folder: Path, vector: fx.export.Vector, record: OpRecord, cycles: Cycles, simulated: Any) -> list[str]:
    """What the array did otherwise than kernels and closed forms say."""
    found = []
    if (folder / vector.accumulated.file).read_text().split() != list(simulated.words):
        found.append(f"{vector.name}: outputs")
    counted = simulated.counters._asdict()
    expected = {name: getattr(record, name, 0) for name in counted}
    expected.update(last_mac=cycles.last_mac, last_output=cycles.last_output)
    return found + [
        f"{vector.name}: {name} is {counted[name]}, not {expected[name]}"
        for name in counted
        if counted[name] != expected[name]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_random_folded_gemms(dataflow: str, simulate, tmp_path: Path) -> None:
    rng = random.Random(f"co-simulation of {dataflow}")
    wrong: list[str] = []
    seen: Counter[str] = Counter()
    for number in range(ARRAYS):
        hardware = random_hardware(rng, dataflow, number)
        folder, runs = tmp_path / f"array{number}", []
        with fx.export.vectors(folder) as vectors, fx.count(keep_order=True) as counts:
            for _ in range(GEMMS):
                shape = tuple(rng.randint(1, 16) for _ in range(3))
                schedule = rng.choice([each for each in SCHEDULES if hardware.feasible(each, *shape)])
                runs.append((schedule, hardware.cycles(schedule, *shape)))
                m, n, k = shape
                hardware.multiply(random_words(rng, hardware.a, m, k), random_words(rng, hardware.b, k, n))
        jobs = [(vector, cycles.interval) for vector, (_, cycles) in zip(vectors, runs, strict=True)]
        simulated = simulate(hardware.parameters(), folder, jobs)
        for vector, record, (schedule, cycles), each in zip(vectors, counts.ordered, runs, simulated, strict=True):
            wrong += [f"{hardware} {schedule}: {text}" for text in differences(folder, vector, record, cycles, each)]
            folded = vector.m > hardware.rows and vector.n > hardware.columns and vector.k > hardware.rows
            met = {name: int(getattr(record, name) > 0) for name in EVENTS}
            seen.update({"gemms": 1, "folded": folded, schedule: 1, hardware.register.overflow: 1, **met})
    assert wrong == []
    assert seen["gemms"] == ARRAYS * GEMMS >= 200
    outer = () if dataflow == "os" else ("outer_overflows",)
    for each in (*SCHEDULES, *OVERFLOWS, "folded", "zero_macs", "product_overflows", "step_overflows", *outer):
        assert seen[each] > 20, each  # or the comparison was one of things that never happened


@pytest.mark.slow
@pytest.mark.parametrize("dataflow", ["os", "ws"])
def test_convolutions_of_lenet5(dataflow: str, simulate, tmp_path: Path) -> None:
    register = fx.Accumulator(8, product="<8,8>")
    hardware = Hardware(dataflow, 8, 8, fx.Format(8, 5), fx.Format(8, 7), register)
    torch.manual_seed(5)
    numerics = fx.Numerics(hardware.b, hardware.a, accumulator=hardware.accumulator)
    model = fx.convert(LeNet5(), numerics).eval()
    for parameter in model.parameters():
        parameter.data.mul_(4)  # so that sums clip
    image = torch.randn(1, 1, 32, 32)
    with (
        fx.export.vectors(tmp_path / "vectors", layers=("conv1", "conv2")) as vectors,
        fx.count(keep_order=True) as counts,
    ):
        model(image)
    assert [(each.m, each.n, each.k) for each in vectors] == [(784, 6, 25), (100, 16, 150)]
    cycles = [hardware.cycles("pipelined", each.m, each.n, each.k) for each in vectors]
    jobs = [(vector, each.interval) for vector, each in zip(vectors, cycles, strict=True)]
    simulated = simulate(hardware.parameters(), tmp_path / "vectors", jobs)
    records = [each for each in counts.ordered if each.layer in ("conv1", "conv2") and each.macs]
    assert [
        text
        for each in zip(vectors, records, cycles, simulated, strict=True)
        for text in differences(tmp_path / "vectors", *each)
    ] == []
    assert min(each.step_overflows for each in records) > 0


def a_gemm(hardware: Hardware, folder: Path, shape: tuple[int, int, int]) -> tuple[fx.export.Vector, OpRecord]:
    """One GEMM of random words, and what the kernels counted."""
    rng = random.Random(7)
    m, n, k = shape
    with fx.export.vectors(folder) as vectors, fx.count(keep_order=True) as counts:
        hardware.multiply(random_words(rng, hardware.a, m, k), random_words(rng, hardware.b, k, n))
    return vectors[0], counts.ordered[0]


def values(words: tuple[str, ...], bits: int) -> list[int | None]:
    """The words as numbers; None where nothing came out, or something unknown."""
    sign = 1 << (bits - 1)
    return [None if "x" in word else (int(word, 16) ^ sign) - sign for word in words]


WRONG = {
    "truncates products instead of rounding them": ("ROUNDING", ROUNDINGS.index("floor")),
    "has an accumulator one bit wider": ("ACC_BITS", 15),
    "wraps sums instead of saturating them": ("ACC_OVERFLOW", OVERFLOWS.index("wrap")),
    "wraps products instead of saturating them": ("P_OVERFLOW", OVERFLOWS.index("wrap")),
}


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_an_array_with_other_arithmetic_is_caught(dataflow: str, simulate, tmp_path: Path) -> None:
    eight = fx.Format(8, 4)
    hardware = Hardware(dataflow, 4, 3, eight, eight, fx.Accumulator(14, product="<13,6>"))
    vector, record = a_gemm(hardware, tmp_path / "v", (12, 7, 12))
    cycles = hardware.cycles("pipelined", 12, 7, 12)
    right = hardware.parameters()
    assert right == {
        **right,
        "ROUNDING": ROUNDINGS.index("nearest_even"),
        "ACC_BITS": 14,
        "ACC_OVERFLOW": 0,
        "P_OVERFLOW": 0,
    }
    [simulated] = simulate(right, tmp_path / "v", [(vector, cycles.interval)])
    assert differences(tmp_path / "v", vector, record, cycles, simulated) == []
    golden = values(simulated.words, 14)
    for what, (parameter, value) in WRONG.items():
        wrong = {**right, parameter: value}
        [simulated] = simulate(wrong, tmp_path / "v", [(vector, cycles.interval)])
        assert values(simulated.words, wrong["ACC_BITS"]) != golden, what


def test_an_infeasible_schedule_is_refused_and_wrong(simulate, tmp_path: Path) -> None:
    eight = fx.Format(8, 4)
    hardware = Hardware("os", 6, 2, eight, eight, fx.Accumulator(20))
    shape = (12, 4, 2)
    assert not hardware.feasible("scalesim", *shape)
    with pytest.raises(ValueError, match="make results of neighbouring folds meet on the wire they leave by"):
        hardware.described("scalesim").gemm(*shape)
    vector, record = a_gemm(hardware, tmp_path / "v", shape)
    forced, feasible_one = hardware.cycles("scalesim", *shape), hardware.cycles("ispass20", *shape)
    jobs = [(vector, forced.interval), (vector, feasible_one.interval)]
    wrong, right = simulate(hardware.parameters(), tmp_path / "v", jobs)
    assert wrong.counters.collisions > 0
    assert any("outputs" in each for each in differences(tmp_path / "v", vector, record, forced, wrong))
    assert differences(tmp_path / "v", vector, record, feasible_one, right) == []


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("steps", [3, 11])
def test_no_fold_can_start_a_cycle_earlier_than_pipelined(dataflow: str, steps: int, simulate, tmp_path: Path) -> None:
    eight = fx.Format(8, 4)
    hardware = Hardware(dataflow, 5, 4, eight, eight, fx.Accumulator(20))
    shape = {"os": (13, 9, steps), "ws": (steps, 9, 13), "is": (13, steps, 9)}[dataflow]
    vector, record = a_gemm(hardware, tmp_path / "v", shape)
    cycles = hardware.cycles("pipelined", *shape)
    jobs = [(vector, cycles.interval), (vector, cycles.interval - 1)]
    right, wrong = simulate(hardware.parameters(), tmp_path / "v", jobs)
    assert differences(tmp_path / "v", vector, record, cycles, right) == []
    assert any("outputs" in each for each in differences(tmp_path / "v", vector, record, cycles, wrong))


def test_a_description_prices_what_the_array_takes(simulate, tmp_path: Path) -> None:
    eight = fx.Format(8, 4)
    for dataflow in DATAFLOWS:
        hardware = Hardware(dataflow, 4, 3, eight, eight, fx.Accumulator(20))
        vector, _ = a_gemm(hardware, tmp_path / dataflow, (9, 8, 7))
        cost = hardware.described().gemm(9, 8, 7)
        [simulated] = simulate(
            hardware.parameters(), tmp_path / dataflow, [(vector, hardware.cycles("pipelined", 9, 8, 7).interval)]
        )
        assert (cost.cycles, cost.last_index) == (simulated.counters.last_output, simulated.counters.last_output - 1)


def test_another_dataflow_sums_to_other_bits(simulate, tmp_path: Path) -> None:
    eight = fx.Format(8, 4)
    stationary = [
        Hardware(dataflow, 4, 3, eight, eight, fx.Accumulator(14, product="<13,6>")) for dataflow in ("os", "ws")
    ]
    for own, other in (stationary, stationary[::-1]):
        folder = tmp_path / own.dataflow
        vector, _ = a_gemm(own, folder, (12, 7, 12))
        interval = other.cycles("pipelined", 12, 7, 12).interval
        [simulated] = simulate(other.parameters(), folder, [(vector, interval)])
        golden = (folder / vector.accumulated.file).read_text().split()
        assert len(golden) == len(simulated.words) == 84
        assert golden != list(simulated.words)
