"""Accelerators as records: priced row by row or at once, written and read, refused where they cannot be."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch

import fxsim as fx
from fxsim.cost.accelerators import (
    PRESETS,
    Accelerator,
    BitFusion,
    BitSerial,
    DynamicStripes,
    EnergyTable,
    FixedMac,
    Memory,
    Pragmatic,
    Skipping,
    SystolicArray,
    build,
    energy_table,
    scalesim,
    systolic,
)
from fxsim.cost.accelerators.engines import ENGINES
from fxsim.cost.cost import COST_COLUMNS, REAL_COLUMNS, Cost
from fxsim.cost.work import Work

MACHINES = [
    *(preset.build() for preset in PRESETS.values()),
    Accelerator("a", SystolicArray(3, 70, "is", "ispass20", "exact", FixedMac(12, zero_gating=True)), clock_hz=10**9),
    Accelerator("b", BitFusion(4, 4, "im2col"), Memory(1, 2, 3, 4, double_buffered=False, ports="separate")),
    Accelerator("c", BitSerial(1, 2, 3, 4, 5), Memory(im2col="stored"), sources=(("engine", "me"),)),
    Accelerator("d", Skipping(5, 6, "both"), accumulator=fx.Accumulator("<20,8>", "floor", "wrap")),
    Accelerator("e", DynamicStripes(4, 5, 6, 7), energy=dataclasses.replace(energy_table(), name="mine", dram=7.5)),
    Accelerator("f", Pragmatic(4, 5, 6)),
]


def names(machine: Accelerator) -> str:
    return machine.name


@pytest.mark.parametrize("machine", MACHINES, ids=names)
def test_a_description_survives_toml_pickle_and_hashing(machine: Accelerator) -> None:
    text = machine.to_toml()
    assert Accelerator.from_toml(text) == machine
    assert Accelerator.from_toml(text).to_toml() == text
    assert pickle.loads(pickle.dumps(machine)) == machine
    assert len({machine, Accelerator.from_toml(text)}) == 1


def test_every_kind_of_engine_is_tried() -> None:
    assert {machine.engine.kind for machine in MACHINES} == set(ENGINES)


MINIMAL = 'version = 1\nname = "mine"\n[engine]\nkind = "systolic"\nrows = 4\ncolumns = 6\n'


def test_what_a_file_leaves_out_has_the_default() -> None:
    assert Accelerator.from_toml(MINIMAL) == Accelerator("mine", SystolicArray(4, 6))
    named = Accelerator.from_toml('energy = "horowitz45"\naccumulator = "20 overflow=wrap"\n' + MINIMAL)
    assert named.energy == energy_table()
    assert named.accumulator == fx.Accumulator(20, overflow="wrap")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = ", "accelerator: not a TOML file: "),
        ('name = "x"', "accelerator: version, engine: missing"),
        (MINIMAL.replace("version = 1", "version = 9"), "accelerator: version = 9: this fxsim reads version 1"),
        ("clock = 3\n" + MINIMAL, "accelerator: clock: no such key; accepted: version, name, clock_hz"),
        (MINIMAL.replace("systolic", "quantum"), r"accelerator: \[engine\] kind = 'quantum': accepted are systolic, "),
        (MINIMAL + "depth = 2", r"accelerator: \[engine\] depth: no such key; accepted: rows, columns, dataflow"),
        (MINIMAL.replace("rows = 4\n", ""), r"accelerator: \[engine\] rows: missing"),
        (
            MINIMAL.replace("rows = 4", 'rows = "4"'),
            r"accelerator: \[engine\] SystolicArray: rows = '4': a whole number",
        ),
        (MINIMAL.replace("rows = 4", "rows = 0"), "SystolicArray: rows = 0: accepted are 1 to 65536"),
        (MINIMAL + 'dataflow = "rs"', "SystolicArray: dataflow = 'rs': accepted are os, ws, is"),
        ("memory = 3\n" + MINIMAL, r"accelerator: memory = 3: a table \[memory\] is needed"),
        (MINIMAL + "[memory]\nsram_a_bits = -1", "Memory: sram_a_bits = -1: accepted are 1 to"),
        (MINIMAL + '[memory]\nports = "many"', "Memory: ports = 'many': accepted are shared, separate"),
        (
            MINIMAL + "[memory]\ndouble_buffered = 1",
            r"accelerator: \[memory\] Memory: double_buffered = 1: True or False",
        ),
        (MINIMAL + "[engine.mac]\nbits = 65", "FixedMac: bits = 65: accepted are 1 to 64"),
        ('energy = "free"\n' + MINIMAL, "energy_table: 'free' is not a table; accepted: horowitz45"),
    ],
)
def test_a_file_that_is_not_accepted_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Accelerator.from_toml(text)


def test_parts_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="Accelerator: engine = 3: a Engine is needed"):
        Accelerator("x", 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="SystolicArray: mac = 8: a FixedMac is needed, not int"):
        SystolicArray(1, 1, mac=8)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Accelerator: clock_hz = 0: accepted are 1 to"):
        Accelerator("x", SystolicArray(1, 1), clock_hz=0)
    with pytest.raises(
        ValueError, match="give format, rounding, overflow and product only; how products are grouped follows"
    ):
        systolic(accumulator="20 lanes=4")


def rows(count: int, seed: int = 5) -> Work:
    rng = np.random.default_rng(seed)
    shape = {name: rng.integers(1, 3000, count) for name in ("m", "n", "k")}
    widths = {name: rng.integers(1, 33, count) for name in ("a_bits", "b_bits", "out_bits", "acc_bits")}
    return Work.dense(**shape, **widths, groups=rng.integers(1, 4, count), calls=rng.integers(1, 9, count))


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.level == 0])
def test_rows_are_priced_alone_as_together_whatever_their_number(name: str) -> None:
    machine = build(name)
    work = rows(16384 * 2 + 5)
    cost = machine.price(work)
    assert len(cost) == len(work)
    for row in (0, 16383, 16384, 32768, 32772):
        assert cost.row(row) == machine.price(work.slice(row, row + 1)).row(0)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.level == 0])
def test_parts_add_up_and_columns_have_their_types(name: str) -> None:
    work = rows(300)
    cost = build(name).price(work)
    assert (cost.cycles == cost.compute_cycles + cost.fill_drain_cycles + cost.stall_cycles).all()
    assert (cost.last_index == cost.cycles - 1).all()
    assert (cost.fill_drain_cycles >= 0).all()
    assert ((cost.mapping_efficiency > 0) & (cost.mapping_efficiency <= 1)).all()
    assert ((cost.utilization > 0) & (cost.utilization <= 1)).all()
    assert (cost.sram_reads_a * work.a_bits == cost.sram_bits_a).all()
    assert (cost.dram_bits_a >= work.a_elements * work.calls * work.a_bits).all()
    for column in COST_COLUMNS:
        values = getattr(cost, column)
        assert values.dtype == (np.float64 if column in REAL_COLUMNS else np.int64)
        assert not values.flags.writeable
    assert Cost.join([cost, cost]).cycles.tolist() == cost.cycles.tolist() * 2


def test_a_gemm_is_one_row_in_plain_numbers() -> None:
    cost = systolic(8, 8, accumulator=20).gemm(30, 20, 50, "<8,4>", "u<6,2>")
    assert cost == systolic(8, 8).price(Work.dense(30, 20, 50, a_bits=8, b_bits=6, acc_bits=20)).row(0)
    assert cost == systolic(8, 8, accumulator="<20,6>").gemm(30, 20, 50, fx.Format(8, 4), fx.Format(6, 2, signed=False))
    assert [type(getattr(cost, name)) for name in ("cycles", "utilization", "binding")] == [int, float, str]
    assert scalesim(8, 8).gemm(784, 6, 25).last_index == 3821  # SCALE-Sim's "Total Cycles" of LeNet-5's first layer
    with pytest.raises(ValueError, match="'<8>' is not a format"):
        systolic().gemm(1, 1, 1, "<8>")


def test_a_schedule_whose_results_would_meet_is_refused() -> None:
    tall = systolic(16, 4, schedule="scalesim")
    text = r"16 x 4, edge = 'exact': folds of 12 steps make .* more than rows - columns = 12 steps; choose schedule"
    with pytest.raises(ValueError, match=text):
        tall.gemm(40, 8, 12)
    assert tall.gemm(40, 8, 13).cycles == 5 * (13 + 16 + 4 - 2) + 13 + 2 * 8 + 4 - 2
    assert tall.gemm(16, 4, 3).folds == 1
    assert systolic(16, 4, schedule="scalesim", edge="full").gemm(40, 8, 12).cycles == 6 * (12 + 16 + 4 - 2)


def test_rows_too_large_for_exact_integers_are_refused() -> None:
    work = Work.dense(2**19, 2**19, 2**19, calls=4)
    with pytest.raises(OverflowError, match=r"reaches 2\*\*60; split the row into several with fewer calls"):
        scalesim(1, 1, "ws").price(work)


def clip(value: int, bits: int) -> int:
    return max(-(2 ** (bits - 1)), min(2 ** (bits - 1) - 1, value))


def by_hand(dataflow: str, a: np.ndarray, b: np.ndarray, rows: int, bits: int) -> list[list[int]]:
    """Sums as an array's registers hold them: saturating at every addition."""
    result = []
    for x in a.tolist():
        line = []
        for y in b.T.tolist():
            total = column = 0
            for index, product in enumerate(p * q for p, q in zip(x, y, strict=True)):
                if dataflow == "os":
                    total = clip(total + product, bits)
                    continue
                column = clip(column + product, bits)
                if index % rows == rows - 1 or index == len(x) - 1:
                    total, column = clip(total + column, bits), 0
            line.append(total)
        result.append(line)
    return result


def test_the_arithmetic_of_an_array_is_that_of_its_dataflow() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.integers(-128, 128, (8, 128)), rng.integers(-128, 128, (128, 12))
    fixed = [fx.FixedTensor(torch.from_numpy(raws), fx.Format(8, 0)) for raws in (a, b)]
    found = {}
    for dataflow in ("os", "ws", "is"):
        machine = systolic(16, 8, dataflow, accumulator=16)
        found[dataflow] = fx.matmul(*fixed, accumulator=machine.arithmetic()).raw.tolist()
        assert found[dataflow] == by_hand(dataflow, a, b, 16, 16)
    assert found["ws"] == found["is"] != found["os"]


def test_work_is_priced_with_the_registers_of_the_machine_if_it_names_them() -> None:
    narrow, wide = (Work.dense([30, 50], 20, 50, acc_bits=bits) for bits in (20, 32))
    for dataflow in ("os", "ws"):
        own, named = systolic(8, 8, dataflow), systolic(8, 8, dataflow, accumulator=20)
        assert named.price(wide).energy_pj.tolist() == own.price(narrow).energy_pj.tolist()
        assert named.price(wide).energy_pj.tolist() != own.price(wide).energy_pj.tolist()
        assert wide.acc_bits.tolist() == [32, 32]


def test_a_product_register_comes_before_the_sum() -> None:
    register = fx.Accumulator(14, product="<13,6>")
    assert systolic(4, 3, accumulator=register).arithmetic() == register
    columns = systolic(4, 3, "ws", accumulator=register).arithmetic()
    assert columns == fx.Accumulator(14, product="<13,6>", chunk=4, outer=fx.Accumulator(14))


def test_each_engine_groups_products_in_its_own_way() -> None:
    assert systolic(16, 8).arithmetic() == fx.Accumulator()
    inner = fx.Accumulator(20, overflow="wrap")
    expected = fx.Accumulator(20, overflow="wrap", chunk=16, outer=inner)
    assert systolic(16, 8, "ws", accumulator=inner).arithmetic() == expected
    assert build("stripes").arithmetic() == fx.Accumulator(lanes=16)
    assert build("pragmatic").arithmetic() == fx.Accumulator(lanes=16)
    assert build("skipping").arithmetic() == fx.Accumulator()
    fusion = build("bitfusion")
    assert fusion.arithmetic() == fx.Accumulator(32, lanes=16)
    assert fusion.arithmetic("<2,0>", "<4,0>") == fx.Accumulator(32, lanes=128)
    assert fusion.arithmetic("<16,0>", "<16,0>") == fx.Accumulator(32, lanes=4)


def test_presets_are_built_by_name() -> None:
    assert build("systolic", rows=4, columns=8, dataflow="ws") == systolic(4, 8, "ws")
    assert build("scalesim") == scalesim(32, 32, "os")
    with pytest.raises(ValueError, match=r"accelerators.build: 'tpu' is not a preset; accepted: systolic, scalesim, "):
        build("tpu")
    with pytest.raises(ValueError, match=r"accelerators.build: loom has no option rows; accepted: a_bits_per_cycle"):
        build("loom", rows=3)
    assert all(machine.sources for machine in (preset.build() for preset in PRESETS.values()))


def test_the_classes_are_reachable_from_the_package() -> None:
    assert fx.accelerators.Accelerator is Accelerator
    assert isinstance(fx.accelerators.energy_table(), EnergyTable)
