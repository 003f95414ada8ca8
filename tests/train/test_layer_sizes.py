import pytest
import torch
from torch import nn

from fxsim import models
from fxsim.policies.sakr import LayerSize, costs
from fxsim.policies.sakr.costs import FLOAT
from fxsim.train.layer_sizes import layer_sizes


def test_lenet5_has_as_many_products_as_it_is_said_to_have() -> None:
    sizes = layer_sizes(models.build("lenet5", 10, 1), torch.zeros(1, 1, 32, 32))
    assert list(sizes) == ["conv1", "conv2", "conv3", "fc1", "fc2"]
    assert sum(size.macs for size in sizes.values()) == 416_520
    assert sizes["conv1"] == LayerSize(150, 1024, 6 * 28 * 28, 25)
    assert sizes["conv2"].inputs == 6 * 28 * 28  # before pooling
    c_c = costs(list(sizes.values()), [FLOAT] * 5).sent_bits
    assert c_c == 32 * sum(size.weights for size in sizes.values())


def test_shortcuts_of_resnet20_share_their_activations() -> None:
    model = models.build("resnet20", 10, 3)
    sizes = layer_sizes(model, torch.zeros(1, 3, 32, 32))
    assert model.training
    assert [name for name, size in sizes.items() if size.shared] == [name for name in sizes if "shortcut" in name]
    assert sum(size.macs for size in sizes.values()) == 40_813_184
    assert list(sizes.values())[-1].inputs == 64 * 8 * 8


def test_a_layer_that_runs_twice_is_refused() -> None:
    layer = nn.Linear(3, 3)
    with pytest.raises(
        ValueError, match="layer_sizes: 0 runs twice in a forward; give a model that uses each layer once"
    ):
        layer_sizes(nn.Sequential(layer, nn.ReLU(), layer), torch.zeros(1, 3))
