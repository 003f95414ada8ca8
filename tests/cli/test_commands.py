from __future__ import annotations

import builtins
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fxsim.cli import main
from fxsim.cli.commands import fxsim
from fxsim.train import loop
from fxsim.train.config import TrainConfig
from fxsim.train.environment import fxsim_version
from fxsim.train.lines import TrainLine
from fxsim.train.observer import Observer
from fxsim.train.runfolder import RunFolder

Run = Callable[..., Result]

SHORT = ("--epochs", "1", "--batch-size", "8", "--train-limit", "24", "--test-limit", "16", "--threads", "1")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(fxsim, list(arguments))


def failed(result: Result, status: int) -> str:
    """The message of a command that failed as it should, without a traceback, on one line."""
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    return " ".join(result.output.split())


def test_training_ends_with_a_table_and_a_report(run: Run) -> None:
    result = run("train", *SHORT)
    assert result.exit_code == 0, result.output
    folder = RunFolder.open(Path("runs/lenet5-digits-adapt-seed0"))
    assert folder.report.is_file()
    assert f"Report: {folder.report.resolve()}" in result.output
    assert re.search(r"adapt +float32\n", result.output)
    for label in (
        "Test accuracy",
        "Mean word length, time average",
        "… at the last step",
        "… after finalize",
        "Weights that are zero",
        "MACs of training",
        "Bit-operations of training",
        "Overflow events in training",
    ):
        assert re.search(rf"^{label} +\S+", result.output, re.MULTILINE), label
    assert re.search(r"^epoch 1/1 +adapt: loss \d.*accuracy.*test.*bits$", result.output, re.MULTILINE)


def test_the_configuration_holds_what_was_asked_for(run: Run) -> None:
    options = ("--policy", "static", "--format", "<12,8>", "--lr", "0.02", "--seed", "7", "--no-count", "--no-baseline")
    result = run("train", *SHORT, *options, "--out", "here")
    assert result.exit_code == 0, result.output
    config = RunFolder.open(Path("here")).config()
    (recipe,) = config.recipes
    assert (recipe.policy, recipe.options, recipe.learning_rate) == ("static", {"numerics": "<12,8>"}, 0.02)
    assert (config.seed, config.epochs, config.batch_size, config.threads) == (7, 1, 8, 1)
    lines = [line for line in RunFolder.open(Path("here")).metrics() if isinstance(line, TrainLine)]
    assert {line.mean_word_length for line in lines} == {12.0}
    assert {line.macs for line in lines} == {None}


def test_a_run_can_be_repeated_from_its_configuration(run: Run) -> None:
    assert run("train", *SHORT, "--set", "buff=4", "--no-baseline", "--out", "one").exit_code == 0
    result = run("train", "--config", "one/config.toml", "--out", "two")
    assert result.exit_code == 0, result.output
    one, two = (RunFolder.open(Path(name)) for name in ("one", "two"))
    assert one.config() == two.config()
    assert one.config().recipes[0].options["buff"] == 4
    assert [line.loss for line in one.metrics()] == [line.loss for line in two.metrics()]


def test_weights_and_momentum_are_kept_in_fixed_point_on_request(run: Run) -> None:
    kept = ("--keep-weights", "<16,14>,stochastic", "--keep-momentum", "<20,12>")
    assert run("train", *SHORT, "--policy", "static", *kept, "--out", "here").exit_code == 0
    ours, baseline = RunFolder.open(Path("here")).config().recipes
    assert (ours.kept_weights, ours.kept_momentum) == ("<16,14>,stochastic", "<20,12>")
    assert (baseline.kept_weights, baseline.kept_momentum) == ("", "")
    text = failed(run("train", "--resume", "--out", "here", "--keep-weights", "<8,4>"), 2)
    assert "--keep-weights <8,4> given, the run has <16,14>,stochastic" in text
    text = failed(run("train", *SHORT, "--keep-weights", "<30,4>"), 1)
    assert "kept_weights is '<30,4>'; give a format that torch.float32 carries" in text


def test_a_network_is_fused_on_request_where_it_can_be(run: Run) -> None:
    options = ("--model", "resnet20", "--policy", "float32", "--fuse", "--no-count", "--out", "here")
    assert run("train", *SHORT, *options).exit_code == 0
    assert RunFolder.open(Path("here")).config().fuse
    assert "--fuse False given, the run has True" in failed(run("train", "--resume", "--out", "here", "--no-fuse"), 2)
    text = failed(run("train", *SHORT, "--fuse"), 1)
    assert "fuse: LeNet5 has no BatchNorm2d that is surely followed by a ReLU" in text


def test_float32_alone_is_its_own_baseline(run: Run) -> None:
    assert run("train", *SHORT, "--policy", "float32").exit_code == 0
    config = RunFolder.open(Path("runs/lenet5-digits-float32-seed0")).config()
    assert [recipe.name for recipe in config.recipes] == ["float32"]


def test_a_policy_that_measures_first_says_so(run: Run) -> None:
    result = run("train", *SHORT, "--policy", "sakr", "--set", "images=2", "--no-baseline", "--no-count")
    assert result.exit_code == 0, result.output
    assert "sakr: measuring, 3 steps before the first\n" in result.output
    assert result.output.index("measuring") < result.output.index("epoch 1/1")


def test_a_second_run_takes_the_next_free_folder(run: Run) -> None:
    for _ in range(2):
        assert run("train", *SHORT, "--policy", "float32").exit_code == 0
    assert sorted(path.name for path in Path("runs").iterdir()) == [
        "lenet5-digits-float32-seed0",
        "lenet5-digits-float32-seed0-2",
    ]


def test_a_report_is_rendered_again(run: Run) -> None:
    assert run("train", *SHORT, "--policy", "float32", "--out", "here").exit_code == 0
    report = Path("here/report.html")
    before = report.read_bytes()
    report.unlink()
    result = run("report", "here")
    assert result.exit_code == 0, result.output
    assert report.read_bytes() == before
    assert "Test accuracy" in result.output


def test_version(run: Run) -> None:
    assert run("--version").output == f"fxsim, version {fxsim_version()}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "vgg"), "'vgg' is not one of 'lenet5', 'alexnet', 'resnet20'"),
        (("--data", "svhn"), "'svhn' is not one of 'digits', 'mnist', 'fashion-mnist', 'cifar10', 'cifar100'"),
        (("--policy", "none"), "'none' is not one of 'float32', 'static', 'adapt'"),
        (("--epochs", "0"), "0 is not in the range x>=1"),
        (("--lr", "0"), "0.0 is not in the range x>0"),
        (("--format", "<8,4>"), "--format is the one format of --policy static; policy adapt chooses its own"),
        (("--format", "<8,4>", "--policy", "float32"), "--format is the one format of --policy static; policy float32"),
        (("--set", "buff"), "--set buff: give NAME=VALUE, as in --set buff=4"),
        (("--set", "bluff=4"), "policy adapt has no option bluff; it has: start, r_lwr"),
        (("--set", "buff=four"), "--set buff=four: give a number, as in 8"),
        (("--set", "penalty=yes"), "--set penalty=yes: give true or false"),
        (("--resume",), "--resume needs --out, the folder of the run to go on with"),
        (("--config", "config.toml", "--seed", "1"), "--config says everything about the run; leave out --seed"),
    ],
)
def test_wrong_options_say_what_is_accepted(run: Run, arguments: tuple[str, ...], message: str) -> None:
    Path("config.toml").write_text("")
    assert message in failed(run("train", *arguments), 2)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "cifar10"), "cifar10 is read from files; give data_dir, a folder that holds cifar-10-batches-bin/"),
        (("--data", "mnist", "--data-dir", "."), "has no train-images-idx3-ubyte, train-labels-idx1-ubyte"),
        (("--policy", "static", "--format", "8.4"), "8.4"),
        (("--set", "buff=40"), "AdaPTConfig: buff is 40; give 0 to wl_max = 32"),
        (("--resume", "--out", "gone"), "gone is not the folder of a run: it holds no config.toml"),
        (("--out", "full"), "full exists and is not empty; resume the run in it, or name another folder"),
    ],
)
def test_what_the_library_refuses_is_a_message(run: Run, arguments: tuple[str, ...], message: str) -> None:
    Path("full").mkdir()
    Path("full/file").touch()
    assert message in failed(run("train", *arguments), 1)


def test_resume_refuses_what_contradicts_the_run(run: Run) -> None:
    assert run("train", *SHORT, "--policy", "float32", "--out", "here").exit_code == 0
    again = ("train", "--resume", "--out", "here")
    result = run(*again, "--epochs", "3", "--policy", "adapt")
    message = "--policy adapt given, the run has float32; --epochs 3 given, the run has 1"
    assert message in failed(result, 2)
    assert run(*again, "--epochs", "1", "--batch-size", "8").exit_code == 0


def test_ctrl_c_leaves_a_run_that_can_go_on(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from fxsim.cli.main import main; main()", "train"]
    options = ["--epochs", "400", "--policy", "float32", "--train-limit", "64", "--out", "here"]
    process = subprocess.Popen(
        [*command, *options, "--threads", "1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    metrics = tmp_path / "here" / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 130, output
    assert "Stopped. To go on:  fxsim train --resume --out here" in output
    assert (tmp_path / "here" / "report.html").is_file()
    steps = [line.step for line in RunFolder.open(tmp_path / "here").metrics() if isinstance(line, TrainLine)]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) < 400


def test_a_second_ctrl_c_says_from_where_a_run_can_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(config: TrainConfig, path: Path, *, observer: Observer, **_: object) -> bool:
        observer.checkpointed(1200)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train", interrupted)
    message = "Stopped at once; the last checkpoint is of step 1,200. To go on: fxsim train --resume --out here"
    assert message in failed(run("train", "--out", "here"), 130)


def test_a_ctrl_c_before_the_first_checkpoint_promises_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train", interrupted)
    assert "--resume" not in failed(run("train", "--out", "here"), 1)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_click(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "click":
            raise ModuleNotFoundError("No module named 'click'", name="click")
        return real(name, *rest)

    for module in [each for each in sys.modules if each.startswith("fxsim.cli.") and each != "fxsim.cli.main"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", without_click)
    with pytest.raises(SystemExit, match=r"needs the package click, .*: pip install 'fxsim\[cli\]'"):
        main.main()


def test_another_missing_module_is_not_blamed_on_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fxsim.cli.commands", None)
    with pytest.raises(ModuleNotFoundError):
        main.main()


def test_the_configuration_file_is_read_by_the_library(run: Run) -> None:
    assert run("train", *SHORT, "--policy", "float32", "--out", "here").exit_code == 0
    text = Path("here/config.toml").read_text()
    assert TrainConfig.from_toml(text).to_toml() == text
