"""Everything that a layer must be told about numbers, in one hashable record."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.rounding import Quantizer

STES: tuple[str, ...] = ("clipped", "pass")
CARRIERS: tuple[str, ...] = ("exact", "round")
CODES: tuple[str, ...] = ("round", "sign", "dorefa", "wage")

_QUANTIZERS = ("weight", "activation", "output", "bias", "grad_output", "grad_weight", "grad_input")
_REQUIRED = ("weight", "activation")
_ACCUMULATORS = ("accumulator", "accumulator_dgrad", "accumulator_wgrad")
_EXACT = Accumulator()


@dataclass(frozen=True, slots=True, init=False)
class Numerics:
    """The formats and modes of one layer, forward and backward. A Format or a text stands for a Quantizer.

    Args:
        weight, activation: how the weight and the layer's input are quantized.
        output: how the result is rounded; None: the accumulator is the result.
        bias: None: as the weight.
        accumulator, accumulator_dgrad, accumulator_wgrad: how products are summed forward, for the input's gradient,
            and for the gradients of weight and bias.
        grad_output: None: gradients are float32 on the quantized operands; else integer products of what this makes.
        grad_weight, grad_input: how the gradients are rounded; None: they are not.
        ste: the straight-through estimator: "clipped" gives no gradient to elements that were rounded outside the range
            of their format, "pass" gives every element its gradient.
        carrier: what happens where a float tensor is too narrow for a format: "exact" refuses, "round" rounds to
            nearest even and counts.
        code: how weights become raws, and what else a layer does beside its products. "round" quantizes them, and
            nothing else. "sign", "dorefa" and "wage" are the layers of BinaryNet, DoReFa and WAGE (docs/policies).

    Raises:
        TypeError, ValueError: a field is none of these.
    """

    weight: Quantizer
    activation: Quantizer
    output: Quantizer | None = None
    bias: Quantizer | None = None
    accumulator: Accumulator = _EXACT
    grad_output: Quantizer | None = None
    grad_weight: Quantizer | None = None
    grad_input: Quantizer | None = None
    accumulator_dgrad: Accumulator = _EXACT
    accumulator_wgrad: Accumulator = _EXACT
    ste: str = "clipped"
    carrier: str = "exact"
    code: str = "round"

    def __init__(
        self,
        weight: Quantizer | Format | str,
        activation: Quantizer | Format | str,
        output: Quantizer | Format | str | None = None,
        bias: Quantizer | Format | str | None = None,
        accumulator: Accumulator = _EXACT,
        grad_output: Quantizer | Format | str | None = None,
        grad_weight: Quantizer | Format | str | None = None,
        grad_input: Quantizer | Format | str | None = None,
        accumulator_dgrad: Accumulator = _EXACT,
        accumulator_wgrad: Accumulator = _EXACT,
        ste: str = "clipped",
        carrier: str = "exact",
        code: str = "round",
    ) -> None:
        values: dict[str, object] = {
            "weight": _quantizer("weight", weight),
            "activation": _quantizer("activation", activation),
            "output": _optional("output", output),
            "bias": _optional("bias", bias),
            "accumulator": _accumulator("accumulator", accumulator),
            "grad_output": _optional("grad_output", grad_output),
            "grad_weight": _optional("grad_weight", grad_weight),
            "grad_input": _optional("grad_input", grad_input),
            "accumulator_dgrad": _accumulator("accumulator_dgrad", accumulator_dgrad),
            "accumulator_wgrad": _accumulator("accumulator_wgrad", accumulator_wgrad),
            "ste": _name("ste", ste, STES),
            "carrier": _name("carrier", carrier, CARRIERS),
            "code": _name("code", code, CODES),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def bias_quantizer(self) -> Quantizer:
        """How a bias is quantized: `bias`, or as the weight."""
        return self.bias or self.weight

    def with_format(self, format: Format) -> Numerics:
        """The same modes with every quantizer in one format; accumulators stay as they are."""
        present = [name for name in _QUANTIZERS if getattr(self, name) is not None]
        return replace(self, **{name: getattr(self, name).with_format(format) for name in present})

    def to_text(self) -> str:
        """Canonical JSON of the fields that are not their defaults; `Numerics.from_text(n.to_text()) == n`."""
        written = {
            field.name: str(getattr(self, field.name))
            for field in fields(self)
            if field.name in _REQUIRED or getattr(self, field.name) != field.default
        }
        return json.dumps(written, separators=(",", ":"))

    @staticmethod
    def from_text(text: str) -> Numerics:
        """The record that `to_text` wrote.

        Raises:
            ValueError: the text is no such JSON object, or a field is refused.
        """
        return _from_text(text)


@lru_cache(maxsize=4096)
def _from_text(text: str) -> Numerics:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"Numerics: {text!r} is not JSON ({error}); give what to_text wrote") from None
    known = [field.name for field in fields(Numerics)]
    if not isinstance(given, dict) or not set(_REQUIRED) <= set(given) <= set(known):
        raise ValueError(
            f"Numerics: {text!r}: an object with {' and '.join(_REQUIRED)} is needed; its other fields may be "
            f"{', '.join(name for name in known if name not in _REQUIRED)}"
        )
    values: dict[str, Any] = {
        name: Accumulator.parse(value) if name in _ACCUMULATORS else value for name, value in given.items()
    }
    return Numerics(**values)


def _quantizer(name: str, given: Quantizer | Format | str) -> Quantizer:
    try:
        return Quantizer.of(given)
    except (TypeError, ValueError) as error:
        raise type(error)(f"Numerics: {name}: {error}") from error


def _optional(name: str, given: Quantizer | Format | str | None) -> Quantizer | None:
    return None if given is None else _quantizer(name, given)


def _accumulator(name: str, given: Accumulator) -> Accumulator:
    if not isinstance(given, Accumulator):
        raise TypeError(f"Numerics: {name}: an Accumulator is needed, not {type(given).__name__}")
    return given


def _name(name: str, given: str, accepted: tuple[str, ...]) -> str:
    if given not in accepted:
        raise ValueError(f"Numerics: {name} = {given!r}: accepted are {', '.join(accepted)}")
    return given
