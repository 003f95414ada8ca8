"""SBM: the formats of Banner et al. 2018, and range normalisation in the place of batch normalisation."""

from __future__ import annotations

import torch
from torch import nn

import fxsim as fx
from fxsim.policies import SBM, SBMConfig
from fxsim.ranges import Affine
from fxsim.train.convert_for import convert_for


def test_section_5_bits_of_weights_activations_and_both_gradient_copies() -> None:
    numerics = SBM().start_numerics()
    assert (numerics.weight, numerics.bias_quantizer) == (Affine(8), Affine(8))
    assert numerics.activation == Affine(8, "sample_mean")
    assert numerics.grad_output == Affine(8, random_bits=16)
    assert numerics.grad_copy == Affine(16, random_bits=16)
    assert SBM(SBMConfig(wgrad_bits=8)).start_numerics().grad_copy == Affine(8, random_bits=16)


def test_section_3_batch_normalisation_becomes_range_normalisation() -> None:
    plain = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, eps=1e-4), nn.Flatten(), nn.Linear(64, 10))
    model = convert_for(SBM(), plain, seed=3)
    kinds = [type(layer) for _, layer in fx.nn.layers(model)]
    assert kinds == [fx.nn.RangedConv2d, fx.nn.RangeBatchNorm2d, fx.nn.RangedLinear]
    assert [layer.layer_id for _, layer in fx.nn.layers(model)] == [0, 1, 2]
    assert isinstance(plain[1], nn.BatchNorm2d)
    y = model(torch.randn(64, 1, 6, 6))
    y.sum().backward()
    assert model[1].weight.grad is not None  # type: ignore[index,union-attr]
