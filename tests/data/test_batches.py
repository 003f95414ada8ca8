"""Batches: complete, in an order that seed and epoch alone decide, augmented without regard to place in the epoch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from fxsim import data
from fxsim.data.order import DATA_ROLE, augmentation, crop_and_flip, epoch_order
from fxsim.rng import Role


def numbered(train: int, test: int = 5, augment: bool = False) -> data.Dataset:
    """A set whose label n % 10 and first pixel n tell the images apart."""
    x = torch.zeros(train + test, 1, 32, 32, dtype=torch.uint8)
    x[:, 0, 0, 0] = torch.arange(train + test).to(torch.uint8)
    y = torch.arange(train + test) % 10
    return data.Dataset(
        name="numbered",
        train_x=x[:train],
        train_y=y[:train],
        test_x=x[train:],
        test_y=y[train:],
        classes=tuple("0123456789"),
        mean=(0.0,),
        std=(1 / 255,),
        augment=augment,
    )


def seen(dataset: data.Dataset, split: data.Split, batch_size: int, **options: int | bool) -> list[list[int]]:
    """The number of each image, batch by batch."""
    return [x[:, 0, 0, 0].int().tolist() for x, _ in data.batches(dataset, split, batch_size, **options)]


def test_training_drops_the_incomplete_batch_and_the_test_does_not() -> None:
    dataset = numbered(23, 5)
    assert [len(batch) for batch in seen(dataset, "train", 5)] == [5, 5, 5, 5]
    assert [len(batch) for batch in seen(dataset, "train", 5, drop_last=False)] == [5, 5, 5, 5, 3]
    assert seen(dataset, "test", 2) == [[23, 24], [25, 26], [27]]
    assert seen(dataset, "test", 2, drop_last=True) == [[23, 24], [25, 26]]
    assert data.batch_count(dataset, "train", 5) == 4
    assert data.batch_count(dataset, "train", 5, drop_last=False) == 5
    assert data.batch_count(dataset, "test", 2) == 3


def test_an_epoch_shows_every_image_once_with_its_label() -> None:
    dataset = numbered(40)
    pairs = [
        (int(image), int(label))
        for x, y in data.batches(dataset, "train", 8, seed=3, epoch=2)
        for image, label in zip(x[:, 0, 0, 0], y, strict=True)
    ]
    assert sorted(pairs) == [(n, n % 10) for n in range(40)]
    assert pairs != sorted(pairs)


def test_order_is_a_function_of_seed_and_epoch() -> None:
    dataset = numbered(100)
    one = seen(dataset, "train", 10, seed=1, epoch=0)
    torch.manual_seed(5)  # torch's own generator takes no part
    assert seen(dataset, "train", 10, seed=1, epoch=0) == one
    assert seen(dataset, "train", 10, seed=1, epoch=1) != one
    assert seen(dataset, "train", 10, seed=2, epoch=0) != one
    pairs = zip(one[::2], one[1::2], strict=True)
    assert seen(dataset, "train", 20, seed=1, epoch=0) == [first + second for first, second in pairs]
    assert seen(dataset, "train", 10, seed=1, epoch=0, start=7) == one[7:]


def test_order_never_changes() -> None:
    """A change of these numbers breaks the resumption of every recorded run."""
    assert epoch_order(10, seed=0, epoch=0).tolist() == [1, 5, 2, 3, 6, 0, 9, 7, 4, 8]
    assert epoch_order(10, seed=2**64 - 1, epoch=7).tolist() == [1, 5, 2, 3, 9, 4, 0, 6, 7, 8]
    rows, columns, flips = augmentation(6, seed=0, epoch=0)
    assert rows.tolist() == [6, 2, 3, 4, 8, 4]
    assert columns.tolist() == [6, 3, 4, 1, 0, 3]
    assert flips.int().tolist() == [0, 0, 1, 1, 0, 1]


def test_orders_are_uniform() -> None:
    """Over 6,000 epochs each of the 6 orders of three images comes about 1,000 times: chi-squared with 5 degrees."""
    counts: dict[tuple[int, ...], int] = {}
    for epoch in range(6000):
        order = tuple(epoch_order(3, seed=11, epoch=epoch).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 25.7  # 99.99th percentile


def test_augmentation_is_uniform() -> None:
    rows, columns, flips = augmentation(90_000, seed=4, epoch=1)
    for choice in (rows, columns):
        counts = torch.bincount(choice)
        assert len(counts) == 9
        assert float(((counts - 10_000) ** 2 / 10_000).sum()) < 31.8  # 99.99th percentile, 8 degrees
    assert abs(int(flips.sum()) - 45_000) < 4 * 150
    assert not torch.equal(rows, columns)


def test_crop_and_flip_by_hand() -> None:
    x = torch.arange(1, 3 * 2 * 32 * 32 + 1, dtype=torch.int32).reshape(3, 2, 32, 32)
    rows, columns = torch.tensor([4, 0, 8]), torch.tensor([4, 3, 6])
    out = crop_and_flip(x, rows, columns, torch.tensor([False, False, True]))
    assert torch.equal(out[0], x[0])
    shifted = torch.zeros_like(x[1])
    shifted[:, 4:, 1:] = x[1, :, :-4, :-1]  # a window that starts 4 above and 1 left of the image
    assert torch.equal(out[1], shifted)
    shifted = torch.zeros_like(x[2])
    shifted[:, :-4, :-2] = x[2, :, 4:, 2:]
    assert torch.equal(out[2], shifted.flip(2))


def test_augmentation_does_not_depend_on_the_batch(cifar10_dir: Path) -> None:
    cifar = data.load("cifar10", cifar10_dir)
    whole = torch.cat([x for x, _ in data.batches(cifar, "train", 15, seed=9, epoch=4)])
    parts = torch.cat([x for x, _ in data.batches(cifar, "train", 3, seed=9, epoch=4)])
    assert torch.equal(whole, parts)
    assert torch.equal(whole[6:], torch.cat([x for x, _ in data.batches(cifar, "train", 3, seed=9, epoch=4, start=2)]))
    other = torch.cat([x for x, _ in data.batches(cifar, "train", 15, seed=9, epoch=5)])
    assert not torch.equal(whole, other)
    order = epoch_order(15, seed=9, epoch=4)
    plain = torch.cat([x for x, _ in data.batches(cifar, "train", 15, seed=9, epoch=4, augment=False)])
    assert torch.equal(plain, cifar.normalise(cifar.train_x[order]))
    assert not torch.equal(plain, whole)


def test_test_images_are_never_augmented(cifar10_dir: Path) -> None:
    cifar = data.load("cifar10", cifar10_dir)
    (x, y), *rest = data.batches(cifar, "test", 100)
    assert rest == []
    assert torch.equal(x, cifar.normalise(cifar.test_x))
    assert torch.equal(y, cifar.test_y)


def test_padding_is_black_before_normalisation(cifar10_dir: Path) -> None:
    cifar = data.load("cifar10", cifar10_dir)
    black = cifar.normalise(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))[0, :, 0, 0]
    rows, _, _ = augmentation(15, seed=9, epoch=4)
    order = epoch_order(15, seed=9, epoch=4)
    (x, _), *_ = data.batches(cifar, "train", 15, seed=9, epoch=4)
    cut = [place for place, image in enumerate(order.tolist()) if rows[image] < 4]
    assert cut, "choose another epoch"
    for place in cut:
        assert torch.equal(x[place, :, 0, :], black[:, None].expand(3, 32))


def test_normalise_rounds_each_element_the_same_wherever_it_stands() -> None:
    dataset = dataclasses.replace(numbered(256), mean=(0.1307,), std=(0.3081,))
    levels = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(256, 1, 32, 32)
    x = dataset.normalise(levels)
    assert x.dtype == torch.float32
    mean, std = (
        torch.tensor(255 * 0.1307, dtype=torch.float64).float(),
        torch.tensor(255 * 0.3081, dtype=torch.float64).float(),
    )
    for level in range(256):
        assert (x[level] == (torch.tensor(float(level)) - mean) / std).all()


def test_data_bits_are_no_layer_s() -> None:
    assert max(Role) < DATA_ROLE


def test_first_images_only() -> None:
    dataset = numbered(20, 8)
    limited = dataset.first(train=6, test=3)
    assert (len(limited.train_x), len(limited.train_y), len(limited.test_x), len(limited.test_y)) == (6, 6, 3, 3)
    assert limited.train_y.tolist() == dataset.train_y[:6].tolist()
    assert len(dataset.first().train_x) == 20
    assert (limited.mean, limited.std) == (dataset.mean, dataset.std)


def test_wrong_arguments() -> None:
    dataset = numbered(20)
    with pytest.raises(ValueError, match=r"^data.batches: batch_size is 0; give 1 or more$"):
        data.batches(dataset, "train", 0)
    with pytest.raises(ValueError, match=r"^data.batches: 'valid' is not a split; accepted: train, test$"):
        data.batches(dataset, "valid", 4)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError,
        match=r"^data.batches: batch_size is 21, but numbered has 20 train images and the last incomplete batch is "
        r"dropped; give a smaller batch_size, or drop_last=False$",
    ):
        data.batches(dataset, "train", 21)
    assert [len(batch) for batch in seen(dataset, "train", 21, drop_last=False)] == [20]


def test_wrong_tensors() -> None:
    dataset = numbered(20)
    with pytest.raises(
        ValueError, match=r"train images are torch.float32 \(20, 1, 32, 32\); give uint8 \(N, 1, 32, 32\)$"
    ):
        dataclasses.replace(dataset, train_x=dataset.train_x.float())
    with pytest.raises(ValueError, match=r"test labels are torch.int64 \(4,\); give int64 \(5,\)$"):
        dataclasses.replace(dataset, test_y=dataset.test_y[:4])
