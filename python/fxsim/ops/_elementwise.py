"""Sums, bounds and window averages of integers, exactly; and what layers of them have in common."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fxsim.formats import MAX_SIGNED_BITS, Format
from fxsim.ops._emit import emit
from fxsim.ops._layer import Backward, Forward
from fxsim.ops._plan import LayerPlan, WordPlan, check_carrier, word_plan
from fxsim.ops._publish import Site
from fxsim.ops._quotients import check_quantizer, quotient_fl, quotients
from fxsim.ops._words import in_order
from fxsim.rng import Role
from fxsim.rounding import Quantizer

IMAGE: Final = 4
"""Dimensions of an image batch (N, C, H, W), whose elements are numbered channels last."""


@lru_cache(maxsize=4096)
def sum_format(name: str, a: Format, b: Format) -> Format:
    """The format that holds every sum of two words exactly.

    Raises:
        ValueError: it has more than 64 bits.
    """
    signed, fl = a.signed or b.signed, max(a.fl, b.fl)
    wl = 1 + max(form.wl + fl - form.fl + (signed and not form.signed) for form in (a, b))
    if wl > MAX_SIGNED_BITS - (not signed):
        raise ValueError(
            f"{name}: the exact sum of {a} and {b} has {wl} bits: accepted are up to {MAX_SIGNED_BITS - (not signed)}; "
            f"requantize one of them first"
        )
    return Format(wl, fl, signed)


def sums(a: Tensor, a_format: Format, b: Tensor, b_format: Format, form: Format) -> Tensor:
    """Raws of `sum_format`, int64."""
    left = a.to(torch.int64) << (form.fl - a_format.fl)
    return left.add_(b.to(torch.int64) << (form.fl - b_format.fl))


@lru_cache(maxsize=4096)
def raw_bounds(name: str, form: Format, low: float | None, high: float | None) -> tuple[int, int]:
    """The least and greatest raw of a format between two reals; None is no bound.

    Raises:
        ValueError: a bound is NaN or infinite, or no word lies between them.
    """
    for bound in (low, high):
        if bound is not None and not math.isfinite(bound):
            raise ValueError(f"{name}: a bound is {bound}: accepted are finite numbers, and None for no bound")
    unit = Fraction(2) ** form.fl
    least = form.raw_min if low is None else max(form.raw_min, math.ceil(Fraction(low) * unit))
    greatest = form.raw_max if high is None else min(form.raw_max, math.floor(Fraction(high) * unit))
    if least > greatest:
        raise ValueError(f"{name}: no value of {form} lies between {low} and {high}; change the bounds or the format")
    return least, greatest


class Window(NamedTuple):
    """A window that slides over (height, width): its size, its steps, and zeros on either side."""

    size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    @property
    def values(self) -> int:
        """What sums are divided by."""
        return self.size[0] * self.size[1]

    def outputs(self, name: str, shape: torch.Size) -> tuple[int, int]:
        """Output height and width of an image batch of that shape.

        Raises:
            ValueError: the shape is no image batch's, or the window does not fit.
        """
        if len(shape) != IMAGE:
            raise ValueError(f"{name}: x has shape {tuple(shape)}: accepted is (N, C, H, W)")
        pads = zip(self.padding, self.size, strict=True)
        if min(*self.size, *self.stride) < 1 or any(not 0 <= 2 * pad <= size for pad, size in pads):
            raise ValueError(
                f"{name}: kernel_size = {self.size}, stride = {self.stride}, padding = {self.padding}: accepted are "
                f"sizes and strides of 1 or more, and padding of up to half the size"
            )
        height, width = (
            (size + 2 * pad - kernel) // step + 1
            for size, pad, kernel, step in zip(shape[2:], self.padding, self.size, self.stride, strict=True)
        )
        if min(height, width) < 1:
            raise ValueError(
                f"{name}: a window of {self.size} has no place in an image of {tuple(shape[2:])} with padding "
                f"{self.padding}; choose a smaller one"
            )
        return height, width


def window_sums(x: Tensor, window: Window) -> Tensor:
    """Sums of the windows of (N, C, H, W), int64, channels last in memory."""
    (top, left), (rows, columns) = window.padding, window.size
    padded = torch.nn.functional.pad(x.to(torch.int64), (left, left, top, top))
    slid = padded.unfold(2, rows, window.stride[0]).unfold(3, columns, window.stride[1])
    return slid.sum((4, 5)).contiguous(memory_format=torch.channels_last)


def window_spread(g: Tensor, shape: torch.Size, window: Window) -> Tensor:
    """For every input the sum of g over the windows it is in, int64 of `shape`, channels last in memory."""
    n, c, height, width = shape
    (top, left), (rows, columns) = window.padding, window.size
    total = torch.zeros(n, height + 2 * top, width + 2 * left, c, dtype=torch.int64).permute(0, 3, 1, 2)
    grad, (down, across) = g.to(torch.int64), window.stride
    for row in range(rows):
        for column in range(columns):
            total[:, :, row::down, column::across][:, :, : g.shape[2], : g.shape[3]] += grad
    return total[:, :, top : top + height, left : left + width]


class Averages(NamedTuple):
    """Window sums settled: integers in index order, their fractional length, and what rounds them."""

    words: Tensor
    fl: int
    plan: WordPlan


def averages(name: str, what: str, total: Tensor, form: Format, count: int, quantizer: Quantizer | None) -> Averages:
    """Sums of words of `form` over `count`; exact without a quantizer, which only a power of two allows.

    Raises:
        ValueError: a sum may not fit in 64 bits; the mean has no exact format and there is no quantizer, or one that
            does not saturate.
    """
    if form.wl + count.bit_length() >= MAX_SIGNED_BITS:
        raise ValueError(
            f"{name}: sums of {count} words of {form} do not fit in {MAX_SIGNED_BITS} bits; choose a narrower format"
        )
    ordered = in_order(total, True)
    shift = count.bit_length() - 1
    if count == 1 << shift:
        exact = Format(form.wl + shift, form.fl + shift, form.signed)
        return Averages(ordered, exact.fl, word_plan(quantizer or Quantizer(exact)))
    if quantizer is None:
        raise ValueError(
            f"{name}: {what} is None: a mean of {count} values has no exact format; name the one it is rounded to"
        )
    check_quantizer(name, what, quantizer)
    words = quotients(ordered.numpy(), np.array([count], np.int64), form.fl, quantizer)
    plan = word_plan(quantizer)
    return Averages(torch.from_numpy(words), quotient_fl(plan), plan)


def output_plan(layer: LayerPlan, form: Format, dtype: torch.dtype) -> WordPlan:
    """How a result of that exact format leaves a layer: by its output quantizer, or as it is."""
    output = layer.numerics.output
    if output is not None:
        check_carrier(layer.name, "output", output.format, dtype, layer.numerics.carrier)
    return word_plan(output or Quantizer(form))


def leave(
    here: Forward, raw: Tensor, form: Format, site: Site, dtype: torch.dtype, read: int, b: Format | None = None
) -> Tensor:
    """Carriers of exact raws of `form`, rounded by the output quantizer if there is one."""
    channels_last = raw.dim() == IMAGE
    plan = output_plan(here.plan, form, dtype)
    ordered = in_order(raw, channels_last)
    a = here.plan.activation.format
    return emit(ordered, form.fl, plan, site, dtype, a, b, read, channels_last=channels_last)


def relay(here: Backward, grad: Tensor, other: Tensor | None = None) -> Tensor:
    """A gradient as it is, or the sum of two: quantized by grad_output, rounded by grad_input, where given."""
    plan, channels_last = here.plan, grad.dim() == IMAGE
    per_sample = math.prod(grad.shape[1:])
    if plan.grad_output is None:
        total = grad if other is None else grad + other
        return here.round(total, Role.GRAD_INPUT, per_sample, channels_last=channels_last)
    form = plan.grad_output.format
    raw = here.quantize_grad(grad, plan.grad_output, channels_last=channels_last)
    exact, read, b = form, raw.numel(), None
    if other is not None:
        second = Role.SECOND_GRAD_OUTPUT
        addend = here.quantize_grad(other, plan.grad_output, channels_last=channels_last, role=second)
        exact, read, b = sum_format(plan.name, form, form), 2 * raw.numel(), form
        raw = sums(raw, form, addend, form, exact)
    if plan.grad_input is not None:
        check_carrier(plan.name, "grad_input", plan.grad_input.format, here.dtype, plan.numerics.carrier)
    rounded = plan.grad_input or word_plan(Quantizer(exact))
    site, ordered = here.site(Role.GRAD_INPUT, per_sample), in_order(raw, channels_last)
    return emit(ordered, exact.fl, rounded, site, here.dtype, form, b, read, channels_last=channels_last)
