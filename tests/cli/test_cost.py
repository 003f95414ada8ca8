"""fxsim cost: machines from files and presets, runs and models."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fxsim.cli.commands import fxsim
from fxsim.cli.costing import accelerator
from fxsim.cost.accelerators import PRESETS, Accelerator, bitfusion, systolic


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(fxsim, ["cost", *arguments])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run with everything that a run leaves."""
    path = tmp_path_factory.mktemp("cost") / "run"
    options = ["--epochs", "1", "--batch-size", "32", "--train-limit", "64", "--test-limit", "40", "--threads", "1"]
    result = CliRunner().invoke(fxsim, ["train", *options, "--out", str(path)])
    assert result.exit_code == 0, result.output
    return path


def test_a_run_is_priced_on_several_machines(finished: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(bitfusion(4, 4).to_toml())
    result = invoke(str(finished), "-a", "systolic:8,8,ws", "-a", str(file), "--layers")
    assert result.exit_code == 0, result.output
    assert "Training, 2 steps" in result.output
    assert "Inference, 40 images" in result.output
    assert "adapt on systolic:8,8,ws" in result.output
    assert "cycles not tied to these bits: counted with exact" in result.output
    assert "SU, training" in result.output
    assert "C_M, full adders" in result.output
    with (finished / "cost" / "adapt-on-systolic-8-8-ws-training.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    content = json.loads((finished / "cost" / "adapt-on-systolic-8-8-ws-training.json").read_text())
    assert sum(int(row["cycles"]) for row in rows) == content["total"]["cycles"]
    assert [span["step"] for span in content["spans"]] == [1, 2]
    assert (finished / "cost" / "systolic-8-8-ws.toml").is_file()
    assert "Cost on described hardware" in (finished / "report.html").read_text()


def test_tables_may_go_elsewhere_and_the_machines_stay_with_the_run(finished: Path, tmp_path: Path) -> None:
    result = invoke(str(finished), "-a", "scalesim", "--out", str(tmp_path / "tables"))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "tables" / "adapt-on-scalesim-32x32-os-training.csv").is_file()
    assert not (finished / "cost" / "adapt-on-scalesim-32x32-os-training.csv").exists()
    assert (finished / "cost" / "scalesim-32x32-os.toml").is_file()


def test_a_model_is_priced_without_running_it(tmp_path: Path) -> None:
    formats = ["--weight", "<8,6>", "--activation", "<8,5>", "--gradient", "<8,10>", "--accumulator", "20"]
    options = ["--batch-size", "4", "--activation-density", "0.5", "--out", str(tmp_path)]
    result = invoke("--model", "lenet5", *formats, *options, "-a", "systolic:8,8,accumulator=20", "-a", "fixed_mac")
    assert result.exit_code == 0, result.output
    assert "lenet5, one training step of 4 images, not run: densities are assumed" in result.output
    assert "counted with 20, the array adds with exact" in result.output  # fixed_mac, not systolic
    content = json.loads((tmp_path / "lenet5-on-systolic-8-8-accumulator-20.json").read_text())
    assert content["notes"] == []
    forward = [row for row in content["rows"] if row["pass_"] == "fwd"]
    assert sum(row["macs"] for row in forward) == 4 * 416_520
    assert sum(row["effective_macs"] for row in forward) == 2 * 416_520


def test_presets_are_listed() -> None:
    result = invoke("--list")
    assert result.exit_code == 0
    assert all(name in result.output for name in PRESETS)
    assert "needs counts of level 2" in result.output


@pytest.mark.parametrize(
    ("text", "machine"),
    [
        ("systolic", systolic()),
        ("systolic:16,8,ws", systolic(16, 8, "ws")),
        ("systolic:16,columns=8,zero_gating=true,mac_bits=none", systolic(16, 8, zero_gating=True, mac_bits=None)),
        ("systolic:accumulator=<20,9> overflow=wrap", systolic(accumulator="<20,9> overflow=wrap")),
        ("bitfusion:4", bitfusion(4)),
    ],
)
def test_presets_take_options(text: str, machine: Accelerator) -> None:
    built = accelerator(text)
    assert built.name == (text if ":" in text else "systolic 32x32 os")
    assert dataclasses.replace(built, name="") == dataclasses.replace(machine, name="")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either RUN, the folder of a run, or --model"),
        (["--model", "lenet5"], "give at least one --accelerator; fxsim cost --list shows the presets"),
        (["--model", "lenet5", "-a", "gone.toml"], "give a TOML file that exists, or one of systolic"),
        (["--model", "lenet5", "-a", "systolic:width=3"], "systolic has no option width"),
        (["--model", "lenet5", "-a", "bitfusion:1,2,3"], "bitfusion has only the options rows, columns"),
        (["--model", "lenet5", "-a", "systolic:0"], "rows"),
        (["--model", "lenet5", "-a", "systolic", "--weight", "<8,4>"], "give formats for weight and activation both"),
        (["--model", "lenet5", "-a", "skipping"], "level"),
    ],
)
def test_what_cannot_be_priced_is_said(arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code != 0
    assert message in " ".join(result.output.replace("│", " ").split())


def test_two_machines_of_one_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(systolic(4, 4).to_toml().replace("systolic 4x4 os", "systolic 32x32 os"))
    result = invoke("--model", "lenet5", "-a", "systolic", "-a", str(file))
    assert result.exit_code == 2
    assert "two accelerators are named 'systolic 32x32 os'" in " ".join(result.output.replace("│", " ").split())
    assert invoke("--model", "lenet5", "-a", "systolic", "-a", "systolic").exit_code == 0


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    result = invoke(str(tmp_path), "-a", "systolic")
    assert result.exit_code == 1
    assert "is not the folder of a run" in result.output
