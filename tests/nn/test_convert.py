"""Float models become fixed-point ones, and say which of their parts did."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import fxsim as fx

A, B, C = (fx.Numerics(f"<{wl},3>", f"<{wl},3>") for wl in (8, 6, 4))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, stride=2, padding=1, bias=False)
        self.blocks = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(2, 2, 3, padding="same"), nn.BatchNorm2d(2)) for _ in range(2)]
        )
        self.head = nn.Linear(32, 3)
        self.tied = self.head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x).relu()
        return self.tied(x.flatten(1))  # type: ignore[no-any-return]


def test_every_layer_is_replaced_numbered_and_named() -> None:
    model = Net().eval()
    converted = fx.convert(model, A, seed=9)
    assert [(name, layer.name, layer.layer_id, layer.seed) for name, layer in fx.nn.layers(converted)] == [
        (name, name, i, 9) for i, name in enumerate(["stem", "blocks.0.0", "blocks.1.0", "head"])
    ]
    assert converted.tied is converted.head
    assert not converted.head.training
    assert not fx.nn.layers(model)
    assert converted.stem.bias is None
    assert (converted.stem.stride, converted.stem.padding) == ((2, 2), (1, 1))
    assert converted(torch.randn(1, 1, 8, 8)).shape == (1, 3)


def test_in_place_parameters_stay_the_same_objects() -> None:
    model = Net()
    parameters = dict(model.named_parameters())
    hooked = []
    model.head.register_forward_hook(lambda *_: hooked.append(1))
    converted = fx.convert(model, A, inplace=True)
    assert converted is model
    assert all(parameter is parameters[name] for name, parameter in converted.named_parameters())
    converted(torch.randn(1, 1, 8, 8))
    assert hooked == [1]


def test_the_last_override_that_matches_holds() -> None:
    model = fx.convert(Net(), A, {"blocks.*": B, "blocks.1.*": C, "head": None})
    assert [layer.numerics for _, layer in fx.nn.layers(model)] == [A, B, C]
    assert type(model.head) is nn.Linear


def test_an_override_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"convert: override 'block\.\*' matches none of 4 layers; names are like '"):
        fx.convert(Net(), A, {"block.*": B})
    with pytest.raises(ValueError, match="override 'x' matches none of 0 layers; names are like none at all"):
        fx.convert(nn.ReLU(), A, {"x": B})
    model = fx.convert(Net(), A)
    with pytest.raises(
        ValueError, match="set_numerics: pattern 'heads' matches none of 4 layers; names are like 'head'"
    ):
        fx.set_numerics(model, "heads", B)


def test_numerics_are_assigned_by_glob() -> None:
    model = fx.convert(Net(), A)
    fx.set_numerics(model, "blocks.*", C)
    assert [layer.numerics for _, layer in fx.nn.layers(model)] == [A, C, C, A]
    with pytest.raises(TypeError, match="Conv2d: numerics is str: a Numerics is needed"):
        fx.set_numerics(model, "*", "<8,4>")  # type: ignore[arg-type]


def test_a_lone_layer_is_replaced_itself() -> None:
    layer = nn.Linear(3, 2)
    converted = fx.convert(layer, A, inplace=True)
    assert isinstance(converted, fx.nn.Linear)
    assert converted.weight is layer.weight
    assert (converted.name, converted.layer_id) == ("", 0)


def test_other_modules_are_wrapped_between_quantizers() -> None:
    numerics = fx.Numerics("<8,3>", "<6,1>", "<7,2>")
    model = fx.convert(Net(), A, {"blocks.?.1": numerics}, wrap=[nn.BatchNorm2d])
    wrapped = model.blocks[0][1]
    assert isinstance(wrapped, fx.nn.Quantized)
    assert [name for name, _ in fx.nn.layers(model)] == [
        "stem", "blocks.0.0", "blocks.0.1", "blocks.1.0", "blocks.1.1", "head",
    ]  # fmt: skip
    x = torch.randn(4, 2, 3, 3)
    expected = wrapped.module(fx.quantize(x, "<6,1>", index_order="channels_last").to_float())
    assert torch.equal(wrapped(x), fx.quantize(expected, "<7,2>", index_order="channels_last").to_float())
    assert "activation=<6,1>" in repr(wrapped)


def test_converting_twice_changes_nothing_but_numbers() -> None:
    once = fx.convert(Net(), A, wrap=[nn.BatchNorm2d])
    twice = fx.convert(once, B, wrap=[nn.BatchNorm2d])
    assert [type(module) for module in once.modules()] == [type(module) for module in twice.modules()]
    assert twice.head.numerics == A


def test_a_module_that_gives_no_tensor_cannot_be_wrapped() -> None:
    model = fx.convert(nn.Sequential(nn.LSTM(3, 3)), A, wrap=[nn.LSTM])
    with pytest.raises(TypeError, match="0: LSTM gives tuple: only modules that give one tensor can be quantized"):
        model(torch.randn(2, 3))


def test_what_cannot_be_converted_is_named() -> None:
    for layer, text in (
        (
            nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"),
            "convert: 0: Conv2d: padding_mode = 'reflect': only zeros",
        ),
        (nn.Conv2d(1, 1, 2, padding="same"), r"convert: 0: Conv2d: padding = 'same' with kernel_size = \(2, 2\)"),
        (prune.random_unstructured(nn.Linear(3, 3), "weight", 0.5), "convert: 0: its weight is computed by a hook"),
    ):
        with pytest.raises(ValueError, match=text):
            fx.convert(nn.Sequential(layer), A, inplace=True)
    with pytest.raises(TypeError, match="convert: numerics of '0' is str: a Numerics is needed"):
        fx.convert(nn.Sequential(nn.Linear(1, 1)), "<8,4>")  # type: ignore[arg-type]


def test_the_summary_shows_what_is_still_float() -> None:
    model = fx.convert(Net(), A, {"head": None})
    summary = fx.summary(model)
    assert [row.name for row in summary.float_rows] == ["blocks.0.1", "blocks.1.1", "head"]
    assert sum(row.parameters for row in summary.rows) == sum(parameter.numel() for parameter in model.parameters())
    lines = str(summary).splitlines()
    assert lines[0].split() == ["name", "type", "parameters", "formats"]
    assert lines[1].split(maxsplit=3) == ["stem", "Conv2d", "18", "weight=<8,3>, activation=<8,3>"]
    assert lines[-1].split() == ["head", "Linear", "99", "float"]
    wrapped = fx.summary(fx.convert(Net(), A, wrap=[nn.BatchNorm2d]))
    assert "Quantized(BatchNorm2d)" in str(wrapped)


def test_repr_shows_the_formats_that_are_not_defaults() -> None:
    numerics = fx.Numerics("<8,3>", "u<6,1>", accumulator=fx.Accumulator(16, overflow="wrap"), ste="pass")
    text = repr(fx.nn.Linear(2, 2, numerics=numerics))
    assert "weight=<8,3>, activation=u<6,1>, accumulator=16 overflow=wrap, ste=pass" in text
    assert "carrier" not in text
