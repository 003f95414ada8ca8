"""convert(..., also=...): torch's modules become their integer forms with their settings, or it is said why not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import fxsim as fx

NUMERICS = fx.Numerics("<8,4>", "<8,4>", "<8,4>")


def converted(module: nn.Module) -> Any:
    return fx.convert(nn.Sequential(module), NUMERICS, also=fx.nn.INTEGER_FORMS)[0]


def test_every_form_keeps_its_settings() -> None:
    assert type(converted(nn.ReLU(inplace=True))) is fx.nn.ReLU
    six = converted(nn.ReLU6())
    assert (type(six), six.low, six.high, six.edges) == (fx.nn.Clip, 0.0, 6.0, False)
    hard = converted(nn.Hardtanh(-2.0, 0.5))
    assert (hard.low, hard.high, hard.edges) == (-2.0, 0.5, False)
    pool = converted(nn.AvgPool2d((3, 2), stride=2, padding=1))
    assert (pool.kernel_size, pool.stride, pool.padding) == ((3, 2), (2, 2), (1, 1))
    assert converted(nn.AdaptiveAvgPool2d((2, 1))).output_size == (2, 1)
    assert type(converted(fx.nn.Sum())) is fx.nn.Add
    assert type(converted(fx.nn.Split())) is fx.nn.Fork


def test_a_batch_norm_hands_over_parameters_and_statistics() -> None:
    norm = nn.BatchNorm2d(3, eps=0.01, momentum=0.3)
    norm(torch.randn(4, 3, 8, 8) * 3 + 1)
    layer = converted(norm.eval())
    assert (layer.eps, layer.momentum, layer.training) == (0.01, 0.3, False)
    assert layer.weight is not norm.weight  # a deep copy was converted
    assert layer.running_mean.tolist() == pytest.approx(norm.running_mean.tolist(), abs=2.0**-13)
    assert layer.running_sigma.tolist() == pytest.approx(norm.running_var.sqrt().tolist(), abs=2.0**-13)
    assert int(layer.num_batches_tracked) == 1
    model = nn.Sequential(nn.BatchNorm2d(2))
    weight = model[0].weight
    assert fx.convert(model, NUMERICS, inplace=True, also=[nn.BatchNorm2d])[0].weight is weight


def test_hooks_overrides_and_numbers_as_for_other_layers() -> None:
    called: list[int] = []
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Sequential(nn.ReLU()))
    model[1].register_forward_hook(lambda *_: called.append(1))
    wide = fx.Numerics("<8,4>", "<12,4>")
    done = fx.convert(model, NUMERICS, {"1": wide, "2.*": None}, also=[nn.ReLU])
    done(torch.ones(1, 2))
    assert called == [1]
    assert [(name, layer.layer_id, layer.numerics) for name, layer in fx.nn.layers(done)] == [
        ("0", 0, NUMERICS), ("1", 1, wide),
    ]  # fmt: skip
    assert type(done[2][0]) is nn.ReLU


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (
            nn.BatchNorm2d(2, affine=False),
            "convert: 0: it has affine=False, track_running_stats=False or",
        ),
        (nn.BatchNorm2d(2, track_running_stats=False), "convert: 0: it has affine=False"),
        (nn.BatchNorm2d(2, momentum=None), "convert: 0: it has affine=False"),
        (
            nn.AvgPool2d(2, ceil_mode=True),
            "convert: 0: it has ceil_mode=True, a divisor_override, or",
        ),
        (nn.AvgPool2d(2, divisor_override=3), "convert: 0: it has ceil_mode"),
        (nn.AvgPool2d(3, padding=1, count_include_pad=False), "convert: 0: it has ceil_mode"),
        (nn.AdaptiveAvgPool2d((None, 1)), r"convert: 0: its output_size is \(None, 1\): an integer pool needs both"),
    ],
)
def test_settings_without_an_integer_form_are_named(module: nn.Module, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        converted(module)


def test_types_are_checked() -> None:
    with pytest.raises(ValueError, match="convert: also names GELU, which has no integer form: accepted are Batch"):
        fx.convert(nn.Linear(1, 1), NUMERICS, also=[nn.GELU])
    with pytest.raises(ValueError, match="convert: ReLU is in also and in wrap; choose one"):
        fx.convert(nn.Linear(1, 1), NUMERICS, also=[nn.ReLU], wrap=[nn.ReLU])


def test_a_pool_without_padding_need_not_count_it() -> None:
    assert converted(nn.AvgPool2d(2, count_include_pad=False)).kernel_size == (2, 2)
