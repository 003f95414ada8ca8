from __future__ import annotations

import re

import pytest

from fxsim.report import svg
from fxsim.report.colours import magma, viridis
from fxsim.report.curves import MOST_POINTS, Series, plot
from fxsim.report.heatmap import MOST_COLUMNS, Cell, Legend, heat_map

LEGEND = Legend(0.0, 10.0, viridis, (0, 10), str)


def titles(drawing: str) -> list[str]:
    return re.findall(r"<title>(.*?)</title>", drawing)


@pytest.mark.parametrize(
    ("lo", "hi", "expected"),
    [
        (0, 10, (0, 2, 4, 6, 8, 10)),
        (0, 660, (0, 200, 400, 600)),
        (0.9, 1.0, (0.9, 0.92, 0.94, 0.96, 0.98, 1.0)),
        (0, 0.04, (0, 0.01, 0.02, 0.03, 0.04)),
        (-1, 1, (-1, -0.5, 0, 0.5, 1)),
    ],
)
def test_ticks_are_round_and_inside(lo: float, hi: float, expected: tuple[float, ...]) -> None:
    assert svg.ticks(lo, hi, 5) == pytest.approx(expected)


def test_ticks_of_things_counted_are_whole() -> None:
    assert svg.ticks(0, 6, 12, least=1) == (0, 1, 2, 3, 4, 5, 6)
    assert svg.ticks(0, 1, 8, least=1) == (0, 1)
    assert svg.ticks(0, 20, 9, least=1) == (0, 5, 10, 15, 20)  # not by 2.5


def test_texts_are_escaped() -> None:
    assert svg.text(0, 0, "<8,4> & more") == (
        '<text x="0" y="0" class="label" text-anchor="start">&lt;8,4&gt; &amp; more</text>'
    )


def test_colours_run_from_end_to_end() -> None:
    assert (viridis(0), viridis(1), viridis(-1), viridis(2)) == ("#440154", "#fde725", "#440154", "#fde725")
    assert viridis(0.5) == "#21918c"
    assert magma(0) == "var(--empty)"
    assert magma(1) == "#fcfdbf"


def test_a_legend_of_one_value_has_a_colour() -> None:
    assert Legend(8, 8, viridis, (8,), str).fill(8) == "#21918c"


def test_cells_are_drawn_as_long_as_they_hold() -> None:
    rows = {"a": [Cell(1, 30, 0.0, "x"), Cell(31, 40, 10.0, "y")]}
    drawing = heat_map(rows, LEGEND, steps=40, label="map")
    assert titles(drawing) == ["a: x", "a: y"]
    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"[^>]*><title>', drawing)]
    assert widths[0] == pytest.approx(3 * widths[1], rel=1e-2)


def test_long_runs_become_means_over_columns() -> None:
    steps = 3 * MOST_COLUMNS
    cells = [Cell(step, step, float(step % 3), f"step {step}") for step in range(1, steps + 1)]
    drawing = heat_map({"a": cells}, LEGEND, steps=steps, label="map")
    assert titles(drawing) == ["a: steps 1–3: mean 1.0"]  # every column's mean is 1: one cell


def test_long_runs_keep_what_a_column_holds_alone() -> None:
    steps = 2 * MOST_COLUMNS
    cells = [Cell(1, steps // 2, 4.0, "first half"), Cell(steps // 2 + 1, steps, 8.0, "second half")]
    assert titles(heat_map({"a": cells}, LEGEND, steps=steps, label="map")) == ["a: first half", "a: second half"]


def test_a_curve_breaks_off_where_there_is_no_number() -> None:
    series = Series("s", ((1, 0.5), (2, float("nan")), (3, float("inf")), (4, 1.0)), "red")
    drawing = plot([series], steps=4, label="curve", format_y=str, lo=0, hi=1)
    (points,) = re.findall(r'<polyline points="([^"]*)"', drawing)
    assert len(points.split()) == 2


def test_faint_curves_are_thinned_to_means() -> None:
    points = tuple((float(step), float(step % 2)) for step in range(10 * MOST_POINTS))
    drawing = plot([Series("s", points, "red", faint=True)], steps=2200, label="curve", format_y=str, lo=0, hi=1)
    (drawn,) = re.findall(r'<polyline points="([^"]*)"', drawing)
    assert len(drawn.split()) == MOST_POINTS
    assert len({point.split(",")[1] for point in drawn.split()}) == 1  # each a mean over as many zeros as ones
