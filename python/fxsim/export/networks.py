"""Golden vectors of a network: of one that a run trained, or of a named one with given numerics."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fxsim import data, models
from fxsim.data import Dataset
from fxsim.export.folder import read
from fxsim.export.manifest import Manifest
from fxsim.export.recorder import PASSES, vectors
from fxsim.nn.convert import convert
from fxsim.numerics import Numerics
from fxsim.train.networks import saved

RANDOM_DATA: Final = "random"
"""The name of images drawn from the seed, which need no files."""

_CLASSES: Final = 10
_SIZE: Final = 32


def run_vectors(
    run: str | Path,
    path: str | Path,
    *,
    network: str | None = None,
    step: bool = False,
    samples: int = 4,
    layers: str | Sequence[str] = "*",
    passes: Sequence[str] = PASSES,
) -> Manifest:
    """Golden vectors of a network of a run folder, as its last checkpoint has it; the run is left as it is.

    Args:
        run: the run folder.
        path: where vectors go, a new or empty folder.
        network: its name among the run's networks; None: the first.
        step: the forward and backward of the training step that would come next, on the first of its images; else one
            forward in evaluation mode, on the first images of the test split.
        samples: how many images, at most.
        layers, passes: as in `vectors`.

    Raises:
        FileNotFoundError: no run, no checkpoint, or no data.
        ValueError: the run has no such network, or nothing was written.
        FileExistsError: the folder is not empty.
    """
    state = saved(Path(run), network)
    learner, config = state.learner, state.config
    per_epoch = data.batch_count(state.dataset, "train", config.batch_size)
    epoch, start = divmod(state.step, per_epoch)
    where = f"{config.model} of run {Path(run).name}, network {learner.recipe.name}, after step {state.step}"
    with vectors(path, layers=layers, passes=passes, source=f"{where}: {_what(step, samples, config.data)}"):
        if step:
            x, y = next(
                data.batches(state.dataset, "train", config.batch_size, seed=config.seed, epoch=epoch, start=start)
            )
            learner.backward((x[:samples], y[:samples]))
        else:
            x, _ = next(data.batches(state.dataset, "test", samples))
            learner.infer(x)
    return read(path)


def model_vectors(
    model: str,
    path: str | Path,
    *,
    numerics: Numerics,
    data_name: str = RANDOM_DATA,
    data_dir: str | Path | None = None,
    seed: int = 0,
    step: bool = False,
    samples: int = 4,
    layers: str | Sequence[str] = "*",
    passes: Sequence[str] = PASSES,
) -> Manifest:
    """Golden vectors of a named network with the weights that `seed` draws, all layers in the same numerics.

    Args:
        model: a name of `fxsim.models.MODELS`.
        path: where vectors go, a new or empty folder.
        numerics: of every layer.
        data_name: a name of `fxsim.data.DATASETS`, or "random": images of normal numbers drawn from `seed`.
        data_dir: the folder of the data's files.
        seed: of weights, random images and stochastic roundings.
        step, samples, layers, passes: as in `run_vectors`; the step is the first of a training with the cross entropy.

    Raises:
        ValueError: there is no such model or data, or nothing was written.
        FileNotFoundError: no data.
        FileExistsError: the folder is not empty.
    """
    if model not in models.MODELS:
        raise ValueError(f"export: {model!r} is not a model; accepted: {', '.join(models.MODELS)}")
    dataset = None if data_name == RANDOM_DATA else data.load(data_name, data_dir)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = convert(_network(model, dataset), numerics, seed=seed)
        x, y = _images(model, dataset, step, samples, seed)
    where = f"{model} with the weights of seed {seed}, {numerics.to_text()}"
    with vectors(path, layers=layers, passes=passes, source=f"{where}: {_what(step, samples, data_name)}"):
        if step:
            torch.autograd.backward(F.cross_entropy(network.train()(x), y))
        else:
            with torch.no_grad():
                network.eval()(x)
    return read(path)


def _what(step: bool, samples: int, data_name: str) -> str:
    what = "forward and backward of a training step" if step else "one forward in evaluation mode"
    return f"{what} on {samples} images of {data_name}"


def _network(model: str, dataset: Dataset | None) -> nn.Module:
    if dataset is not None:
        return models.build(model, dataset.num_classes, dataset.in_channels)
    return models.build(model, _CLASSES, _random_channels(model))


def _random_channels(model: str) -> int:
    """Those that the model takes unless told otherwise."""
    channels: int = inspect.signature(models.MODELS[model]).parameters["in_channels"].default
    return channels


def _images(model: str, dataset: Dataset | None, step: bool, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    if dataset is not None:
        return next(data.batches(dataset, "train" if step else "test", samples, seed=seed))
    x = torch.randn(samples, _random_channels(model), _SIZE, _SIZE)
    return x, torch.randint(_CLASSES, (samples,))
