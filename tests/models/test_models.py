"""Every model has exactly the layers, parameters and multiplications that results are quoted for."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import nn

from fxsim import models


def count_macs(model: nn.Module, image: torch.Tensor) -> int:
    """M * N * K summed over convolutions and linear layers, taken from what each layer really sees."""
    total = 0

    def hook(layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        weight = layer.get_parameter("weight")
        total += output[0].numel() * math.prod(weight.shape[1:])

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(hook)
    model.eval()
    with torch.no_grad():
        model(image)
    return total


@pytest.mark.parametrize(
    ("name", "num_classes", "in_channels", "parameters", "macs"),
    [
        ("lenet5", 10, 1, 61_706, 416_520),
        ("alexnet", 10, 3, 2_472_266, 14_957_056),
        ("alexnet", 100, 3, 2_495_396, 14_980_096),
        ("resnet20", 10, 3, 272_474, 40_813_184),
        ("resnet20", 100, 3, 278_324, 40_818_944),
    ],
)
def test_sizes(name: str, num_classes: int, in_channels: int, parameters: int, macs: int) -> None:
    model = models.build(name, num_classes, in_channels)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert count_macs(model, torch.zeros(1, in_channels, 32, 32)) == macs


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("in_channels", [1, 3])
def test_logits_have_one_row_an_image(name: str, in_channels: int) -> None:
    model = models.build(name, 7, in_channels)
    assert model(torch.zeros(4, in_channels, 32, 32)).shape == (4, 7)


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(layer.get_parameter("weight").shape)
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }


def test_lenet5_layers() -> None:
    assert shapes(models.LeNet5()) == {
        "conv1": (6, 1, 5, 5),
        "conv2": (16, 6, 5, 5),
        "conv3": (120, 16, 5, 5),
        "fc1": (84, 120),
        "fc2": (10, 84),
    }


def test_alexnet_layers() -> None:
    assert list(shapes(models.AlexNet()).values()) == [
        (64, 3, 11, 11),
        (192, 64, 5, 5),
        (384, 192, 3, 3),
        (256, 384, 3, 3),
        (256, 256, 3, 3),
        (10, 256),
    ]


def test_resnet20_has_projections_only_where_the_shape_changes() -> None:
    found = shapes(models.ResNet20())
    assert {name: shape for name, shape in found.items() if "shortcut" in name} == {
        "blocks.3.shortcut.0": (32, 16, 1, 1),
        "blocks.6.shortcut.0": (64, 32, 1, 1),
    }
    assert len(found) == 1 + 9 * 2 + 2 + 1
    assert not any(name.endswith("bias") and "conv" in name for name, _ in models.ResNet20().named_parameters())


@pytest.mark.parametrize("name", models.MODELS)
def test_modules_stand_in_order_of_execution(name: str) -> None:
    model = models.build(name, 10, 3)
    ran: list[str] = []
    for path, layer in model.named_modules():
        if not list(layer.children()) and not isinstance(layer, nn.Sequential):
            layer.register_forward_hook(lambda _layer, _inputs, _output, path=path: ran.append(path))
    model(torch.zeros(2, 3, 32, 32))
    assert ran == [
        path
        for path, layer in model.named_modules()
        if not list(layer.children()) and not isinstance(layer, nn.Sequential)
    ]


@pytest.mark.parametrize("name", models.MODELS)
def test_copies_compute_the_same(name: str) -> None:
    model = models.build(name, 10, 3).eval()
    image = torch.linspace(-1, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
    expected = model(image)
    assert torch.equal(copy.deepcopy(model)(image), expected)
    assert torch.equal(pickle.loads(pickle.dumps(model))(image), expected)


def test_unknown_name_lists_the_models() -> None:
    with pytest.raises(ValueError, match=r"^models.build: 'vgg' is not a model; accepted: lenet5, alexnet, resnet20$"):
        models.build("vgg", 10, 3)


def test_counts_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^models.build: num_classes is 0; give 1 or more$"):
        models.build("lenet5", 0, 1)
    with pytest.raises(ValueError, match=r"^models.build: in_channels is -1; give 1 or more$"):
        models.build("lenet5", 10, -1)
