from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fxsim.train.config import TrainConfig
from fxsim.train.lines import SwitchLine
from fxsim.train.runfolder import METRICS, SWITCHES, WINDOWS, RunFolder, write_atomically

Small = Callable[..., TrainConfig]


def switch(step: int) -> SwitchLine:
    return SwitchLine(run="adapt", step=step, layer="fc", old="<8,4>", new="<9,5>", reason="r", details={"ds": 0.1})


@pytest.fixture
def folder(tmp_path: Path, small: Small) -> RunFolder:
    return RunFolder.create(tmp_path / "run", small())


def test_a_new_folder_holds_its_configuration_and_empty_logs(folder: RunFolder, small: Small) -> None:
    assert folder.config() == small().with_full_options()
    assert (list(folder.metrics()), list(folder.switches())) == ([], [])


def test_what_is_there_is_not_overwritten(folder: RunFolder, small: Small, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="run exists and is not empty; resume the run in it, or name another"):
        RunFolder.create(folder.path, small())
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="file exists"):
        RunFolder.create(tmp_path / "file", small())


def test_an_empty_folder_will_do(tmp_path: Path, small: Small) -> None:
    RunFolder.create(tmp_path, small())


def test_any_folder_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"is not the folder of a run: it holds no config\.toml"):
        RunFolder.open(tmp_path)


def test_lines_after_the_noted_length_are_cut_off(folder: RunFolder) -> None:
    folder.log_switch(switch(1))
    lengths = folder.lengths()
    folder.log_switch(switch(2))
    folder.truncate(lengths)
    folder.log_switch(switch(3))
    assert [line.step for line in folder.switches()] == [1, 3]


def test_lost_lines_are_noticed(folder: RunFolder) -> None:
    folder.log_switch(switch(1))
    lengths = folder.lengths()
    (folder.path / SWITCHES).write_text("")
    with pytest.raises(ValueError, match=rf"has 0 bytes, but had {lengths[SWITCHES]} when checkpoint\.pt was made"):
        folder.truncate(lengths)


def test_a_line_cut_short_by_a_crash_is_not_read(folder: RunFolder) -> None:
    folder.log_switch(switch(1))
    with (folder.path / SWITCHES).open("a") as file:
        file.write('{"run": "ad')
    assert [line.step for line in folder.switches()] == [1]


def test_lengths_are_those_of_the_files(folder: RunFolder) -> None:
    folder.log_switch(switch(1))
    assert folder.lengths() == {name: (folder.path / name).stat().st_size for name in (METRICS, SWITCHES, WINDOWS)}


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
