"""The published sets themselves, where FXSIM_DATA_DIR names a folder that has them: known figures come out."""

from __future__ import annotations

import os

import pytest
import torch

from fxsim import data

pytestmark = pytest.mark.needs_data

FIGURES = {
    "mnist": ((60_000, 10_000), (0.13066048,), (0.30810780,)),
    "fashion-mnist": ((60_000, 10_000), (0.28604060,), (0.35302424,)),
    "cifar10": ((50_000, 10_000), (0.49139968, 0.48215841, 0.44653091), (0.24703223, 0.24348513, 0.26158784)),
}


def load(name: str) -> data.Dataset:
    folder = os.environ.get("FXSIM_DATA_DIR")
    if not folder:
        pytest.skip("FXSIM_DATA_DIR names no folder with data sets")
    try:
        return data.load(name, folder)
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", FIGURES)
def test_sizes_and_statistics(name: str) -> None:
    dataset = load(name)
    sizes, mean, std = FIGURES[name]
    assert (len(dataset.train_x), len(dataset.test_x)) == sizes
    assert dataset.mean == pytest.approx(mean, abs=1e-8)
    assert dataset.std == pytest.approx(std, abs=1e-8)


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10"])
def test_classes_are_balanced(name: str) -> None:
    dataset = load(name)
    assert torch.bincount(dataset.train_y).tolist() == [len(dataset.train_y) // 10] * 10
    assert torch.bincount(dataset.test_y).tolist() == [len(dataset.test_y) // 10] * 10
