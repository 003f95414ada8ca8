from __future__ import annotations

import dataclasses
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fxsim.train.checkpoint import Checkpoint, ResumeWarning, check_config, warn_of_differences
from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment

Small = Callable[..., TrainConfig]


@pytest.fixture
def checkpoint(small: Small) -> Checkpoint:
    return Checkpoint(
        config=small().to_toml(),
        step=7,
        finished=False,
        learners={"adapt": {"model": {"w": torch.tensor([1.5, -2.0])}, "steps": 7, "policy": {"lb": [25, 26]}}},
        torch_rng=torch.get_rng_state(),
        log_lengths={"metrics.jsonl": 12},
    )


def test_everything_comes_back(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path)
    again = Checkpoint.load(path)
    assert torch.equal(again.learners["adapt"]["model"]["w"], torch.tensor([1.5, -2.0]))
    assert torch.equal(again.torch_rng, checkpoint.torch_rng)
    assert (again.step, again.finished, again.log_lengths) == (7, False, {"metrics.jsonl": 12})
    assert again.learners["adapt"]["policy"] == {"lb": [25, 26]}
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_file_says_that_nothing_was_saved(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="the run ended before its first checkpoint; start it anew"):
        Checkpoint.load(tmp_path / "checkpoint.pt")


def test_a_damaged_file_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        Checkpoint.load(path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"w": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="is not a checkpoint of fxsim"):
        Checkpoint.load(path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"kind": "fxsim checkpoint", "version": 99}, path)
    with pytest.raises(ValueError, match="is a checkpoint of version 99; this fxsim reads version 1"):
        Checkpoint.load(path)


class Bomb:
    """Unpickling it would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize(
    "save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_nothing_in_a_file_is_executed(tmp_path: Path, save: Callable[..., None]) -> None:
    path, target = tmp_path / "checkpoint.pt", tmp_path / "written"
    save({"kind": "fxsim checkpoint", "version": 1, "payload": Bomb(target)}, path)
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        Checkpoint.load(path)
    assert not target.exists()


def test_a_changed_configuration_is_named(small: Small) -> None:
    saved = small().to_toml()
    check_config(saved, TrainConfig.from_toml(saved))
    changed = dataclasses.replace(TrainConfig.from_toml(saved), epochs=6, seed=1)
    message = "changed since the checkpoint: epochs was 5, now 6; seed was 0, now 1; undo the change"
    with pytest.raises(ValueError, match=message):
        check_config(saved, changed)


def test_other_threads_or_another_torch_warn() -> None:
    here = Environment.current(2)
    with pytest.warns(ResumeWarning, match=r"\(threads: 2, now 1\): its results may differ"):
        warn_of_differences(here, dataclasses.replace(here, threads=1))
    with pytest.warns(ResumeWarning, match=r"torch_build: .*, now other"):
        warn_of_differences(here, dataclasses.replace(here, torch_build="other"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_differences(here, here)
