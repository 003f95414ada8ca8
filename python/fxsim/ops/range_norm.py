"""`fx.range_norm` and the gradients of its input and weight, on words."""

from __future__ import annotations

from typing import NamedTuple

import torch

from fxsim.formats import Format
from fxsim.normalization import CONSTANTS, GUARD_BITS, check_constant, check_eps
from fxsim.ops import _arguments, _range_norm
from fxsim.ops._plan import WordPlan, word_plan
from fxsim.ops._quotients import check_quantizer
from fxsim.ops._range_norm import Statistics
from fxsim.ops._range_norm_plan import check_operand, emit_quotients, int64, rows_of
from fxsim.ops.quantize import quantizer_of
from fxsim.ops.records import Pass
from fxsim.rng import Key
from fxsim.rounding import Quantizer
from fxsim.tensor import FixedTensor


class RangeStatistics(NamedTuple):
    """Mean and deviation of every channel, (C,), of `statistics_format` of the input's format."""

    mean: FixedTensor
    sigma: FixedTensor


def statistics_format(x: Format) -> Format:
    """The format of mean and deviation: the range of x, and 8 fractional bits more."""
    return Format(x.wl + GUARD_BITS + 1, x.fl + GUARD_BITS)


def range_norm(
    x: FixedTensor,
    weight: FixedTensor,
    bias: FixedTensor,
    out: Quantizer | Format | str,
    *,
    statistics: RangeStatistics | None = None,
    constant: str = "reference",
    eps: float = 1e-5,
    key: Key | None = None,
    index_offset: int = 0,
) -> tuple[FixedTensor, RangeStatistics]:
    """(x - mean) / (sigma + eps) * weight + bias, where sigma is about the deviation: a multiple of the mean range.

    Args:
        x: (N, C, H, W), up to 32 bits.
        weight: (C,), up to 32 bits. bias: (C,), any format.
        out: how the exact result is rounded; it must saturate.
        statistics: mean and sigma to use; None: those of x.
        constant: "reference", "paper" or "gauss": what the range is multiplied with (`fxsim.normalization`).
        eps: added to sigma, at least one step of its grid.
        key: random bits, for stochastic rounding. index_offset: elements before the first, numbered channels last.

    Returns:
        y (N, C, H, W), channels last in memory; mean and sigma used.

    Raises:
        TypeError: an argument is no FixedTensor.
        ValueError: shapes that do not fit, too few values a channel, a format too wide, `out` not saturating, no key.

    Source: Banner et al., "Scalable methods for 8-bit training of neural networks", NeurIPS 2018, section 3.
    """
    name = "range_norm"
    data = _image(name, "x", x)
    gain, shift = _vector(name, "weight", weight, data), _vector(name, "bias", bias, data)
    check_operand(name, "weight", gain.format)
    rules = _rules(name, data, gain, shift, constant, eps)
    plan = _plan(name, out, key)
    rows = rows_of(data.raw)
    if statistics is None:
        if len(rows) < 2:
            raise ValueError(
                f"{name}: x has shape {tuple(data.shape)}: statistics take 2 values a channel or more; give statistics"
            )
        known = _range_norm.statistics(rows, data.format, constant)
    else:
        known = _known(name, statistics, data)
    words = _range_norm.forward(rows, int64(gain.raw), int64(shift.raw), known, rules, plan.quantizer)
    site = _arguments.site(name, Pass.FWD, key, index_offset, len(data))
    read = data.numel() + gain.numel() + shift.numel()
    y = emit_quotients(words, data.shape, plan, site, plan.dtype, data.format, gain.format, read)
    form = statistics_format(data.format)
    used = (FixedTensor(torch.tensor(each), form) for each in known)
    return FixedTensor._trusted(y, plan.format), RangeStatistics(*used)


def range_norm_dgrad(
    g: FixedTensor,
    x: FixedTensor,
    weight: FixedTensor,
    statistics: RangeStatistics,
    out: Quantizer | Format | str,
    *,
    running: bool = False,
    constant: str = "reference",
    eps: float = 1e-5,
    key: Key | None = None,
    index_offset: int = 0,
) -> FixedTensor:
    """The gradient of x.

    Args:
        g: gradient of the output, (N, C, H, W), up to 32 bits.
        x, weight, constant, eps: as in `range_norm`.
        statistics: those that the forward used.
        out, key, index_offset: of the result.
        running: the statistics were given to the forward, so that none of the gradient passes through them.

    Returns:
        FixedTensor (N, C, H, W).

    Raises:
        TypeError, ValueError: as `range_norm`.
    """
    name = "range_norm_dgrad"
    data, grad = _image(name, "x", x), _gradient(name, g, x)
    gain = _vector(name, "weight", weight, data)
    check_operand(name, "weight", gain.format)
    rules, plan = _rules(name, data, gain, gain, constant, eps), _plan(name, out, key)
    known, rows, gradients = _known(name, statistics, data), rows_of(data.raw), rows_of(grad.raw)
    totals = None if running else _range_norm.sums(gradients, grad.format, rows, known, rules)
    words = _range_norm.grad_input(gradients, grad.format, rows, int64(gain.raw), known, totals, rules, plan.quantizer)
    site = _arguments.site(name, Pass.DGRAD, key, index_offset, len(data))
    read = grad.numel() + data.numel() + gain.numel()
    raw = emit_quotients(words, data.shape, plan, site, plan.dtype, grad.format, gain.format, read)
    return FixedTensor._trusted(raw, plan.format)


def range_norm_wgrad(
    g: FixedTensor,
    x: FixedTensor,
    statistics: RangeStatistics,
    out: Quantizer | Format | str,
    *,
    eps: float = 1e-5,
    key: Key | None = None,
    index_offset: int = 0,
) -> FixedTensor:
    """The gradient of the weight, FixedTensor (C,); arguments and errors as in `range_norm_dgrad`.

    The bias's gradient is `bias_grad`'s.
    """
    name = "range_norm_wgrad"
    data, grad = _image(name, "x", x), _gradient(name, g, x)
    rules, plan = _rules(name, data, grad, grad, CONSTANTS[0], eps), _plan(name, out, key)
    known = _known(name, statistics, data)
    totals = _range_norm.sums(rows_of(grad.raw), grad.format, rows_of(data.raw), known, rules)
    words = _range_norm.grad_weight(totals, grad.format, rules.scale(known.sigma), plan.quantizer)
    site = _arguments.site(name, Pass.WGRAD, key, index_offset, len(data))
    read = grad.numel() + data.numel()
    raw = emit_quotients(words, data.shape[1:2], plan, site, plan.dtype, grad.format, data.format, read)
    return FixedTensor._trusted(raw, plan.format)


def _image(name: str, argument: str, given: FixedTensor) -> FixedTensor:
    """A checked operand (N, C, H, W)."""
    if _arguments.fixed(name, argument, given).ndim != 4:
        raise ValueError(f"{name}: {argument} has shape {tuple(given.shape)}: accepted is (N, C, H, W); reshape it")
    check_operand(name, argument, given.format)
    return given


def _gradient(name: str, given: FixedTensor, x: FixedTensor) -> FixedTensor:
    if _image(name, "g", given).shape != x.shape:
        raise ValueError(f"{name}: g has shape {tuple(given.shape)} and x {tuple(x.shape)}: they must be the same")
    return given


def _vector(name: str, argument: str, given: FixedTensor, x: FixedTensor) -> FixedTensor:
    """A checked vector (C,)."""
    if _arguments.fixed(name, argument, given).shape != x.shape[1:2]:
        raise ValueError(
            f"{name}: {argument} has shape {tuple(given.shape)}: accepted is ({x.shape[1]},), x's channels"
        )
    return given


def _rules(
    name: str, x: FixedTensor, weight: FixedTensor, bias: FixedTensor, constant: str, eps: float
) -> _range_norm.Rules:
    check_constant(name, constant)
    return _range_norm.Rules(x.format, weight.format, bias.format, constant, check_eps(name, eps))


def _plan(name: str, out: Quantizer | Format | str, key: Key | None) -> WordPlan:
    quantizer = quantizer_of(name, out, None, None, key)
    check_quantizer(name, "out", quantizer)
    return word_plan(quantizer)


def _known(name: str, given: RangeStatistics, x: FixedTensor) -> Statistics:
    """Statistics as int64, if they are x's in shape and format."""
    form = statistics_format(x.format)
    for what, words in zip(RangeStatistics._fields, given, strict=True):
        if _vector(name, f"statistics.{what}", words, x).format != form:
            raise ValueError(
                f"{name}: statistics.{what} is {words.format}: of x in {x.format} it is {form}; requantize it"
            )
    return Statistics(int64(given.mean.raw), int64(given.sigma.raw))
