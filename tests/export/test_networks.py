"""Golden vectors of networks: those of a run at its checkpoint, and named ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

import fxsim as fx
from fxsim import data
from fxsim.export import folder
from fxsim.export.networks import model_vectors, run_vectors
from fxsim.train import loop
from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.networks import saved
from fxsim.train.recipe import recipe_for

NUMERICS = fx.Numerics("<8,6>", "<8,4>", output="<12,6>,stochastic(8)", grad_output="<12,10>", carrier="round")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A step under SQ, which rounds every tensor of forward and backward by chance, and a float32 network beside it."""
    config = TrainConfig(
        model="lenet5",
        data="digits",
        recipes=(recipe_for("sq", "lenet5"), recipe_for("float32", "lenet5")),
        environment=Environment.current(torch.get_num_threads()),
        epochs=3,
        batch_size=4,
        train_limit=8,
        test_limit=8,
    )
    path = tmp_path / "run"
    assert not loop.train(config, path, stop=lambda: True)  # after a step
    return path


def test_a_run_gives_the_words_of_its_next_step(run: Path, tmp_path: Path) -> None:
    before = {each.name: each.read_bytes() for each in run.iterdir()}
    manifest = run_vectors(run, tmp_path / "v", step=True)
    assert {each.name: each.read_bytes() for each in run.iterdir()} == before
    assert manifest.source == (
        "lenet5 of run run, network sq, after step 1: forward and backward of a training step on 4 images of digits"
    )
    assert [(each.layer, each.pass_) for each in manifest.vectors[:5]] == [
        (layer, "fwd") for layer in ("conv1", "conv2", "conv3", "fc1", "fc2")
    ]
    assert {each.pass_ for each in manifest.vectors} == {"fwd", "dgrad", "wgrad"}
    assert "conv1" not in {each.layer for each in manifest.vectors if each.pass_ == "dgrad"}
    assert fx.export.verify(tmp_path / "v") == manifest

    # The network itself, going on, computes the same weight gradient.
    state = saved(run)
    batches = data.batches(state.dataset, "train", 4, seed=state.config.seed, start=state.step)
    state.learner.backward(next(batches))
    weight = state.learner.model.get_parameter("fc2.weight")
    [wgrad] = [each for each in manifest.vectors if (each.layer, each.pass_) == ("fc2", "wgrad")]
    assert torch.equal(folder.tensor(tmp_path / "v", wgrad.output).to_float(), weight.grad)
    assert wgrad.random.seed == state.config.seed


def test_a_run_gives_an_evaluation(run: Path, tmp_path: Path) -> None:
    manifest = run_vectors(run, tmp_path / "v", samples=2, layers="fc*")
    assert [(each.layer, each.pass_, each.m) for each in manifest.vectors] == [("fc1", "fwd", 2), ("fc2", "fwd", 2)]
    state = saved(run)
    logits = state.learner.infer(next(data.batches(state.dataset, "test", 2))[0])
    assert torch.equal(folder.tensor(tmp_path / "v", manifest.vectors[1].output).to_float(), logits)
    assert manifest.vectors[0].random.seed == state.config.seed


def test_a_float_network_has_no_vectors(run: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no integer product of layers \* .* \(no layer\) fwd conv: computed in floating"
    ):
        run_vectors(run, tmp_path / "v", network="float32")


def test_an_unknown_network_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^'adapt' is no network of this run; it has: sq, float32$"):
        run_vectors(run, tmp_path / "v", network="adapt")
    assert not (tmp_path / "v").exists()


def test_a_named_network_is_reproduced_by_its_seed(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    numerics = dataclasses.replace(NUMERICS, output=None)
    one, two, other = (
        model_vectors("lenet5", tmp_path / name, numerics=numerics, seed=seed, samples=1, layers="fc2")
        for name, seed in (("one", 7), ("two", 7), ("other", 8))
    )
    assert one == two
    assert one.vectors[0].b.sha256 != other.vectors[0].b.sha256
    assert one.source == (
        f"lenet5 with the weights of seed 7, {numerics.to_text()}: one forward in evaluation mode on 1 images of random"
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_a_named_network_takes_images_of_a_data_set(tmp_path: Path) -> None:
    manifest = model_vectors(
        "lenet5", tmp_path / "v", numerics=NUMERICS, data_name="digits", step=True, samples=2, layers="conv1"
    )
    assert [(each.pass_, each.m, each.n, each.k) for each in manifest.vectors] == [
        ("fwd", 1568, 6, 25),
        ("wgrad", 6, 25, 1568),
    ]


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^export: 'vgg' is not a model; accepted: lenet5, alexnet, resnet20$"):
        model_vectors("vgg", tmp_path / "v", numerics=NUMERICS)
