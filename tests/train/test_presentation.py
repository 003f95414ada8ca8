import pytest
import torch

import fxsim as fx
from fxsim import data
from fxsim.train.presentation import PRESENTATIONS, present
from fxsim.train.recipe import Recipe


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits", None)


def test_pixels_are_recovered_exactly(digits: data.Dataset) -> None:
    raw = digits.train_x[:50]
    shown = present(digits.normalise(raw), digits, "zero_to_two")
    codes = fx.quantize(shown, "u<8,7>", "nearest_away").raw
    assert torch.equal(codes.to(torch.int64), (raw.to(torch.int64) * 255 + 8) // 16)
    both = present(digits.normalise(raw), digits, "minus_one_to_one")
    assert torch.equal(both, raw.float() / 8 - 1)


def test_a_full_scale_of_255_needs_no_scaling() -> None:
    images = torch.arange(256, dtype=torch.uint8).repeat(4).view(1, 1, 32, 32)
    labels = torch.zeros(1, dtype=torch.int64)
    given = {"train_x": images, "train_y": labels, "test_x": images, "test_y": labels}
    dataset = data.Dataset(name="ramp", classes=("a",), mean=(0.4,), std=(0.3,), **given)
    assert torch.equal(present(dataset.normalise(images), dataset, "zero_to_two"), images.float() / 128)


def test_normalised_images_stay_as_they_are(digits: data.Dataset) -> None:
    x = digits.normalise(digits.test_x[:2])
    assert present(x, digits, "normalised") is x


def test_recipes_refuse_other_presentations_and_losses() -> None:
    assert PRESENTATIONS == ("normalised", "zero_to_two", "minus_one_to_one")
    with pytest.raises(
        ValueError, match="Recipe: presentation is 'raw'; give normalised or zero_to_two or minus_one_to"
    ):
        Recipe(name="x", policy="float32", learning_rate=0.1, presentation="raw")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Recipe: loss is 'mse'; give cross_entropy or half_squared_error"):
        Recipe(name="x", policy="float32", learning_rate=0.1, loss="mse")  # type: ignore[arg-type]
