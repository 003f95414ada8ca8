"""What a call needs to know about numbers, worked out once per distinct question and kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, final

import torch

from fxsim.accumulator import Accumulator, resolve
from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.ops import _bridge
from fxsim.rounding import Quantizer
from fxsim.tensor import carrier_dtype, carries

CARRIER_DTYPES: Final = (torch.float32, torch.float64)

ONE: Final = Format(1, 0, signed=False)
"""The format of the constant 1 that a bias gradient is multiplied with."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class WordPlan:
    """A quantizer settled: its format, the dtype that stores raws, the core's object, its text for records."""

    quantizer: Quantizer
    format: Format
    dtype: torch.dtype
    core: _bridge.CoreQuantizer
    text: str


@lru_cache(maxsize=4096)
def word_plan(quantizer: Quantizer) -> WordPlan:
    """The plan of a quantizer."""
    form = quantizer.format
    return WordPlan(quantizer, form, form.dtype, _bridge.quantizer(quantizer), str(quantizer))


@lru_cache(maxsize=4096)
def word_plan_of(text: str) -> WordPlan:
    """The plan of a quantizer's text."""
    return word_plan(Quantizer.parse(text))


class Asked(NamedTuple):
    """The arguments of `gemm_plan`."""

    name: str
    accumulator: Accumulator
    a: Format
    b: Format
    k: int
    bias: Format | None = None
    out: Quantizer | None = None
    product_format: Format | None = None


@final
@dataclass(frozen=True, slots=True, eq=False)
class GemmPlan:
    """A product settled: what was asked for, the core's accumulator and last rounding, the result, texts for records.

    output_rounds is false where the accumulator's integer is the result as it stands; `output` then only
    names the result's format. rounds_by_chance tells whether any site needs random bits.
    """

    asked: Asked
    accumulator: _bridge.CoreAccumulator
    output: _bridge.CoreQuantizer
    output_rounds: bool
    bias_fl: int
    result: Format
    dtype: torch.dtype
    rounds_by_chance: bool
    a_text: str
    b_text: str
    accumulator_text: str
    output_text: str


@lru_cache(maxsize=8192)
def gemm_plan(
    name: str,
    accumulator: Accumulator,
    a: Format,
    b: Format,
    k: int,
    bias: Format | None = None,
    out: Quantizer | None = None,
    product_format: Format | None = None,
) -> GemmPlan:
    """The plan of one product of formats `a` and `b` over `k` terms; `product_format` as in `resolve`.

    Raises:
        ValueError: as `resolve`; the text begins with `name`.
    """
    resolved = resolve(accumulator, a, b, k, bias=bias, out=out, product_format=product_format, op=name)
    sites = (resolved.product, resolved.inner, resolved.outer, resolved.output)
    return GemmPlan(
        asked=Asked(name, accumulator, a, b, k, bias, out, product_format),
        accumulator=_bridge.accumulator(resolved),
        output=_bridge.quantizer(resolved.output or Quantizer(resolved.result)),
        output_rounds=resolved.output is not None,
        bias_fl=0 if bias is None else bias.fl,
        result=resolved.result,
        dtype=resolved.result.dtype,
        rounds_by_chance=any(site is not None and site.is_stochastic for site in sites),
        a_text=str(a),
        b_text=str(b),
        accumulator_text=str(accumulator),
        output_text=str(resolved.output or resolved.result),
    )


def check_carrier(name: str, what: str, form: Format, dtype: torch.dtype, carrier: str) -> None:
    """Refuse a format that a float tensor of that dtype cannot carry, unless `carrier` is "round".

    Raises:
        TypeError: the dtype is too narrow for the format.
    """
    if carrier == "round" or carries(dtype, form):
        return
    narrowest = carrier_dtype(form)
    remedy = 'no float type does; choose a narrower format, or carrier="round"'
    if narrowest is not None:
        remedy = f'{short(narrowest)} does; convert the model and its input, or choose carrier="round"'
    raise TypeError(f"{name}: {short(dtype)} does not carry the {what} format {form} exactly: {remedy}")


def check_float(name: str, what: str, dtype: torch.dtype) -> None:
    """Refuse dtypes that are no carriers.

    Raises:
        TypeError: the dtype is neither float32 nor float64.
    """
    if dtype not in CARRIER_DTYPES:
        raise TypeError(f"{name}: {what} is {short(dtype)}: accepted are float32 and float64; convert it")


def short(dtype: torch.dtype) -> str:
    """A dtype's name without torch's prefix."""
    return str(dtype).removeprefix("torch.")


@final
@dataclass(frozen=True, slots=True, eq=False)
class LayerPlan:
    """The Numerics of a layer under its name; its products are planned as their lengths come up.

    grad_output is None where gradients are float. grad_input and grad_weight round either kind.
    """

    name: str
    numerics: Numerics
    activation: WordPlan
    weight: Format
    grad_output: WordPlan | None
    grad_input: WordPlan | None
    grad_weight: WordPlan | None
    clips: bool


@lru_cache(maxsize=4096)
def layer_plan(layer: str, op: str, numerics: str) -> LayerPlan:
    """The plan of a layer of that name and Numerics text."""
    parsed = Numerics.from_text(numerics)
    return LayerPlan(
        name=f"{layer}: {op}" if layer else op,
        numerics=parsed,
        activation=word_plan(parsed.activation),
        weight=parsed.weight.format,
        grad_output=_optional(parsed.grad_output),
        grad_input=_optional(parsed.grad_input),
        grad_weight=_optional(parsed.grad_weight),
        clips=parsed.ste == "clipped",
    )


def _optional(quantizer: Quantizer | None) -> WordPlan | None:
    return None if quantizer is None else word_plan(quantizer)


@lru_cache(maxsize=8192)
def forward_plan(layer: LayerPlan, k: int, has_bias: bool, dtype: torch.dtype) -> GemmPlan:
    """A layer's forward product."""
    numerics = layer.numerics
    bias = numerics.bias_quantizer.format if has_bias else None
    if numerics.output is not None:
        check_carrier(layer.name, "output", numerics.output.format, dtype, numerics.carrier)
    formats = numerics.activation.format, numerics.weight.format
    return gemm_plan(layer.name, numerics.accumulator, *formats, k, bias, numerics.output)


@lru_cache(maxsize=8192)
def dgrad_plan(layer: LayerPlan, grad: Format, k: int, dtype: torch.dtype) -> GemmPlan:
    """A layer's input gradient; `grad` is the format of the output's gradient."""
    numerics = layer.numerics
    if numerics.grad_input is not None:
        check_carrier(layer.name, "grad_input", numerics.grad_input.format, dtype, numerics.carrier)
    return gemm_plan(layer.name, numerics.accumulator_dgrad, grad, numerics.weight.format, k, None, numerics.grad_input)


@lru_cache(maxsize=8192)
def wgrad_plan(layer: LayerPlan, grad: Format, k: int, dtype: torch.dtype) -> GemmPlan:
    """A layer's weight gradient."""
    numerics = layer.numerics
    if numerics.grad_weight is not None:
        check_carrier(layer.name, "grad_weight", numerics.grad_weight.format, dtype, numerics.carrier)
    return gemm_plan(
        layer.name, numerics.accumulator_wgrad, grad, numerics.activation.format, k, None, numerics.grad_weight
    )


@lru_cache(maxsize=8192)
def bias_grad_plan(layer: LayerPlan, grad: Format, k: int, dtype: torch.dtype) -> GemmPlan:
    """A layer's bias gradient, which is accumulated and rounded as the weight's."""
    numerics = layer.numerics
    if numerics.grad_weight is not None:
        check_carrier(layer.name, "grad_weight", numerics.grad_weight.format, dtype, numerics.carrier)
    return gemm_plan(layer.name, numerics.accumulator_wgrad, ONE, grad, k, None, numerics.grad_weight, grad)
