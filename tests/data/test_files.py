"""Sets are read from the files that torchvision uses; what is missing or damaged is named."""

from __future__ import annotations

import gzip
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from fxsim import data
from fxsim.data.mnist import read_idx


def test_mnist_is_padded_raw_and_measured_unpadded(mnist_dir: Path, pixels: np.ndarray) -> None:
    mnist = data.load("mnist", mnist_dir)
    assert mnist.train_x.shape == (8, 1, 32, 32)
    assert mnist.test_x.shape == (4, 1, 32, 32)
    assert np.array_equal(mnist.train_x[:, 0, 2:30, 2:30].numpy(), pixels[:8])
    assert np.array_equal(mnist.test_x[:, 0, 2:30, 2:30].numpy(), pixels[8:])
    assert int(mnist.train_x.sum()) == int(pixels[:8].sum(dtype=np.int64))
    assert mnist.train_y.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert mnist.test_y.tolist() == [8, 9, 0, 1]
    assert mnist.mean[0] == pytest.approx(pixels[:8].mean() / 255, rel=1e-12)
    assert mnist.std[0] == pytest.approx(pixels[:8].std() / 255, rel=1e-12)
    assert (mnist.num_classes, mnist.in_channels, mnist.augment, mnist.scale) == (10, 1, False, 255)


def test_compressed_files_and_the_bare_folder_will_do(mnist_dir: Path) -> None:
    plain = data.load("mnist", mnist_dir)
    for path in (mnist_dir / "MNIST" / "raw").iterdir():
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    for place in (mnist_dir, mnist_dir / "MNIST" / "raw", str(mnist_dir)):
        packed = data.load("mnist", place)
        assert torch.equal(packed.train_x, plain.train_x)
        assert torch.equal(packed.test_y, plain.test_y)


def test_fashion_mnist_has_a_folder_and_classes_of_its_own(mnist_dir: Path, pixels: np.ndarray) -> None:
    shutil.move(mnist_dir / "MNIST", mnist_dir / "FashionMNIST")
    fashion = data.load("fashion-mnist", mnist_dir)
    assert np.array_equal(fashion.train_x[:, 0, 2:30, 2:30].numpy(), pixels[:8])
    assert fashion.classes[9] == "ankle boot"


def test_cifar10_keeps_the_order_of_its_batches(cifar10_dir: Path, colours: np.ndarray) -> None:
    cifar = data.load("cifar10", cifar10_dir)
    assert np.array_equal(cifar.train_x.numpy(), colours[:15])
    assert np.array_equal(cifar.test_x.numpy(), colours[15:])
    assert cifar.train_y.tolist() == [i % 10 for i in range(15)]
    assert cifar.mean == pytest.approx(colours[:15].mean(axis=(0, 2, 3)) / 255, rel=1e-12)
    assert cifar.std == pytest.approx(colours[:15].std(axis=(0, 2, 3)) / 255, rel=1e-12)
    assert (cifar.num_classes, cifar.in_channels, cifar.augment) == (10, 3, True)


def test_cifar100_takes_fine_labels(cifar100_dir: Path, colours: np.ndarray) -> None:
    cifar = data.load("cifar100", cifar100_dir)
    assert np.array_equal(cifar.train_x.numpy(), colours[:12])
    assert cifar.train_y.tolist() == [5 * i for i in range(12)]
    assert cifar.num_classes == 100
    assert cifar.classes[:2] == ("apple", "aquarium_fish")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10", "cifar100"])
@pytest.mark.parametrize("nothing", [None, ""])
def test_no_folder(name: str, nothing: str | None) -> None:
    with pytest.raises(ValueError, match=rf"^data: {name} is read from files; give data_dir, a folder that holds "):
        data.load(name, nothing)


def test_missing_files_are_named(tmp_path: Path, cifar10_dir: Path) -> None:
    (cifar10_dir / "cifar-10-batches-bin" / "data_batch_4.bin").unlink()
    expected = (
        f"data: cifar10: {cifar10_dir} has no data_batch_4.bin; give data_dir, a folder that holds "
        "cifar-10-batches-bin/ with data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, "
        "data_batch_5.bin, test_batch.bin"
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(expected)}$"):
        data.load("cifar10", cifar10_dir)
    empty = tmp_path / "empty"
    empty.mkdir()
    expected = (
        f"data: mnist: {empty} has no train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "
        "t10k-labels-idx1-ubyte; give data_dir, a folder that holds MNIST/raw/ with train-images-idx3-ubyte, "
        "train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (each plain or with .gz)"
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(expected)}$"):
        data.load("mnist", empty)


def test_cifar_of_a_wrong_length(cifar10_dir: Path) -> None:
    path = cifar10_dir / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"test_batch.bin has 9218 bytes, no whole number of images of 3073 bytes"):
        data.load("cifar10", cifar10_dir)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "starts with nothing; an IDX file of bytes starts with 00 00 08"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "starts with 00 00 0d 01; an IDX file of bytes starts with 00 00 08"),
        (b"\0\0\x08\x02\0\0\0\x01\0\0", "starts with 00 00 08 02; an IDX file of bytes starts with 00 00 08"),
        (b"\0\0\x08\x02\0\0\0\x02\0\0\0\x03abcde", "has 5 bytes of data; its header says 2 x 3; get the file again"),
        (b"\0\0\x08\x01\0\0\0\x02abc", "has 3 bytes of data; its header says 2; get the file again"),
    ],
)
def test_damaged_idx(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text):
        read_idx(path)


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"\0\0\x08\x01\0\0\0\x01a", mtime=0)[:-9]])
def test_damaged_gzip(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"labels.gz is not a complete gzip file .*; get the file again"):
        read_idx(path)


def test_images_and_labels_must_be_as_many(mnist_dir: Path) -> None:
    raw = mnist_dir / "MNIST" / "raw"
    shutil.copy(raw / "t10k-labels-idx1-ubyte", raw / "train-labels-idx1-ubyte")
    with pytest.raises(ValueError, match=r"holds \(8, 28, 28\) and train-labels-idx1-ubyte \(4,\); expected are"):
        data.load("mnist", mnist_dir)


def test_labels_beyond_the_classes(mnist_dir: Path) -> None:
    path = mnist_dir / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    with pytest.raises(
        ValueError, match=r"^Dataset mnist: test labels run from 0 to 10; with 10 classes they are 0 to 9$"
    ):
        data.load("mnist", mnist_dir)


def test_constant_pixels(mnist_dir: Path) -> None:
    path = mnist_dir / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:16] + b"\x07" * 8 * 28 * 28)
    with pytest.raises(ValueError, match=r"channel 0 of 6272 training pixels has no spread"):
        data.load("mnist", mnist_dir)


def test_unknown_set() -> None:
    with pytest.raises(
        ValueError, match=r"'svhn' is not a data set; accepted: digits, mnist, fashion-mnist, cifar10, "
    ):
        data.load("svhn")
