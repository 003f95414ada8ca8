"""A Range BN layer's Numerics settled, and its quotients brought into tensors."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.normalization import check_constant, check_eps
from fxsim.numerics import Numerics
from fxsim.ops import _quotients
from fxsim.ops._carried import Quotients
from fxsim.ops._emit import emit, emit_blocks
from fxsim.ops._plan import LayerPlan, WordPlan, layer_plan, word_plan
from fxsim.ops._publish import Site
from fxsim.ops._quotients import Integers, quotient_fl
from fxsim.ops._range_norm import Rules
from fxsim.rounding import Quantizer

_OPERAND_BITS: Final = 32


class Plan(NamedTuple):
    """A layer's plan and rules, and how its output and gradients are rounded; None where gradients are floats."""

    layer: LayerPlan
    rules: Rules
    output: WordPlan
    grad_input: WordPlan | None
    grad_weight: WordPlan | None


@lru_cache(maxsize=4096)
def range_plan(layer: str, numerics: str, constant: str, eps: float) -> Plan:
    """The checked plan of a layer of that name.

    Raises:
        ValueError: as `check_numerics`; or there is no such constant.
    """
    plan = layer_plan(layer, "range_norm", numerics)
    parsed = plan.numerics
    output = check_numerics(plan.name, parsed)
    check_constant(plan.name, constant)
    rules = Rules(
        plan.activation.format, plan.weight, parsed.bias_quantizer.format, constant, check_eps(plan.name, eps)
    )
    if parsed.grad_output is None:
        return Plan(plan, rules, word_plan(output), None, None)
    return Plan(plan, rules, word_plan(output), plan.grad_input, plan.grad_weight)


def check_numerics(name: str, numerics: Numerics) -> Quantizer:
    """The output's quantizer of a Numerics that says how every quotient is rounded.

    Raises:
        ValueError: it leaves one unrounded, or rounds it into what cannot hold it; or an operand is too wide.
    """
    output = _rounded(name, "output", numerics.output)
    if numerics.grad_output is not None:
        _rounded(name, "grad_input", numerics.grad_input)
        _rounded(name, "grad_weight", numerics.grad_weight)
        check_operand(name, "grad_output", numerics.grad_output.format)
    check_operand(name, "activation", numerics.activation.format)
    check_operand(name, "weight", numerics.weight.format)
    return output


def check_operand(name: str, what: str, form: Format) -> None:
    """Refuse formats that are too wide to be multiplied.

    Raises:
        ValueError: the format has more than 32 bits.
    """
    if form.wl > _OPERAND_BITS:
        raise ValueError(f"{name}: {what} is {form}: accepted are 1 to {_OPERAND_BITS} bits; choose a narrower format")


def _rounded(name: str, what: str, quantizer: Quantizer | None) -> Quantizer:
    if quantizer is None:
        raise ValueError(f"{name}: {what} is None: a quotient has no exact format; name the one it is rounded to")
    _quotients.check_quantizer(name, what, quantizer)
    return quantizer


def rows_of(raw: Tensor) -> Integers:
    """Raws (N, C, H, W) as rows (N * H * W, C)."""
    rows: Integers = raw.permute(0, 2, 3, 1).reshape(-1, raw.shape[1]).numpy()
    return rows


def int64(raw: Tensor) -> npt.NDArray[np.int64]:
    """Raws of a vector as int64."""
    words: npt.NDArray[np.int64] = raw.to(torch.int64).numpy()
    return words


def emit_quotients(
    quotients: npt.NDArray[np.int64] | Quotients,
    shape: torch.Size,
    plan: WordPlan,
    site: Site,
    dtype: torch.dtype,
    a: Format,
    b: Format | None,
    read: int,
) -> Tensor:
    """Quotients rounded, in the shape of an image batch (N, C, H, W) or a vector (C,); the rest as in `emit`."""
    image = len(shape) == 4
    places = (shape[0], *shape[2:], shape[1]) if image else tuple(shape)
    if isinstance(quotients, Quotients):
        return emit_blocks(quotients.blocks(), places, plan, site, dtype, a, b, read, channels_last=image)
    words = torch.from_numpy(quotients).view(places)
    return emit(words, quotient_fl(plan), plan, site, dtype, a, b, read, channels_last=image)
