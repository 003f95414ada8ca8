"""The closed forms of a systolic array against plain loops over its elements."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fxsim.cost.accelerators import systolic_cycles

SHAPES = [(1, 1, 1), (3, 5, 7), (8, 8, 8), (9, 17, 4), (4, 33, 2), (16, 2, 1), (12, 12, 30), (5, 40, 3)]
ARRAYS = [(1, 1), (4, 4), (3, 5), (5, 2), (2, 16), (4, 32)]


def events(dataflow: str, rows: int, columns: int, shape: tuple[int, int, int], step: int) -> tuple[int, int]:
    """Last multiply-accumulate and last result of a GEMM, by walking over every fold and element."""
    m, n, k = shape
    sr, sc, t = {"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n)}[dataflow]
    macs, outputs = [], []
    folds = itertools.product(range(0, sc, columns), range(0, sr, rows))
    for fold, (first_column, first_row) in enumerate(folds):
        start = fold * step
        used_rows, used_columns = range(min(rows, sr - first_row)), range(min(columns, sc - first_column))
        for row, column in itertools.product(used_rows, used_columns):
            if dataflow == "os":
                done = start + t + row + column
                macs.append(done)
                outputs.append(done + row + 1)  # one cycle for each row up to and out of row 0
            else:
                macs.append(start + rows + t + row + column)
        if dataflow != "os":
            # R cycles in which the stationary operand comes in, R rows on the way down, one addition below
            outputs += [start + rows + t + (rows - 1) + column + 1 for column in used_columns]
    return max(macs), max(outputs)


@pytest.mark.parametrize("dataflow", systolic_cycles.DATAFLOWS)
@pytest.mark.parametrize("schedule", systolic_cycles.SCHEDULES)
@pytest.mark.parametrize(("rows", "columns"), ARRAYS)
def test_last_mac_and_last_output_are_those_of_plain_loops(
    dataflow: str, schedule: str, rows: int, columns: int
) -> None:
    for shape in SHAPES:
        on = systolic_cycles.mapping(dataflow, rows, columns, *shape)
        if not systolic_cycles.feasible(dataflow, schedule, rows, columns, on):
            continue
        step = systolic_cycles.interval(dataflow, schedule, rows, columns, on.t)
        found = int(systolic_cycles.last_mac(dataflow, on, step)), int(systolic_cycles.last_output(dataflow, on, step))
        assert found == events(dataflow, rows, columns, shape, int(step)), shape
        assert systolic_cycles.cycles(dataflow, schedule, "exact", on) == found[1]


def test_the_forms_are_the_printed_ones() -> None:
    # 100 x 40 x 27 on 8 x 16, os: 13 * 3 folds, the last of 4 x 8
    on = systolic_cycles.mapping("os", 8, 16, 100, 40, 27)
    assert (int(on.folds), int(on.last_rows), int(on.last_columns)) == (39, 4, 8)
    assert int(systolic_cycles.interval("os", "pipelined", 8, 16, on.t)) == 27
    assert int(systolic_cycles.last_mac("os", on, np.int64(27))) == 38 * 27 + 27 + 4 + 8 - 2
    assert int(systolic_cycles.last_output("os", on, np.int64(27))) == 38 * 27 + 27 + 2 * 4 + 8 - 2
    assert int(systolic_cycles.cycles("os", "scalesim", "full", on)) == 39 * (27 + 8 + 16 - 2)
    assert int(systolic_cycles.cycles("os", "ispass20", "full", on)) == 39 * (27 + 2 * 8 + 16 - 2)
    on = systolic_cycles.mapping("ws", 8, 16, 100, 40, 27)
    assert (int(on.fr), int(on.fc), int(on.last_rows), int(on.last_columns)) == (4, 3, 3, 8)
    step = systolic_cycles.interval("ws", "ispass20", 8, 16, on.t)
    assert int(step) == 100 + 2 * 8 + 16 - 2
    assert int(systolic_cycles.last_mac("ws", on, step)) == 11 * int(step) + 8 + 100 + 3 + 8 - 2
    assert int(systolic_cycles.last_output("ws", on, step)) == 11 * int(step) + 2 * 8 + 100 + 8 - 1
    assert int(systolic_cycles.interval("ws", "pipelined", 8, 16, on.t)) == 100
    assert int(systolic_cycles.cycles("ws", "scalesim", "full", on)) == 12 * (100 + 2 * 8 + 16 - 2)


def test_pipelined_folds_wait_for_the_wires_where_they_are_short() -> None:
    steps = np.arange(1, 40)
    for rows, columns in ARRAYS:
        found = {flow: systolic_cycles.interval(flow, "pipelined", rows, columns, steps) for flow in ("os", "ws", "is")}
        assert found["os"].tolist() == [max(t, 2 * rows - 1) for t in steps]
        assert found["ws"].tolist() == found["is"].tolist() == [max(t, rows) for t in steps]


def test_one_product_on_one_element_takes_two_cycles() -> None:
    assert systolic_cycles.cycles("os", "pipelined", "exact", systolic_cycles.mapping("os", 1, 1, 1, 1, 1)) == 2


def test_input_stationary_is_weight_stationary_with_operands_exchanged() -> None:
    for schedule, edge, (m, n, k) in itertools.product(systolic_cycles.SCHEDULES, systolic_cycles.EDGES, SHAPES):
        inputs = systolic_cycles.mapping("is", 4, 8, m, n, k)
        weights = systolic_cycles.mapping("ws", 4, 8, n, m, k)
        assert systolic_cycles.cycles("is", schedule, edge, inputs) == systolic_cycles.cycles(
            "ws", schedule, edge, weights
        )


@pytest.mark.parametrize(("rows", "columns"), [(8, 4), (16, 2), (5, 5), (4, 16)])
def test_scalesim_is_feasible_where_t_exceeds_r_minus_c(rows: int, columns: int) -> None:
    for t in range(1, 20):
        several = systolic_cycles.mapping("os", rows, columns, 3 * rows, columns, t)
        assert systolic_cycles.feasible("os", "scalesim", rows, columns, several) == (t > rows - columns)
        assert systolic_cycles.feasible("os", "pipelined", rows, columns, several)
        assert systolic_cycles.feasible("os", "ispass20", rows, columns, several)
        assert systolic_cycles.feasible("ws", "scalesim", rows, columns, several)
        assert systolic_cycles.feasible(
            "os", "scalesim", rows, columns, systolic_cycles.mapping("os", rows, columns, rows, 1, t)
        )


def test_an_unknown_dataflow_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dataflow = 'rs': accepted are os, ws, is"):
        systolic_cycles.mapping("rs", 4, 4, 1, 1, 1)
