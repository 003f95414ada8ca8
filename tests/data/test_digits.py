"""The digits that need no download."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from fxsim import data

FIRST_TEST_LABELS = [2, 8, 2, 6, 6, 7, 1, 9]


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


def test_sizes(digits: data.Dataset) -> None:
    assert digits.train_x.shape == (1437, 1, 32, 32)
    assert digits.test_x.shape == (360, 1, 32, 32)
    assert (digits.num_classes, digits.in_channels, digits.scale, digits.augment) == (10, 1, 16, False)


def test_every_image_is_in_one_split(digits: data.Dataset) -> None:
    small = torch.cat([digits.train_x, digits.test_x])[:, 0, ::4, ::4].reshape(1797, 64)
    labels = torch.cat([digits.train_y, digits.test_y])
    ours = sorted(zip(small.tolist(), labels.tolist(), strict=True))
    bunch = load_digits()
    theirs = sorted(zip(bunch.data.astype(int).tolist(), bunch.target.tolist(), strict=True))
    assert ours == theirs


def test_each_pixel_is_repeated_four_by_four(digits: data.Dataset) -> None:
    x = digits.train_x.reshape(-1, 8, 4, 8, 4)
    assert torch.equal(x, x[:, :, :1, :, :1].expand_as(x))


def test_split_is_fixed_and_holds_every_class(digits: data.Dataset) -> None:
    assert (torch.bincount(digits.train_y) > 100).all()
    assert (torch.bincount(digits.test_y, minlength=10) > 20).all()
    assert digits.test_y[:8].tolist() == FIRST_TEST_LABELS
    again = data.load("digits")
    assert torch.equal(again.train_x, digits.train_x)
    assert torch.equal(again.test_y, digits.test_y)


def test_normalised_training_pixels_have_zero_mean_and_unit_deviation(digits: data.Dataset) -> None:
    x = digits.normalise(digits.train_x).double().numpy()
    assert x.mean() == pytest.approx(0, abs=1e-6)
    assert x.std() == pytest.approx(1, abs=1e-6)
    assert digits.mean[0] == pytest.approx(digits.train_x.double().mean().item() / 16, rel=1e-12)


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(
        ImportError, match=r"digits come with scikit-learn, which is not installed; install 'fxsim\[demo\]'"
    ):
        data.load("digits")


def test_labels_fit_their_images(digits: data.Dataset) -> None:
    """A nearest-mean classifier would fail on shuffled labels."""
    train = digits.train_x.double().flatten(1).numpy()
    test = digits.test_x.double().flatten(1).numpy()
    means = np.stack([train[digits.train_y.numpy() == label].mean(axis=0) for label in range(10)])
    distance = ((test[:, None] - means) ** 2).sum(axis=2)
    assert (distance.argmin(axis=1) == digits.test_y.numpy()).mean() > 0.85
