"""The folder a run leaves: config.toml, checkpoint.pt, report.html, counts.json, and logs that grow line by line.

metrics.jsonl, switches.jsonl: see `fxsim.train.lines`. counts.jsonl: what was executed, window by window, a hundred of
them in a run; a window of 0 steps is the evaluation of the trained network in the formats it keeps.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, final

from fxsim.cost.windows import Window
from fxsim.train.config import TrainConfig
from fxsim.train.lines import (
    MetricsLine,
    SwitchLine,
    metrics_from_json,
    switch_from_json,
    to_json,
)

CONFIG: Final = "config.toml"
METRICS: Final = "metrics.jsonl"
SWITCHES: Final = "switches.jsonl"
CHECKPOINT: Final = "checkpoint.pt"
COUNTS: Final = "counts.json"
WINDOWS: Final = "counts.jsonl"
REPORT: Final = "report.html"

_LOGS: Final = (METRICS, SWITCHES, WINDOWS)


@final
class RunFolder:
    """The files of one run. Lines are appended; a checkpoint notes how long the files were when it was made."""

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, config: TrainConfig) -> RunFolder:
        """A new folder with its config.toml.

        Raises:
            FileExistsError: there is something in the folder already, or a file of that name.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileExistsError(
                f"{path} exists and is not empty; resume the run in it, or name another folder for a new one"
            )
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / CONFIG, config.to_toml())
        for name in _LOGS:
            (path / name).touch()
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """The folder of a run that was started before.

        Raises:
            FileNotFoundError: it holds no config.toml.
        """
        if not (path / CONFIG).is_file():
            raise FileNotFoundError(f"{path} is not the folder of a run: it holds no {CONFIG}")
        return cls(path)

    @property
    def checkpoint(self) -> Path:
        return self.path / CHECKPOINT

    @property
    def report(self) -> Path:
        return self.path / REPORT

    def config(self) -> TrainConfig:
        """What config.toml says."""
        return TrainConfig.from_toml((self.path / CONFIG).read_text(encoding="utf-8"))

    def log_metrics(self, line: MetricsLine) -> None:
        """Append a line to metrics.jsonl."""
        self._append(METRICS, to_json(line))

    def log_switch(self, line: SwitchLine) -> None:
        """Append a line to switches.jsonl."""
        self._append(SWITCHES, to_json(line))

    def log_window(self, window: Window) -> None:
        """Append a line to counts.jsonl."""
        self._append(WINDOWS, window.to_json())

    def metrics(self) -> Iterator[MetricsLine]:
        """The lines of metrics.jsonl, in order."""
        return map(metrics_from_json, self._lines(METRICS))

    def switches(self) -> Iterator[SwitchLine]:
        """The lines of switches.jsonl, in order."""
        return map(switch_from_json, self._lines(SWITCHES))

    def windows(self) -> Iterator[Window]:
        """The lines of counts.jsonl, in order; none where the run did not count."""
        return map(Window.from_json, self._lines(WINDOWS))

    def write_counts(self, text: str) -> None:
        """Write counts.json."""
        write_atomically(self.path / COUNTS, text)

    def lengths(self) -> dict[str, int]:
        """Bytes of each log, once they are safely on disk."""
        lengths = {}
        for name in _LOGS:
            with (self.path / name).open("ab") as file:
                os.fsync(file.fileno())
                lengths[name] = file.tell()
        return lengths

    def truncate(self, lengths: Mapping[str, int]) -> None:
        """Cut each log to what it was when the checkpoint was made: later lines will be written again.

        Raises:
            ValueError: a log is shorter than that, so lines of it were lost or removed.
        """
        for name in _LOGS:
            path = self.path / name
            present = path.stat().st_size if path.exists() else 0
            if present < lengths[name]:
                raise ValueError(
                    f"{path} has {present} bytes, but had {lengths[name]} when {CHECKPOINT} was made; "
                    f"put the missing lines back, or start the run anew in another folder"
                )
            os.truncate(path, lengths[name])

    def _append(self, name: str, text: str) -> None:
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    def _lines(self, name: str) -> Iterator[str]:
        path = self.path / name
        if not path.exists():
            return
        with path.open(encoding="utf-8") as file:
            yield from (line for line in file if line.endswith("\n"))  # a crash may leave part of a line


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
