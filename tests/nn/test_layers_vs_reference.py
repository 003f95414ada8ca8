"""A layer is the reference applied to quantized floats: forward, both gradients, bias gradient, streams and all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

import fxsim as fx
from fxsim import reference
from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.ops import records
from fxsim.ops.records import OpRecord, Pass
from fxsim.rng import Key, Role, stream
from fxsim.rounding import Quantizer

SEED, LAYER, CALL, STEP, FIRST = 2**63 + 5, 3, 4, 6, 2

PLAIN = Numerics("<6,3>", "<6,3>", "<9,4>", grad_output="<7,5>", grad_weight="<12,6>", grad_input="<9,5>")
CHANCE = Numerics(
    "<6,3>,stochastic",
    "u<5,2>,stochastic(8,half)",
    "<9,3>,stochastic(20,nearest_even)",
    "<7,2>,stochastic",
    accumulator=Accumulator("<11,4>", "stochastic", "wrap"),
    grad_output="<7,5>,stochastic",
    grad_weight="<12,5>,stochastic",
    grad_input="<9,4>,stochastic",
    accumulator_dgrad=Accumulator("<12,6>", "stochastic"),
    accumulator_wgrad=Accumulator("<12,6>", "stochastic"),
    ste="pass",
)


def with_accumulator(accumulator: Accumulator, **changes: Any) -> Numerics:
    forward = replace(accumulator, bias="preload") if accumulator.format else accumulator
    every = {"accumulator": forward, "accumulator_dgrad": accumulator, "accumulator_wgrad": accumulator}
    return replace(PLAIN, **every, **changes)


NUMERICS = {
    "exact": PLAIN,
    "exact, no outputs": replace(PLAIN, output=None, grad_weight=None, grad_input=None),
    "saturate each step": with_accumulator(Accumulator(9)),
    "wrap": with_accumulator(Accumulator(8, overflow="wrap"), output=None, grad_weight=None, grad_input=None),
    "at the end": with_accumulator(Accumulator("<9,4>", "floor", "saturate_symmetric", at="end")),
    "product register, lanes": with_accumulator(Accumulator("<10,4>", "zero", product="<7,4>", lanes=3)),
    "chunks": with_accumulator(Accumulator("<9,4>", chunk=4, outer=Accumulator("<10,3>", "nearest_away", lanes=2))),
    "channel major": replace(PLAIN, accumulator=Accumulator(8, overflow="saturate_zero", k_order="cin_kh_kw")),
    "chance": CHANCE,
}


@dataclass(frozen=True)
class Case:
    """A layer, the shape of its input, and the reference's arguments for its geometry."""

    module: type[fx.nn.Linear | fx.nn.Conv2d]
    arguments: tuple[Any, ...]
    settings: dict[str, Any]
    x_shape: tuple[int, ...]

    @property
    def order(self) -> str:
        return "c" if self.module is fx.nn.Linear else "channels_last"


CASES = {
    "linear": Case(fx.nn.Linear, (5, 3), {}, (4, 5)),
    "linear, leading dimensions": Case(fx.nn.Linear, (5, 3), {}, (2, 3, 5)),
    "conv2d": Case(
        fx.nn.Conv2d, (2, 3, (3, 2)), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}, (2, 2, 5, 5)
    ),
    "conv2d, groups": Case(fx.nn.Conv2d, (4, 6, 2), {"padding": (1, 1), "groups": 2}, (1, 4, 3, 3)),
}


def floats(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))) * 2


def key(role: Role, call: int, *, evaluation: bool = False) -> Key:
    return Key(SEED, stream(LAYER, role, call, evaluation=evaluation))


def words(x: Tensor, q: Quantizer, k: Key, offset: int = 0, order: str = "c") -> npt.NDArray[Any]:
    return reference.quantize(x.detach().numpy(), q, k, offset, order)[0]


def clipped(x: Tensor, q: Quantizer, k: Key, offset: int, order: str, ste: str) -> npt.NDArray[Any]:
    """Where the rounded value leaves the range: it differs from what a format of the same step, but wide, gives."""
    if ste == "pass":
        return np.zeros(tuple(x.shape), bool)
    raw = words(x, Quantizer(Format(60, q.format.fl), q.rounding), k, offset, order)
    return (raw < q.format.raw_min) | (raw > q.format.raw_max)


def carried(raw: npt.NDArray[Any], form: Format) -> list[Any]:
    return (raw.astype(np.float64) * 2.0**-form.fl).tolist()


def built(case: Case, numerics: Numerics) -> fx.nn.Linear | fx.nn.Conv2d:
    module = case.module(*case.arguments, **case.settings, numerics=numerics, layer_id=LAYER, seed=SEED)
    with torch.no_grad():
        module.weight.copy_(floats(*module.weight.shape))
        module.bias.copy_(floats(*module.bias.shape))
    module.calls.fill_(CALL)
    module.step = STEP
    return module


class Expected:
    """What the reference says of one forward and backward."""

    def __init__(self, case: Case, numerics: Numerics, module: Any, x: Tensor, *, evaluation: bool = False) -> None:
        self.case, self.n, self.module = case, numerics, module
        self.x_offset = FIRST * x[0].numel()
        keys = (key(Role.INPUT, CALL, evaluation=evaluation), key(Role.WEIGHT, STEP), key(Role.BIAS, STEP))
        self.x = words(x, numerics.activation, keys[0], self.x_offset, case.order)
        self.w = words(module.weight, numerics.weight, keys[1], 0, case.order)
        self.b = words(module.bias, numerics.bias_quantizer, keys[2])
        ste = numerics.ste
        self.x_clipped = clipped(x, numerics.activation, keys[0], self.x_offset, case.order, ste)
        self.w_clipped = clipped(module.weight, numerics.weight, keys[1], 0, case.order, ste)
        self.b_clipped = clipped(module.bias, numerics.bias_quantizer, keys[2], 0, "c", ste)
        self.evaluation = evaluation

    def forward(self, y: Tensor) -> tuple[npt.NDArray[Any], Format, reference.Counts]:
        op = reference.linear if self.case.module is fx.nn.Linear else reference.conv2d
        return op(
            self.x,
            self.n.activation.format,
            self.w,
            self.n.weight.format,
            bias=self.b,
            bias_format=self.n.bias_quantizer.format,
            **self.case.settings,
            accumulator=self.n.accumulator,
            out=self.n.output,
            key=key(Role.OUTPUT, CALL, evaluation=self.evaluation),
            index_offset=FIRST * y[0].numel(),
        )

    def gradients(self, grad: Tensor) -> tuple[Any, Any, Any]:
        assert self.n.grad_output is not None
        gf, order = self.n.grad_output.format, self.case.order
        g = words(grad, self.n.grad_output, key(Role.GRAD_OUTPUT, CALL), FIRST * grad[0].numel(), order)
        wgrad = {"accumulator": self.n.accumulator_wgrad, "out": self.n.grad_weight}
        rest = {
            "accumulator": self.n.accumulator_dgrad,
            "out": self.n.grad_input,
            "key": key(Role.GRAD_INPUT, CALL),
            "index_offset": self.x_offset,
        }
        bias = reference.bias_grad(
            g if g.ndim == 4 else g.reshape(-1, g.shape[-1]), gf, key=key(Role.GRAD_BIAS, CALL), **wgrad
        )
        wgrad["key"] = key(Role.GRAD_WEIGHT, CALL)
        if self.case.module is fx.nn.Linear:
            dgrad = reference.linear_dgrad(g, gf, self.w, self.n.weight.format, **rest)
            return dgrad, reference.linear_wgrad(g, gf, self.x, self.n.activation.format, **wgrad), bias
        geometry = self.case.settings
        dgrad = reference.conv2d_dgrad(
            g, gf, self.w, self.n.weight.format, input_size=self.x.shape[2:], **geometry, **rest
        )
        kernel = self.w.shape[2:]
        return (
            dgrad,
            reference.conv2d_wgrad(g, gf, self.x, self.n.activation.format, kernel_size=kernel, **geometry, **wgrad),
            bias,
        )


@pytest.mark.parametrize("numerics", NUMERICS.values(), ids=NUMERICS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_forward_and_integer_gradients(case: Case, numerics: Numerics) -> None:
    module, x = built(case, numerics), floats(*case.x_shape).requires_grad_()
    expected = Expected(case, numerics, module, x)
    with fx.shard(FIRST):
        y = module(x)
    raw, form, _ = expected.forward(y)
    assert y.tolist() == carried(raw, form)

    grad = floats(*y.shape) / 4
    y.backward(grad)
    got = (x.grad, module.weight.grad, module.bias.grad)
    masks = (expected.x_clipped, expected.w_clipped, expected.b_clipped)
    for gradient, (raw, form, _), mask in zip(got, expected.gradients(grad), masks, strict=True):
        assert gradient is not None
        assert gradient.tolist() == carried(np.where(mask, 0, raw), form)
    assert numerics.ste == "pass" or any(mask.any() for mask in masks)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_evaluation_draws_other_bits_for_input_and_output_alone(case: Case) -> None:
    module, x = built(case, CHANCE).eval(), floats(*case.x_shape)
    with fx.shard(FIRST):
        y, again = module(x), module(x)
    raw, form, _ = Expected(case, CHANCE, module, x, evaluation=True).forward(y)
    assert y.tolist() == carried(raw, form) == again.tolist()
    assert raw.tolist() != Expected(case, CHANCE, module, x).forward(y)[0].tolist()
    assert int(module.calls) == CALL


@pytest.mark.parametrize("numerics", [PLAIN, CHANCE, NUMERICS["chunks"]], ids=["exact", "chance", "chunks"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_records_count_what_the_reference_counts(case: Case, numerics: Numerics) -> None:
    module, x = built(case, numerics), floats(*case.x_shape).requires_grad_()
    module.name = "body.layer"
    expected, heard = Expected(case, numerics, module, x), []
    with records.listen(heard.append), fx.shard(FIRST):
        y = module(x)
        grad = floats(*y.shape) / 4
        y.backward(grad)
    forward, dgrad, wgrad, bias = (
        expected.forward(y)[2],
        *(counts for _, _, counts in expected.gradients(grad)),
    )
    assert [(record.pass_, record.op) for record in heard if record.pass_ is not Pass.QUANTIZE] == [
        (Pass.FWD, case_op := "linear" if case.module is fx.nn.Linear else "conv2d"),
        (Pass.DGRAD, case_op),
        (Pass.WGRAD, case_op),
        (Pass.WGRAD, "bias_grad"),
    ]
    products = [record for record in heard if record.pass_ is not Pass.QUANTIZE]
    for record, counts in zip(products, (forward, dgrad, wgrad, bias), strict=True):
        assert seen(record) == {name: getattr(counts, name) for name in seen(record)}
        assert record.layer == "body.layer"
        assert record.macs == record.m * record.n * record.k * record.groups
    quantized = [record.output for record in heard if record.pass_ is Pass.QUANTIZE]
    assert quantized == [
        str(q) for q in (numerics.weight, numerics.bias_quantizer, numerics.activation, numerics.grad_output)
    ]


def seen(record: OpRecord) -> dict[str, int]:
    """The counts that record and reference share; a bias gradient has no operand b."""
    left_out = {"inexact_carriers", "elements_read", "elements_written"}
    if record.op == "bias_grad":
        left_out |= {"nnz_a", "nnz_b"}
    return {name: getattr(record, name) for name in records.COUNTS if name not in left_out}
