"""Grids that follow a tensor: every code, and every product of codes, equals the reference."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

import fxsim as fx
from fxsim import reference
from fxsim.ops import RangeWords, range_quantize
from fxsim.ranges import Affine, Block, RangedNumerics, RangeQuantizer
from fxsim.rng import Key, Role, random_bits, stream

AFFINE = RangedNumerics(
    weight=Affine(4, "channel"),
    activation=Affine(8, "sample_mean"),
    grad_output=Affine(8, random_bits=16),
    grad_copy=Affine(16, random_bits=8),
)
BLOCKS = RangedNumerics(weight=Block(8), activation=Block(8), output=Block(8), grad_output=Block(6))
SEED = 5


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def awkward() -> Tensor:
    """Values on codes, halfway between codes, next to both, and far below the range's own precision."""
    grid = np.linspace(-1.0, 2.0, 31, dtype=np.float32)
    near = [np.nextafter(grid, np.float32(side)) for side in (-9, 9)]
    return torch.from_numpy(np.concatenate([grid, *near, np.float32([1e-20, -1e-30, 0.0])]).astype(np.float32))


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
@pytest.mark.parametrize("r", [0, 3, 16])
def test_affine_codes_are_those_of_exact_quotients(bits: int, r: int) -> None:
    key = Key(SEED, 9)
    for x in (awkward(), awkward().double(), numbers(50), numbers(50) * 1e-30):
        found = range_quantize(x, Affine(bits, random_bits=r), key=key, index_offset=7)
        low, high = float(x.min()), float(x.max())
        draws = [random_bits(key, 7 + i, r) for i in range(x.numel())] if r else []
        expected = reference.range_codes(x.numpy(), low, high, bits, random_bits=r, draws=draws)
        assert found.words.raw.tolist() == expected.tolist()
        assert (float(found.scale), float(found.zero)) == ((high - low) / (2**bits - 1), low)


def test_stochastic_codes_are_unbiased() -> None:
    x = torch.cat((torch.full((20000,), 0.3), torch.tensor([0.0, 1.0])))
    found = range_quantize(x, Affine(2, random_bits=16), key=Key(1))
    assert float(found.words.raw[:-2].double().mean()) == pytest.approx(0.9, abs=0.01)


def test_a_constant_tensor_is_given_back() -> None:
    found = range_quantize(torch.full((3, 2), 0.7), Affine(8))
    assert found.words.raw.tolist() == [[0, 0]] * 3
    assert found.values().float().tolist() == torch.full((3, 2), 0.7).tolist()


def test_the_range_is_of_the_tensor_of_each_channel_or_the_mean_over_samples() -> None:
    x = torch.tensor([[0.0, 4.0], [-2.0, 1.0]])
    assert range_quantize(x, Affine(2)).values()[0].tolist() == [0.0, 4.0]
    channels = range_quantize(x, Affine(2, "channel"))
    assert (channels.zero.tolist(), channels.scale.tolist()) == ([0.0, -2.0], [4 / 3, 1.0])
    samples = range_quantize(x, Affine(2, "sample_mean"))
    assert (samples.zero.tolist(), samples.scale.tolist()) == ([-1.0], [3.5 / 3])
    assert samples.words.raw.tolist() == [[1, 3], [0, 2]]  # what lies outside is clamped


def test_muppet_section_3_examples_at_8_bits() -> None:
    nearest = Block(8, random_bits=0)
    assert range_quantize(torch.tensor([0.3, -1.0]), nearest).values().tolist() == [0.296875, -1.0]
    assert range_quantize(torch.tensor([1.0, 0.2]), nearest).values().tolist() == [1.0, 0.203125]
    assert range_quantize(torch.tensor([127.5 / 128]), nearest).words.raw.tolist() == [127]


def test_muppet_section_3_each_sample_under_a_power_of_two_of_its_own() -> None:
    """The four examples at 8 bits, as samples of one batch."""
    x = torch.tensor([[0.5, -0.25], [0.3, -1.0], [3.0, -2.0], [1.0, 0.2]])
    alone = [range_quantize(each, Block(8, random_bits=0)).values().tolist() for each in x]
    together = range_quantize(x, Block(8, random_bits=0, over="sample"))
    assert together.values().tolist() == alone
    assert together.words.format == fx.Format(25, 7)
    assert together.words.raw.tolist() == [[64, -32], [38, -128], [384, -256], [128, 26]]


def test_samples_far_apart_keep_the_room_that_exact_sums_leave() -> None:
    x = torch.tensor([[1.0, 0.4], [2.0**-20, 3 * 2.0**-26]])
    for bits, room in ((8, 17), (16, 1)):
        found = range_quantize(x, Block(bits, random_bits=0, over="sample"))
        coarse = fx.ranges.block_exponent(0.4, 1.0, bits)
        assert found.words.format == fx.Format(33 - bits, coarse + room)
        assert found.values()[0].tolist() == range_quantize(x[0], Block(bits, random_bits=0)).values().tolist()
        step = 2.0 ** -(coarse + room)
        assert found.values()[1].tolist() == [round(float(each) / step) * step for each in x[1]]


def test_random_bits_of_samples_are_those_of_their_elements() -> None:
    x = torch.stack((numbers(3, 4, 4), 0.9 * numbers(3, 4, 4, seed=1)))
    together = range_quantize(x, Block(8, over="sample"), key=Key(1), index_offset=7, index_order="channels_last")
    for number, image in enumerate(x):
        alone = range_quantize(
            image[None], Block(8), key=Key(1), index_offset=7 + 48 * number, index_order="channels_last"
        )
        assert torch.equal(together.values()[number], alone.values()[0])


def test_a_layer_under_scales_of_samples_multiplies_their_values_exactly() -> None:
    numerics = replace(BLOCKS, activation=Block(8, over="sample"), output=None, weight=Block(8, 0))
    layer = fx.nn.RangedConv2d(3, 4, 3, padding=1, bias=False, numerics=numerics, layer_id=3, seed=SEED)
    x = torch.stack([numbers(3, 5, 5, seed=number) * 3.0**-number for number in range(4)])
    y = layer(x)
    values = words(x, numerics.activation, Role.INPUT).values()
    assert len({float(each.abs().max()) for each in values}) == 4
    weight = layer.range_words().values()
    exact = torch.nn.functional.conv2d(values, weight, padding=1)
    assert torch.equal(y, exact.float())
    grad = numbers(4, 4, 5, 5, seed=9)
    y.backward(grad)
    g = words(grad, numerics.grad_output, Role.GRAD_OUTPUT).values()
    of_weight = torch.nn.grad.conv2d_weight(values, weight.shape, g, padding=1)
    assert torch.equal(layer.weight.grad, of_weight.float())
    assert layer.running_range.tolist() == [float(x.min()), float(x.max())]


def test_a_tensor_without_a_range_is_refused() -> None:
    with pytest.raises(ValueError, match="range_quantize: the tensor is empty and has no range"):
        range_quantize(torch.empty(0, 3), Affine(8))
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match=r"range_quantize: the range is .*: an element is NaN or infinite"):
            range_quantize(torch.tensor([bad, 1.0]), Block(8, random_bits=0))
    with pytest.raises(ValueError, match=r"rounding is stochastic and key is None; give key=fx.Key\(seed, stream\)"):
        range_quantize(torch.ones(2), Block(8))


def words(x: Tensor, quantizer: RangeQuantizer, role: Role) -> RangeWords:
    assert isinstance(quantizer, Affine | Block)
    order = "channels_last" if x.dim() == 4 else "c"
    return range_quantize(x.detach(), quantizer, key=Key(SEED, stream(3, role, 0)), index_order=order)


def grids(found: RangeWords) -> list[tuple[float, float]]:
    return list(zip(found.scale.tolist(), found.zero.tolist(), strict=True))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("numerics", [AFFINE, BLOCKS], ids=["affine", "blocks"])
def test_a_convolution_and_its_gradients_equal_the_reference(numerics: RangedNumerics, groups: int) -> None:
    torch.manual_seed(1)
    layer = fx.nn.RangedConv2d(
        4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=groups, numerics=numerics, layer_id=3,
        seed=SEED,
    )  # fmt: skip
    x = numbers(2, 4, 5, 6).requires_grad_()
    y = layer(x)
    sizes = ((2, 1), (1, 0), (1, 2), groups)
    affine = numerics is AFFINE
    qx, qw = words(x, numerics.activation, Role.INPUT), words(layer.weight, numerics.weight, Role.WEIGHT)
    assert layer.bias is not None
    bias = words(layer.bias, numerics.bias_quantizer, Role.BIAS).values()
    expected = reference.ranged_conv2d(
        qx.words.raw.numpy(), grids(qx)[0], qw.words.raw.numpy(), grids(qw), sizes, affine=affine
    )
    total = torch.from_numpy(expected) + bias[:, None, None]
    if numerics.output is not None:
        total = words(total, numerics.output, Role.OUTPUT).values()
    assert torch.equal(y, total.float())

    grad = numbers(*y.shape, seed=2)
    y.backward(grad)
    first = words(grad, numerics.grad_output, Role.GRAD_OUTPUT)
    copy = first if numerics.grad_copy is None else words(grad, numerics.grad_copy, Role.GRAD_WEIGHT)
    back = qw
    if isinstance(numerics.weight, Affine):
        back = words(layer.weight, replace(numerics.weight, over="tensor"), Role.WEIGHT)
    dgrad = torch.from_numpy(
        reference.ranged_conv2d_dgrad(
            first.words.raw.numpy(), grids(first)[0], back.words.raw.numpy(), grids(back)[0], tuple(x.shape), sizes,
            affine=affine,
        )
    )  # fmt: skip
    if numerics.output is not None:
        dgrad = words(dgrad, numerics.output, Role.GRAD_INPUT).values()
    wgrad = reference.ranged_conv2d_wgrad(
        copy.words.raw.numpy(), grids(copy)[0], qx.words.raw.numpy(), grids(qx)[0], tuple(layer.weight.shape), sizes,
        affine=affine,
    )  # fmt: skip
    assert x.grad is not None
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    assert torch.equal(x.grad, dgrad.float())
    assert torch.equal(layer.weight.grad, torch.from_numpy(wgrad).float())
    places = y.shape[0] * y.shape[2] * y.shape[3]
    sums = copy.words.raw.long().sum((0, 2, 3)).double() * copy.scale + places * copy.zero
    assert torch.equal(layer.bias.grad, sums.float())


@pytest.mark.parametrize("numerics", [AFFINE, BLOCKS], ids=["affine", "blocks"])
def test_a_linear_layer_is_a_convolution_of_single_pixels(numerics: RangedNumerics) -> None:
    linear = fx.nn.RangedLinear(5, 3, numerics=numerics, layer_id=3, seed=SEED)
    x = numbers(2, 4, 5)
    conv = fx.nn.RangedConv2d(5, 3, 1, numerics=numerics, layer_id=3, seed=SEED)
    with torch.no_grad():
        conv.weight.copy_(linear.weight[:, :, None, None])
        assert conv.bias is not None
        conv.bias.copy_(linear.bias)  # type: ignore[arg-type]
    assert torch.equal(linear(x), conv(x.permute(0, 2, 1)[..., None])[..., 0].permute(0, 2, 1))


def test_counts_tell_the_bits_of_the_codes() -> None:
    layer = fx.nn.RangedLinear(5, 3, numerics=AFFINE)
    with fx.count() as counts:
        layer(numbers(2, 5).requires_grad_()).sum().backward()
    formats = {str(each.pass_): (each.a, each.b) for each in counts.records if each.macs}
    assert formats == {
        "fwd": ("u<8,0>", "u<4,0>"),
        "dgrad": ("u<8,0>", "u<4,0>"),
        "wgrad": ("u<16,0>", "u<8,0>"),
    }
    assert sum(each.macs for each in counts.records) == 3 * 2 * 5 * 3
