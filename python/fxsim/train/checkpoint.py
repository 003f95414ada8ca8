"""A run at rest between two steps: saved whole or not at all, and loaded with its surroundings checked."""

from __future__ import annotations

import dataclasses
import io
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor

from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.runfolder import write_atomically

_KIND: Final = "fxsim checkpoint"
_VERSION: Final = 1


class ResumeWarning(UserWarning):
    """A run goes on under conditions in which it may not give the bits of one that never stopped."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Everything a run needs to go on.

    config: the text of config.toml. step: optimizer steps done. finished: the run is over.
    learners: the state of each network, by name. torch_rng: state of torch's default generator, which
    models of the user's own may draw from. log_lengths: bytes of each log of the run folder.
    """

    config: str
    step: int
    finished: bool
    learners: Mapping[str, Mapping[str, Any]]
    torch_rng: Tensor
    log_lengths: Mapping[str, int]

    def save(self, path: Path) -> None:
        """Write the file so that whoever reads it finds the last complete checkpoint."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        buffer = io.BytesIO()
        torch.save({"kind": _KIND, "version": _VERSION, **content}, buffer)
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """The checkpoint in a file. Nothing in the file is executed.

        Raises:
            FileNotFoundError: there is none.
            ValueError: the file is not a checkpoint, is damaged, or is of another version.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist: the run ended before its first checkpoint; start it anew")
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
            raise ValueError(f"{path} cannot be read as a checkpoint: {error}") from None
        if not isinstance(content, dict) or content.pop("kind", None) != _KIND:
            raise ValueError(f"{path} is not a checkpoint of fxsim")
        version = content.pop("version", None)
        if version != _VERSION:
            raise ValueError(f"{path} is a checkpoint of version {version}; this fxsim reads version {_VERSION}")
        return cls(**content)


def check_config(saved: str, config: TrainConfig) -> None:
    """Raise ValueError, naming what differs, unless config.toml still says what it said at the checkpoint."""
    then = TrainConfig.from_toml(saved)
    changed = [
        f"{field.name} was {getattr(then, field.name)}, now {getattr(config, field.name)}"
        for field in dataclasses.fields(TrainConfig)
        if getattr(then, field.name) != getattr(config, field.name)
    ]
    if changed:
        raise ValueError(
            f"config.toml was changed since the checkpoint: {'; '.join(changed)}; "
            f"undo the change, or start a new run with it"
        )


def warn_of_differences(started: Environment, here: Environment) -> None:
    """Warn if float operations may give other bits here than where the run was started."""
    differences = started.differences(here)
    if differences:
        warnings.warn(
            f"resumed under other conditions than the run was started with ({'; '.join(differences)}): "
            f"its results may differ from those of a run never stopped",
            ResumeWarning,
            stacklevel=3,
        )
