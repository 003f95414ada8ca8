"""The tool that puts the table and the plots of a comparison into the pages of the policies."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest

from fxsim.cli.comparing import PLOT, TABLE
from fxsim.report.comparison import Compared, to_json

TOOL = Path(__file__).parents[1] / "docs" / "policies" / "record.py"


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("record", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HERE", tmp_path / "pages")
    (tmp_path / "pages").mkdir()
    return module


def row(policy: str, accuracy: float, failure: str = "") -> Compared:
    return Compared(
        policy=policy, failure=failure, accuracy=accuracy, accuracy_gain=accuracy - 0.97, training_bit_operations=1.0,
        inference_bit_operations=0.25, weight_memory=0.5, word_length_average=16.0, word_length_final=math.nan,
    )  # fmt: skip


def test_the_table_is_replaced_and_plots_are_copied(record: ModuleType, tmp_path: Path) -> None:
    rows = (row("float32", 0.97), row("static", math.nan, "step 3: the loss is nan"))
    out = tmp_path / "out"
    (out / "float32").mkdir(parents=True)
    (out / TABLE).write_text(to_json(rows, {"command": "fxsim compare", "machine": "today, here"}))
    (out / "float32" / PLOT).write_text("<svg/>")
    page = tmp_path / "pages" / "README.md"
    page.write_text(f"above\n{record.BEGIN}old\n{record.END}below\n")
    record.main(out)
    text = page.read_text()
    assert text.startswith(f"above\n{record.BEGIN}\n    fxsim compare\n\ntoday, here.\n")
    assert text.endswith(f"{record.END}below\n")
    assert "old" not in text
    assert "| [float32](float32.md) | 97.00 % | +0.00 | 100.0 % | 25.0 % | 50.0 % | 16.0 | – |" in text
    assert "| [static](static.md) | failed | – |" in text
    assert "static failed: step 3: the loss is nan" in text
    assert (tmp_path / "pages" / "plots" / "float32.svg").read_text() == "<svg/>"
    record.main(out)
    assert page.read_text() == text
