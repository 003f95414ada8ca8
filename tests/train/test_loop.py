from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fxsim.cost.counts import Counts
from fxsim.train import loop
from fxsim.train.checkpoint import Checkpoint, ResumeWarning
from fxsim.train.config import TrainConfig
from fxsim.train.lines import MetricsLine, TestLine, TrainLine
from fxsim.train.loop import resume, train
from fxsim.train.observer import Plan, Progress
from fxsim.train.recipe import recipe_for
from fxsim.train.runfolder import COUNTS, METRICS, SWITCHES, WINDOWS, RunFolder

Small = Callable[..., TrainConfig]

STEPS = 40  # of the small configuration: 5 epochs of 8


class Recorder:
    """Keeps what a run tells, and may raise at a step, as a crash in mid-run would."""

    def __init__(self, crash_at: int = 0) -> None:
        self.crash_at = crash_at
        self.plans: list[Plan] = []
        self.progress: list[Progress] = []
        self.tested: list[TestLine] = []
        self.saved: list[int] = []
        self.measuring: list[tuple[str, int, int]] = []

    def measured(self, run: str, step: int, steps: int) -> None:
        self.measuring.append((run, step, steps))

    def started(self, plan: Plan) -> None:
        self.plans.append(plan)

    def stepped(self, progress: Progress) -> None:
        self.progress.append(progress)
        if progress.step == self.crash_at:
            raise RuntimeError("crash")

    def evaluated(self, line: TestLine) -> None:
        self.tested.append(line)

    def checkpointed(self, step: int) -> None:
        self.saved.append(step)


def timeless(lines: list[MetricsLine]) -> list[MetricsLine]:
    return [dataclasses.replace(line, seconds=0.0) for line in lines]


def equal(a: Any, b: Any) -> bool:
    """Whether two nested states are the same to the bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and a == b


def assert_same_run(one: Path, other: Path) -> None:
    """Final weights, all other state, metrics and switches are the same to the bit; only times may differ."""
    a, b = Checkpoint.load(one / "checkpoint.pt"), Checkpoint.load(other / "checkpoint.pt")
    assert a.finished
    assert b.finished
    for name in a.learners:
        for part in a.learners[name]:
            assert equal(a.learners[name][part], b.learners[name][part]), f"{name}: {part} differs"
    assert equal(a.torch_rng, b.torch_rng)
    logs = [RunFolder.open(path) for path in (one, other)]
    first, second = (timeless(list(log.metrics())) for log in logs)
    assert first == second
    assert (one / SWITCHES).read_text() == (other / SWITCHES).read_text()
    assert json.loads((one / COUNTS).read_text()) == json.loads((other / COUNTS).read_text())
    assert (one / WINDOWS).read_text() == (other / WINDOWS).read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the small configuration that never stopped."""
    return tmp_path_factory.mktemp("whole") / "run"


@pytest.fixture
def done(whole: Path, small: Small) -> Path:
    if not whole.exists():
        assert train(small(), whole)
    return whole


@pytest.mark.parametrize("policy", ["static", "sq", "binarynet"])
def test_weights_and_momentum_kept_in_fixed_point_go_on_to_the_same_bits(
    policy: str, small: Small, tmp_path: Path
) -> None:
    kept = {"kept_weights": "<20,18>,stochastic", "kept_momentum": "<20,12>,stochastic"}
    recipe = dataclasses.replace(recipe_for(policy, "lenet5"), **kept)
    config = small(recipes=(recipe,), epochs=2)
    train(config, tmp_path / "whole")
    with pytest.raises(RuntimeError, match="crash"):
        train(config, tmp_path / "parts", observer=Recorder(crash_at=11))
    resume(tmp_path / "parts")
    whole, parts = (Checkpoint.load(tmp_path / name / "checkpoint.pt").learners[policy] for name in ("whole", "parts"))
    assert equal(whole["model"], parts["model"])
    assert equal(whole["optimizer"], parts["optimizer"])
    assert whole["optimizer"]["steps"] == 16
    moments = [each["momentum_buffer"] for each in whole["optimizer"]["optimizer"]["state"].values()]
    for value, fl in [(whole["model"]["conv1.weight"], 18), *((each, 12) for each in moments)]:
        raw = value.double() * 2**fl
        assert torch.equal(raw, raw.round())
    assert any(each.any() for each in moments)


@pytest.mark.parametrize("policy", ["sakr", "wage"])
def test_policies_that_update_weights_themselves_refuse_other_keepers(
    policy: str, small: Small, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(recipe_for(policy, "lenet5"), kept_weights="<20,18>")
    with pytest.raises(
        ValueError, match="the policy updates weights itself, by plain SGD, but the optimizer has Quanti"
    ):
        train(small(recipes=(recipe,)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_a_policy_measures_before_the_first_step_is_told(small: Small, tmp_path: Path) -> None:
    recipes = (
        recipe_for("sakr", "lenet5", {"probe_steps": 5, "images": 2}),
        recipe_for("cpt", "lenet5", {"range_test": 1}),
    )
    recorder = Recorder(crash_at=1)
    with pytest.raises(RuntimeError, match="crash"):
        train(dataclasses.replace(small(), recipes=recipes, epochs=10), tmp_path / "run", observer=recorder)
    assert recorder.measuring == [*(("sakr", step, 5) for step in range(1, 6)), *(("cpt", n, 7) for n in range(1, 8))]


def test_a_run_leaves_its_folder(done: Path) -> None:
    assert sorted(path.name for path in done.iterdir()) == [
        "checkpoint.pt",
        "config.toml",
        "counts.json",
        "counts.jsonl",
        "metrics.jsonl",
        "switches.jsonl",
    ]


def test_every_step_of_every_network_has_its_line(done: Path) -> None:
    lines = list(RunFolder.open(done).metrics())
    for run in ("adapt", "float32"):
        own = [line for line in lines if isinstance(line, TrainLine) and line.run == run]
        assert [line.step for line in own] == list(range(1, STEPS + 1))
        assert [line.epoch for line in own] == [step // 8 for step in range(STEPS)]
        assert {line.steps for line in own} == {1}
        tests = [(line.step, line.finalized) for line in lines if isinstance(line, TestLine) and line.run == run]
        assert tests == [(8, False), (16, False), (24, False), (32, False), (40, False), (40, True)]


def test_lines_tell_formats_zeros_and_counts(done: Path) -> None:
    lines = [line for line in RunFolder.open(done).metrics() if isinstance(line, TrainLine)]
    adapt, plain = ([line for line in lines if line.run == run] for run in ("adapt", "float32"))
    layers = ["conv1", "conv2", "conv3", "fc1", "fc2"]
    assert adapt[0].word_lengths == dict.fromkeys(layers, (8, 4))
    assert adapt[0].mean_word_length == 8.0
    assert plain[0].word_lengths == {}
    assert plain[0].mean_word_length == 32.0
    assert 0 < adapt[0].sparsity < 1
    assert list(adapt[0].sparsity_by_layer) == layers
    macs = {line.counts["fwd"]["macs"] for line in lines}
    assert macs == {416_520 * 8}  # of a LeNet-5 image, times the batch: the same for both networks
    assert {line.macs for line in adapt} == {line.macs for line in plain}
    assert adapt[0].counts["fwd"]["bit_operations"] == 416_520 * 8 * 8 * 8
    assert plain[0].counts["fwd"]["bit_operations"] == 416_520 * 8 * 32 * 32


def test_switches_are_logged_and_change_the_formats_of_the_next_step(done: Path) -> None:
    folder = RunFolder.open(done)
    switches = [line for line in folder.switches() if line.step < STEPS]
    assert switches
    lines = {line.step: line for line in folder.metrics() if isinstance(line, TrainLine) and line.run == "adapt"}
    for switch in switches:
        before, after = lines[switch.step].word_lengths[switch.layer], lines[switch.step + 1].word_lengths[switch.layer]
        assert "<{},{}>".format(*before) == switch.old
        assert "<{},{}>".format(*after) == switch.new


def test_the_counts_of_the_run_are_those_of_its_lines(done: Path) -> None:
    content = json.loads((done / COUNTS).read_text())
    lines = [line for line in RunFolder.open(done).metrics() if isinstance(line, TrainLine)]
    for run in ("adapt", "float32"):
        counts = Counts.from_json(json.dumps(content[run]))
        counts.check()
        own = [line for line in lines if line.run == run]
        assert counts.total.macs == sum(line.macs or 0 for line in own)
        assert counts.bit_operations == sum(line.bit_operations or 0 for line in own)
        assert counts.total.overflow_events == sum(line.overflow_events or 0 for line in own)


def test_counts_over_time_add_up_and_end_with_the_inference(done: Path) -> None:
    content = json.loads((done / COUNTS).read_text())
    for run in ("adapt", "float32"):
        windows = [each for each in RunFolder.open(done).windows() if each.run == run]
        assert [(each.step, each.steps) for each in windows] == [*((step, 1) for step in range(1, 41)), (40, 0)]
        whole = Counts()
        for each in windows[:-1]:
            whole.merge(each.counts)
        assert whole == Counts.from_json(json.dumps(content[run]))
        lines = [line for line in RunFolder.open(done).metrics() if line.run == run]
        assert isinstance(lines[-1], TestLine)
        assert lines[-1].finalized
        assert windows[-1].counts.total.macs == lines[-1].macs


def test_counts_over_time_cover_several_lines_where_there_are_many_steps(
    done: Path, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "COUNT_WINDOWS", 4)
    path = tmp_path / "run"
    recorder = Recorder()
    config = small(most_lines=14)  # 3 steps a line, 4 lines a window
    assert not train(config, path, observer=recorder, stop=lambda: len(recorder.progress) >= 17)
    assert resume(path)
    few, many = ([each for each in RunFolder.open(p).windows() if each.run == "adapt"] for p in (path, done))
    assert [(each.step, each.steps) for each in few] == [(12, 12), (24, 12), (36, 12), (40, 4), (40, 0)]
    for window in few[:-1]:
        whole = Counts()
        for each in many[window.step - window.steps : window.step]:
            whole.merge(each.counts)
        assert window.counts == whole


def test_a_run_repeats_itself(done: Path, small: Small, tmp_path: Path) -> None:
    assert train(small(), tmp_path / "again")
    assert_same_run(done, tmp_path / "again")


def test_another_seed_is_another_run(done: Path, small: Small, tmp_path: Path) -> None:
    assert train(small(seed=1, epochs=1), tmp_path / "other")
    first, other = (next(iter(RunFolder.open(path).metrics())) for path in (done, tmp_path / "other"))
    assert first.loss != other.loss


def test_a_network_does_not_feel_its_neighbour(done: Path, small: Small, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    assert train(small("float32"), alone)
    lines = [line for line in RunFolder.open(done).metrics() if line.run == "float32"]
    assert timeless(lines) == timeless(list(RunFolder.open(alone).metrics()))


def test_all_networks_take_the_same_batches(small: Small, tmp_path: Path) -> None:
    config = small("float32", epochs=1)
    twin = dataclasses.replace(config.recipes[0], name="twin")
    assert train(dataclasses.replace(config, recipes=(config.recipes[0], twin)), tmp_path / "run")
    lines = list(RunFolder.open(tmp_path / "run").metrics())
    one, two = ([line for line in lines if line.run == run] for run in ("float32", "twin"))
    assert timeless(one) == timeless([dataclasses.replace(line, run="float32") for line in two])


@pytest.mark.parametrize("crash_at", [3, 12, 40])
def test_a_crashed_run_resumes_to_the_same_bits(done: Path, small: Small, tmp_path: Path, crash_at: int) -> None:
    path = tmp_path / "run"
    with pytest.raises(RuntimeError, match="crash"):
        train(small(), path, observer=Recorder(crash_at))
    recorder = Recorder()
    assert resume(path, observer=recorder)
    assert recorder.plans[0].first_step == (crash_at - 1) // 8 * 8  # the last epoch's end before the crash
    assert_same_run(done, path)


def test_checkpoints_come_at_ends_of_epochs_and_every_so_many_steps(small: Small, tmp_path: Path) -> None:
    recorder = Recorder(crash_at=15)
    with pytest.raises(RuntimeError, match="crash"):
        train(small("float32", checkpoint_every=5), tmp_path / "run", observer=recorder)
    assert recorder.saved == [0, 5, 8, 10]
    again = Recorder()
    assert resume(tmp_path / "run", observer=again)
    assert again.plans[0].first_step == 10


def test_a_stopped_run_resumes_where_it_stopped(done: Path, small: Small, tmp_path: Path) -> None:
    path = tmp_path / "run"
    recorder = Recorder()
    assert not train(small(), path, observer=recorder, stop=lambda: len(recorder.progress) >= 13)
    assert recorder.saved[-1] == 13
    second = Recorder()
    assert not resume(path, observer=second, stop=lambda: len(second.progress) >= 19)  # at an epoch's end, step 32
    third = Recorder()
    assert resume(path, observer=third)
    assert (second.plans[0].first_step, third.plans[0].first_step) == (13, 32)
    assert_same_run(done, path)


def test_a_killed_process_resumes_to_the_same_bits(done: Path, small: Small, tmp_path: Path) -> None:
    path = tmp_path / "run"
    text = tmp_path / "config.toml"
    text.write_text(small().to_toml())
    program = (
        "import sys, pathlib; from fxsim.train import loop; from fxsim.train.config import TrainConfig; "
        "loop.train(TrainConfig.from_toml(pathlib.Path(sys.argv[1]).read_text()), pathlib.Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(text), str(path)])
    metrics = path / METRICS
    while process.poll() is None and (not metrics.exists() or metrics.read_bytes().count(b"\n") < 2 * 11):
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # it was still running
    assert resume(path)
    assert_same_run(done, path)


def test_lines_that_cover_several_steps_add_up(done: Path, small: Small, tmp_path: Path) -> None:
    path = tmp_path / "run"
    recorder = Recorder()
    config = small(most_lines=6)  # 7 steps a line, and epochs end in the middle of one
    assert not train(config, path, observer=recorder, stop=lambda: len(recorder.progress) >= 17)
    assert resume(path)
    few, many = (
        [line for line in RunFolder.open(each).metrics() if isinstance(line, TrainLine) and line.run == "adapt"]
        for each in (path, done)
    )
    assert [(line.step, line.steps) for line in few] == [(7, 7), (14, 7), (21, 7), (28, 7), (35, 7), (40, 5)]
    for line in few:
        covered = many[line.step - line.steps : line.step]
        assert line.macs == sum(each.macs or 0 for each in covered)
        draws = [each.counts["quantize"]["random_draws"] for each in covered]
        assert line.counts["quantize"]["random_draws"] == sum(draws)
        assert line.loss == sum(each.loss * 8 for each in covered) / (8 * line.steps)
        assert line.mean_word_length == sum(each.mean_word_length for each in covered) / line.steps
        assert line.word_lengths == covered[-1].word_lengths


def test_without_counting_the_bits_are_the_same(done: Path, small: Small, tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert train(small(count=False), path)
    a, b = (Checkpoint.load(each / "checkpoint.pt").learners["adapt"]["model"] for each in (done, path))
    assert equal(a, b)
    assert {line.macs for line in RunFolder.open(path).metrics()} == {None}


def test_a_fused_network_trains_and_resumes_like_a_plain_one(small: Small, tmp_path: Path) -> None:
    config = small("static", model="resnet20", fuse=True, epochs=1, train_limit=24, test_limit=8, count=False)
    plain, fused, halved = (tmp_path / name for name in ("plain", "fused", "halved"))
    assert train(dataclasses.replace(config, fuse=False), plain)
    assert train(config, fused)
    assert RunFolder.open(fused).config().fuse
    losses = [[line.loss for line in RunFolder.open(path).metrics()] for path in (plain, fused)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert losses[1] != losses[0]
    states = [Checkpoint.load(path / "checkpoint.pt").learners["static"]["model"] for path in (plain, fused)]
    assert list(states[0]) == list(states[1])
    stops = iter((False, True))
    assert not train(config, halved, stop=lambda: next(stops))
    assert resume(halved)
    assert [line.loss for line in RunFolder.open(halved).metrics()] == losses[1]


def test_a_finished_run_is_left_as_it_is(done: Path) -> None:
    before = {path.name: path.read_bytes() for path in done.iterdir()}
    recorder = Recorder()
    assert resume(done, observer=recorder)
    assert recorder.plans == []
    assert {path.name: path.read_bytes() for path in done.iterdir()} == before


def test_other_threads_warn_and_go_on(small: Small, tmp_path: Path) -> None:
    recorder = Recorder()
    path = tmp_path / "run"
    assert not train(small("float32", epochs=1), path, observer=recorder, stop=lambda: True)
    threads = torch.get_num_threads()
    with pytest.warns(ResumeWarning, match="threads: 1, now 2"):
        assert resume(path, threads=2)
    assert torch.get_num_threads() == threads


def test_a_run_leaves_torch_as_it_found_it(small: Small, tmp_path: Path) -> None:
    torch.manual_seed(5)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    assert train(small("float32", epochs=1), tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_nothing_is_left_of_a_run_that_cannot_start(small: Small, tmp_path: Path) -> None:
    for config, message in (
        (small(model="lenet6"), "'lenet6' is not a model"),
        (small(data="cifar10"), "cifar10 is read from files; give data_dir"),
        (small(fuse=True), "fuse: LeNet5 has no BatchNorm2d that is surely followed by a ReLU"),
        (small(batch_size=65), "batch_size is 65, but digits has 64 train images"),
    ):
        with pytest.raises(ValueError, match=message):
            train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_edited_configuration_is_not_resumed(small: Small, tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert not train(small("float32", epochs=1), path, stop=lambda: True)
    config = path / "config.toml"
    config.write_text(config.read_text().replace("epochs = 1", "epochs = 2"))
    with pytest.raises(ValueError, match="epochs was 1, now 2"):
        resume(path)
