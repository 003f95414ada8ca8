"""The networks of a run: as they are before the first step, and as the last checkpoint has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from fxsim import data, models
from fxsim.data import Dataset
from fxsim.train.checkpoint import Checkpoint, check_config
from fxsim.train.config import TrainConfig
from fxsim.train.initialise import initialise
from fxsim.train.learner import Learner
from fxsim.train.presentation import present
from fxsim.train.recipe import Recipe
from fxsim.train.runfolder import RunFolder


@final
@dataclass(frozen=True, slots=True)
class Saved:
    """One network of a run at its last checkpoint. step: optimizer steps done."""

    config: TrainConfig
    dataset: Dataset
    learner: Learner
    step: int


def saved(path: Path, name: str | None = None) -> Saved:
    """The network `name` of the run in a folder, the first if None, with the state of the last checkpoint.

    Raises:
        FileNotFoundError: no run, or no checkpoint of one.
        ValueError: the files do not belong together, or no network has the name.
    """
    folder = RunFolder.open(path)
    config = folder.config()
    recipe = _recipe(config, name)
    checkpoint = Checkpoint.load(folder.checkpoint)
    check_config(checkpoint.config, config)
    dataset = dataset_of(config)
    learner = learner_of(config, recipe, dataset)
    learner.load_state_dict(checkpoint.learners[recipe.name])
    return Saved(config, dataset, learner, checkpoint.step)


def _recipe(config: TrainConfig, name: str | None) -> Recipe:
    by_name = {recipe.name: recipe for recipe in config.recipes}
    if name is not None and name not in by_name:
        raise ValueError(f"{name!r} is no network of this run; it has: {', '.join(by_name)}")
    return config.recipes[0] if name is None else by_name[name]


def dataset_of(config: TrainConfig) -> Dataset:
    """The images of a run.

    Raises:
        ValueError, FileNotFoundError: the data cannot be had as configured.
    """
    return data.load(config.data, config.data_dir or None).first(config.train_limit, config.test_limit)


def learner_of(config: TrainConfig, recipe: Recipe, dataset: Dataset) -> Learner:
    """One network of a run before its first step; torch's own random state is left as it is.

    Raises:
        ValueError: the model or the policy cannot be had as configured.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = models.build(config.model, dataset.num_classes, dataset.in_channels)
        if recipe.initialisation == "tnvs":
            torch.manual_seed(config.seed)
            initialise(model, gain=recipe.gain)
    return Learner(
        recipe,
        model,
        seed=config.seed,
        total_steps=config.epochs * data.batch_count(dataset, "train", config.batch_size),
        counting=config.count,
        fused=config.fuse,
        present=lambda x: present(x, dataset, recipe.presentation),
    )
