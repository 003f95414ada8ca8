"""SCALE-Sim 3.0.0 and fxsim agree on every layer, array and dataflow of tests/vectors/scalesim.csv."""

from __future__ import annotations

import csv
import importlib.util
import math
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from fxsim.cost.accelerators import scalesim

TABLE = Path(__file__).parents[2] / "vectors" / "scalesim.csv"
ROWS = list(csv.DictReader(TABLE.read_text().splitlines()))


def simulated_shapes(model: str) -> dict[str, tuple[int, int, int]]:
    """(M, N, K) of the layers that make_scalesim.py would simulate today, by name."""
    spec = importlib.util.spec_from_file_location("make_scalesim", TABLE.with_name("make_scalesim.py"))
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script  # dataclasses look their module up
    spec.loader.exec_module(script)
    channels = dict(script.MODELS_AND_CHANNELS)[model]
    return {name: layer.gemm for layer, name in script.layers(model, channels).items()}


def counted_writes(row: dict[str, str]) -> int:
    """SCALE-Sim's ofmap writes without what it counts by mistake: R + C more in every fold of os."""
    writes = int(row["ofmap_writes"])
    if row["dataflow"] != "os":
        return writes
    rows, columns = int(row["rows"]), int(row["columns"])
    return writes - -(-int(row["m"]) // rows) * -(-int(row["n"]) // columns) * (rows + columns)


def test_the_table_covers_what_it_should() -> None:
    assert {row["model"] for row in ROWS} == {"lenet5", "resnet20", "alexnet"}
    assert {row["dataflow"] for row in ROWS} == {"os", "ws", "is"}
    assert {(row["rows"], row["columns"]) for row in ROWS} == {
        ("8", "8"),
        ("16", "16"),
        ("32", "32"),
        ("8", "32"),
        ("32", "8"),
    }
    assert len(ROWS) == (5 + 9 + 6) * 5 * 3
    assert {row["stall_cycles"] for row in ROWS} == {"0"}


@pytest.mark.parametrize("model", ["lenet5", "resnet20", "alexnet"])
def test_the_layers_are_those_of_the_models(model: str) -> None:
    found = {row["layer"]: tuple(int(row[name]) for name in "mnk") for row in ROWS if row["model"] == model}
    assert found == simulated_shapes(model)


@pytest.mark.parametrize("model", ["lenet5", "resnet20", "alexnet"])
@pytest.mark.parametrize("dataflow", ["os", "ws", "is"])
def test_cycles_efficiency_and_accesses_are_the_same(model: str, dataflow: str) -> None:
    found = [row for row in ROWS if (row["model"], row["dataflow"]) == (model, dataflow)]
    for row in found:
        m, n, k, rows, columns = (int(row[name]) for name in ("m", "n", "k", "rows", "columns"))
        cost = scalesim(rows, columns, dataflow).gemm(m, n, k)
        assert cost.last_index == int(row["total_cycles"]), row
        assert cost.sram_reads_a == int(row["ifmap_reads"]), row
        assert cost.sram_reads_b == int(row["filter_reads"]), row
        assert cost.sram_writes == counted_writes(row), row
        # SCALE-Sim adds up floats, one for each fold
        assert math.isclose(100 * cost.mapping_efficiency, float(row["mapping_efficiency_percent"]), rel_tol=1e-12)


def test_mapping_efficiency_is_sr_sc_over_the_folds() -> None:
    cost = scalesim(8, 8, "os").gemm(784, 6, 25)
    assert cost.mapping_efficiency == 0.75
    cost = scalesim(8, 8, "ws").gemm(784, 6, 25)
    assert cost.mapping_efficiency == float(Fraction(25 * 6, 4 * 64))
