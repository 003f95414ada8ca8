from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

from fxsim.report.load import RunLog, load
from fxsim.report.portrait import portrait
from fxsim.train.runfolder import RunFolder

MakeUp = Callable[..., RunFolder]


def logs(made_up: MakeUp, path: Path) -> tuple[RunLog, RunLog]:
    adapt, plain = load(made_up(path / "run", 3)).logs
    return adapt, plain


def test_a_network_beside_the_baseline_is_one_file_of_its_own(made_up: MakeUp, tmp_path: Path) -> None:
    adapt, plain = logs(made_up, tmp_path)
    drawing = portrait(adapt, plain)
    root = ET.fromstring(drawing)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall("{http://www.w3.org/2000/svg}svg")) == 2
    assert f"adapt: test {100 * adapt.finalized.accuracy:.2f} %" in drawing  # type: ignore[union-attr]
    assert drawing.count("<polyline") == 2 + 5 + 1  # two accuracies, five layers and their mean
    assert drawing.count('class="curve faint"') == 5
    assert len(drawing) < 30_000
    assert set(re.findall(r"var\((--[\w-]+)\)", drawing)) <= set(re.findall(r"(--[\w-]+):", drawing))


def test_the_baseline_alone_has_one_curve_each(made_up: MakeUp, tmp_path: Path) -> None:
    _, plain = logs(made_up, tmp_path)
    drawing = portrait(plain, plain)
    assert drawing.count("<polyline") == 2
    assert drawing.count("float32: test") == 1


def test_a_format_that_held_for_no_step_is_not_drawn(made_up: MakeUp, tmp_path: Path) -> None:
    adapt, plain = logs(made_up, tmp_path)
    at_once = tuple(
        dataclasses.replace(each, step=0, old="<32,31>", new=each.old)
        for each in {switch.layer: switch for switch in reversed(adapt.switches)}.values()
    )
    assert portrait(dataclasses.replace(adapt, switches=at_once + adapt.switches), plain) == portrait(adapt, plain)


def test_a_network_that_failed_at_once_leaves_the_baseline(made_up: MakeUp, tmp_path: Path) -> None:
    adapt, plain = logs(made_up, tmp_path)
    nothing = RunLog(adapt.recipe, (), (), (), None)
    assert "adapt: test –" in portrait(nothing, plain)
