"""Small arguments of every op, for the tests that any op of torch must pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from fxsim.accumulator import Accumulator
from fxsim.numerics import Numerics
from fxsim.ops import quantize_ops, ranged_ops
from fxsim.ops._masks import packed
from fxsim.ranges import Affine, Block, RangedNumerics
from fxsim.rng import Role

Arguments = tuple[Any, ...]

FLOAT_BACKWARD = Numerics("<6,3>", "u<5,3>", "<8,3>", grad_weight="<12,8>", grad_input="<12,8>,stochastic")
INTEGER_BACKWARD = Numerics(
    "<6,3>,stochastic",
    "<7,4>,stochastic",
    bias="<12,6>",
    accumulator=Accumulator(16, overflow="wrap"),
    grad_output="<8,5>,stochastic",
    grad_weight="<16,8>,stochastic",
    ste="pass",
)
RANGE_BACKWARD = Numerics(
    "<6,3>,stochastic",
    "<7,4>,stochastic",
    "<8,3>,stochastic",
    "<12,6>",
    grad_output="<8,5>,stochastic",
    grad_weight="<16,8>,stochastic",
    grad_input="<9,6>,stochastic",
)
_CALL = 3


def quantize() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.quantize."""
    yield _floats(3, 5), "<6,3>", 1, 2, 0, "c", "clipped", "exact", "layer"
    yield _floats(2, 3, 4, 5).double(), "<40,30>,stochastic,wrap", 1, -2, 7, "channels_last", "pass", "exact", ""


def quantize_layer() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.quantize_layer."""
    rest = (1, 2, int(Role.OUTPUT), torch.tensor(_CALL))
    yield _floats(3, 5), "<6,3>", *rest, True, 0, "c", "clipped", "exact", "layer"
    yield _floats(2, 3, 4, 5), "<30,3>,stochastic", *rest, False, 4, "channels_last", "pass", "round", ""


def quantize_raw() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.quantize_raw."""
    step = torch.tensor(_CALL)
    yield _floats(3, 5).detach(), "<6,3>", 1, 2, int(Role.WEIGHT), step, "c", True, "layer"
    yield _floats(4, 3, 2, 2).detach(), "<20,3>", 1, 2, int(Role.WEIGHT), step, "channels_last", False, ""


def carrier() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.carrier."""
    for arguments in quantize_raw():
        x, quantizer, mask = arguments[0], arguments[1], arguments[7]
        raw, clipped = quantize_ops.quantize_raw(*arguments)
        yield x.requires_grad_(), raw, clipped, quantizer, "clipped" if mask else "pass", "exact", "layer"


def weight_step() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.weight_step."""
    yield _floats(3, 5).detach(), None, torch.tensor(2), torch.tensor((1, 0)), True
    yield _floats(3, 5).detach(), _floats(3).detach(), torch.tensor(2), torch.tensor((2, 0)), False


def linear() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.linear."""
    for numerics, has_bias in ((FLOAT_BACKWARD, True), (INTEGER_BACKWARD, True), (INTEGER_BACKWARD, False)):
        weight, bias = _floats(4, 5), _floats(4) if has_bias else None
        words = _words(weight, bias, numerics, "c")
        yield (_floats(2, 3, 5), weight, bias, *words, numerics.to_text(), *_place(numerics))


def linear_backward() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.linear_backward."""
    for numerics in (FLOAT_BACKWARD, INTEGER_BACKWARD):
        x, _, _, weight, weight_clipped, bias_clipped = _saved(_floats(2, 3, 5), _floats(4, 5), numerics, "c")
        needs = [True, numerics is FLOAT_BACKWARD, True]
        saved = (*_with_mask(x, "c"), weight, weight_clipped, bias_clipped, needs)
        yield (_floats(2, 3, 4).detach(), *saved, numerics.to_text(), 1, 2, torch.tensor(_CALL), 0, "layer")


def conv2d() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.conv2d."""
    for numerics, groups in ((FLOAT_BACKWARD, 1), (INTEGER_BACKWARD, 2)):
        weight, bias = _floats(4, 2 // groups, 3, 2), _floats(4)
        words = _words(weight, bias, numerics, "channels_last")
        settings = ([2, 1], [1, 0], [1, 2], groups)
        yield (_floats(2, 2, 5, 6), weight, bias, *words, *settings, numerics.to_text(), *_place(numerics))


def conv2d_backward() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.conv2d_backward."""
    for numerics in (FLOAT_BACKWARD, INTEGER_BACKWARD):
        x, _, _, weight, weight_clipped, bias_clipped = _saved(
            _floats(2, 2, 5, 6), _floats(4, 2, 3, 2), numerics, "channels_last"
        )
        x = _with_mask(x, "channels_last")
        saved = (*x, weight, weight_clipped, bias_clipped, [True, True, numerics is FLOAT_BACKWARD])
        settings = ([2, 1], [1, 0], [1, 2], 1)
        place = (1, 2, torch.tensor(_CALL), 0, "layer")
        yield (_floats(2, 4, 3, 4).detach(), *saved, *settings, numerics.to_text(), *place)


def range_norm() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.range_norm."""
    for numerics, running in ((FLOAT_BACKWARD, False), (RANGE_BACKWARD, False), (RANGE_BACKWARD, True)):
        weight, bias = _floats(3), _floats(3)
        words = _words(weight, bias, numerics, "c")
        yield (_floats(2, 3, 4, 4), weight, bias, *words, *_statistics(running), numerics.to_text(), *_place(numerics))


def range_norm_backward() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.range_norm_backward."""
    for numerics, running in ((FLOAT_BACKWARD, True), (RANGE_BACKWARD, False), (FLOAT_BACKWARD, False)):
        x, _, _, *vectors = _saved(_floats(2, 3, 4, 4), _floats(3), numerics, "channels_last", "c")
        saved = (*x, *vectors, *_statistics(running), [True, numerics is RANGE_BACKWARD, True])
        yield (_floats(2, 3, 4, 4).detach(), *saved, numerics.to_text(), 1, 2, torch.tensor(_CALL), 0, "layer")


def add() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.add."""
    for numerics, shape in ((FLOAT_BACKWARD, (3, 5)), (RANGE_BACKWARD, (2, 3, 4, 4))):
        yield _floats(*shape), _floats(*shape).detach().flip(0).requires_grad_(), numerics.to_text(), *_place(numerics)


def clip() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.clip."""
    for numerics, bounds in ((FLOAT_BACKWARD, (0.0, None, False)), (RANGE_BACKWARD, (-1.25, 2.0, True))):
        yield _floats(2, 3, 4, 4), *bounds, numerics.to_text(), *_place(numerics)


def relay() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.relay."""
    for numerics, blocked in ((FLOAT_BACKWARD, torch.empty(0, dtype=torch.bool)), (RANGE_BACKWARD, _floats(3, 5) > 1)):
        yield _floats(3, 5).detach(), blocked, numerics.to_text(), 1, 2, torch.tensor(_CALL), 0, "add", "layer"


def fork() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.fork."""
    for numerics in (FLOAT_BACKWARD, RANGE_BACKWARD):
        yield _floats(2, 3, 4, 4), numerics.to_text(), 1, 2, torch.tensor(_CALL), 0, "layer"


def merge() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.merge."""
    for numerics, shape in ((FLOAT_BACKWARD, (3, 5)), (RANGE_BACKWARD, (2, 3, 4, 4))):
        gradients = _floats(*shape).detach(), _floats(*shape).detach().flip(0)
        yield (*gradients, numerics.to_text(), 1, 2, torch.tensor(_CALL), 0, "layer")


def avg_pool2d() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.avg_pool2d."""
    for numerics, window in ((FLOAT_BACKWARD, ([2, 2], [2, 2], [0, 0])), (RANGE_BACKWARD, ([3, 2], [1, 2], [1, 0]))):
        yield _floats(2, 3, 6, 4), *window, numerics.to_text(), *_place(numerics)


def avg_pool2d_backward() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.avg_pool2d_backward."""
    place, blocked = (1, 2, torch.tensor(_CALL), 0, "layer"), _floats(2, 3, 6, 4).detach() > 1
    window = ([3, 2], [1, 2], [1, 0])
    for numerics in (FLOAT_BACKWARD, RANGE_BACKWARD):
        yield _floats(2, 3, 6, 2).detach(), blocked, [2, 3, 6, 4], *window, numerics.to_text(), *place


def _statistics(running: bool) -> Arguments:
    return torch.tensor((5, -80, 9)), torch.tensor((300, 1024, 0)), running, "reference", 1e-5


def batch_norm_relu() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.batch_norm_relu."""
    row, running = _floats(3), (_floats(3).detach(), _floats(3).detach().square())
    yield _floats(2, 3, 4, 5), row, _floats(3), _floats(2, 3, 4, 5), *running, True, 0.1, 1e-5, True, "layer"
    yield _floats(2, 3, 4, 5), row, _floats(3), None, *running, False, 0.1, 1e-5, True, "layer"
    yield _floats(2, 3, 4, 5), None, None, _floats(2, 3, 4, 5), None, None, True, 0.0, 1e-3, False, ""


def batch_norm_relu_backward() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.batch_norm_relu_backward."""
    x, weight, bias = _floats(2, 3, 4, 5).detach(), _floats(3).detach(), _floats(3).detach()
    rest = (torch.stack((bias, weight.square())), weight, bias)
    yield x.neg(), x, x.flip(0), *rest, True, 1e-5, True, "layer"
    yield x.neg(), x, None, *rest, False, 1e-5, True, "layer"


BLOCKS = RangedNumerics(weight=Block(8), activation=Block(8), output=Block(8), grad_output=Block(6, 4))
CODES = RangedNumerics(
    weight=Affine(3, "channel"),
    activation=Affine(8, "sample_mean"),
    grad_output=Affine(8, random_bits=16),
    grad_copy=Affine(16, random_bits=8),
)
_RANGED_SETTINGS = ([2, 1], [1, 0], [1, 2])


def ranged_conv2d() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.ranged_conv2d."""
    running = torch.full((2,), math.nan, dtype=torch.float64)
    for numerics, groups in ((BLOCKS, 1), (CODES, 2)):
        tensors = (_floats(2, 2, 5, 6), _floats(4, 2 // groups, 3, 2), _floats(4), running)
        place = (1, 2, torch.tensor(_CALL), torch.tensor(_CALL), False, 0, "layer", "conv2d")
        yield (*tensors, *_RANGED_SETTINGS, groups, 2, numerics.to_text(), *place)


def ranged_conv2d_backward() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.ranged_conv2d_backward."""
    for arguments in ranged_conv2d():
        saved = ranged_ops.ranged_conv2d(*arguments)[1:5]
        *settings, call, _step, _evaluation, offset, layer, op = arguments[4:]
        grad = _floats(2, 4, 3, 4).detach()
        yield (grad, *saved, [True, True, arguments[7] == 1], *settings, call, offset, layer, op)


def range_round() -> Iterator[Arguments]:
    """Of torch.ops.fxsim.range_round."""
    for x, role in ((_floats(2, 3, 4, 5), Role.OUTPUT), (_floats(3, 5), Role.WEIGHT)):
        yield x, "block(8,16)", "block(6,4)", 1, 2, int(role), torch.tensor(_CALL), False, 0, "layer"


def _floats(*shape: int) -> Tensor:
    """Values of both signs, some of them outside every format above."""
    count = torch.Size(shape).numel()
    values = (torch.arange(count, dtype=torch.float32) * 7919 % 1021 - 510) / 97
    return values.view(shape).requires_grad_()


def _words(weight: Tensor, bias: Tensor | None, numerics: Numerics, order: str) -> tuple[Tensor | None, ...]:
    place, mask = (1, 2), numerics.ste == "clipped"
    step = torch.tensor(_CALL)
    words = quantize_ops.quantize_raw(
        weight.detach(), str(numerics.weight), *place, int(Role.WEIGHT), step, order, mask, "layer"
    )
    if bias is None:
        return *words, None, None
    quantizer = str(numerics.bias_quantizer)
    return *words, *quantize_ops.quantize_raw(
        bias.detach(), quantizer, *place, int(Role.BIAS), step, "c", mask, "layer"
    )


def _place(numerics: Numerics) -> Arguments:
    return 1, 2, torch.tensor(_CALL), False, 0, "layer", numerics.ste == "clipped"


def _with_mask(x_words: tuple[Tensor, Tensor], order: str) -> tuple[Tensor, Tensor]:
    raw, clipped = x_words
    return raw, packed(clipped, channels_last=order == "channels_last")


def _saved(
    x: Tensor, weight: Tensor, numerics: Numerics, order: str, weight_order: str | None = None
) -> tuple[Any, ...]:
    bias = _floats(weight.shape[0])
    weight_raw, weight_clipped, _, bias_clipped = _words(weight, bias, numerics, weight_order or order)
    mask = numerics.ste == "clipped"
    step = torch.tensor(_CALL)
    x_words = quantize_ops.quantize_raw(
        x.detach(), str(numerics.activation), 1, 2, int(Role.INPUT), step, order, mask, "layer"
    )
    return x_words, weight, bias, weight_raw, weight_clipped, bias_clipped
