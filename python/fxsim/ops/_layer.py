"""What the layer ops have in common: streams of their roundings, gradients rounded, tensors saved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from fxsim.ops import _masks, _words
from fxsim.ops._plan import LayerPlan, WordPlan, check_carrier, check_float
from fxsim.ops._publish import Site
from fxsim.ops._word_products import WordProduct, quantize_and_multiply
from fxsim.ops.records import Pass
from fxsim.rng import Role, stream

_PASSES: Final = {Role.OUTPUT: Pass.FWD, Role.GRAD_INPUT: Pass.DGRAD}
_WHAT: Final = {role: role.name.lower() for role in Role}


class Forward(NamedTuple):
    """One forward of a layer: whose it is and where its random bits come from."""

    plan: LayerPlan
    layer: str
    op: str
    seed: int
    layer_id: int
    call: int
    evaluation: bool
    first_sample: int
    batch: int

    def quantize_input(self, x: Tensor, *, channels_last: bool, mask: bool, role: Role = Role.INPUT) -> _words.Words:
        """x as raws of the activation format."""
        plan, site = self._quantizing(x, role)
        return _words.quantize(x, plan, plan.dtype, site, channels_last=channels_last, mask=mask)

    def multiply_input(
        self, x: Tensor, product: WordProduct, *, channels_last: bool, mask: bool
    ) -> tuple[_words.Words, Tensor]:
        """x as raws of the activation format, and a product that takes them."""
        plan, site = self._quantizing(x, Role.INPUT)
        words, (y,) = quantize_and_multiply(x, plan, site, [product], channels_last=channels_last, mask=mask)
        return words, y

    def _quantizing(self, x: Tensor, role: Role) -> tuple[WordPlan, Site]:
        check_float(self.plan.name, "x", x.dtype)
        number = stream(self.layer_id, role, self.call, evaluation=self.evaluation)
        offset = self.first_sample * math.prod(x.shape[1:]) if self.first_sample else 0
        site = Site(self.layer, Pass.QUANTIZE, "quantize", self.seed, number, offset, self.batch, _WHAT[role])
        return self.plan.activation, site

    def site(self, role: Role, per_sample: int) -> Site:
        """Where the product stands; `per_sample` outputs belong to each sample."""
        number = stream(self.layer_id, role, self.call, evaluation=self.evaluation)
        return Site(self.layer, Pass.FWD, self.op, self.seed, number, self.first_sample * per_sample, self.batch)


class Backward(NamedTuple):
    """One backward of a layer, under the number of its forward."""

    plan: LayerPlan
    layer: str
    op: str
    seed: int
    layer_id: int
    call: int
    first_sample: int
    batch: int
    dtype: torch.dtype

    def site(self, role: Role, per_sample: int = 0) -> Site:
        """Where the product of a gradient stands; gradients of parameters belong to no sample."""
        op = "bias_grad" if role is Role.GRAD_BIAS else self.op
        pass_ = _PASSES.get(role, Pass.WGRAD)
        number = stream(self.layer_id, role, self.call)
        what = "" if role is Role.GRAD_BIAS else _WHAT[role]
        return Site(self.layer, pass_, op, self.seed, number, self.first_sample * per_sample, self.batch, what)

    def quantize_grad(
        self, grad: Tensor, plan: WordPlan, *, channels_last: bool, role: Role = Role.GRAD_OUTPUT
    ) -> Tensor:
        """The output's gradient as raws."""
        site = self._quantizing(grad, role)
        return _words.quantize(grad, plan, plan.dtype, site, channels_last=channels_last, mask=False).values

    def multiply_grad(
        self, grad: Tensor, plan: WordPlan, products: Sequence[WordProduct], *, channels_last: bool, kept: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """The output's gradient as raws, if they are to be kept, and the products that take them."""
        site = self._quantizing(grad, Role.GRAD_OUTPUT)
        words, results = quantize_and_multiply(
            grad, plan, site, products, channels_last=channels_last, mask=False, kept=kept
        )
        return words.values, results

    def _quantizing(self, grad: Tensor, role: Role) -> Site:
        return self._rounding(role, math.prod(grad.shape[1:]) if self.first_sample else 0)

    def round(self, gradient: Tensor, role: Role, per_sample: int = 0, *, channels_last: bool = False) -> Tensor:
        """A float gradient in the format Numerics gives it; as it is if there is none."""
        plan = self.plan.grad_input if role is Role.GRAD_INPUT else self.plan.grad_weight
        if plan is None:
            return gradient
        what = "grad_input" if role is Role.GRAD_INPUT else "grad_weight"
        check_carrier(self.plan.name, what, plan.format, self.dtype, self.plan.numerics.carrier)
        site = self._rounding(role, per_sample)
        return _words.quantize(gradient, plan, self.dtype, site, channels_last=channels_last, mask=False).values

    def nothing(self) -> Tensor:
        """What stands for a gradient nobody needs."""
        return torch.empty_strided((0,), (1,), dtype=self.dtype)

    def straight_through_x(self, gradient: Tensor | None, mask: Tensor, *, channels_last: bool) -> Tensor:
        """The same for the input, whose mask has a bit an element (`_masks`)."""
        if gradient is None:
            return self.nothing()
        if not self.plan.clips or not gradient.numel():
            return gradient
        return _masks.clear(gradient, mask, channels_last=channels_last)

    def straight_through(self, gradient: Tensor | None, clipped: Tensor | None) -> Tensor:
        """Under ste "clipped", 0 where the range was left; the gradient is changed in place. None: nobody needs it."""
        if gradient is None:
            return self.nothing()
        if not self.plan.clips or clipped is None or not gradient.numel():
            return gradient
        return _words.clear(gradient, clipped)

    def _rounding(self, role: Role, per_sample: int) -> Site:
        number = stream(self.layer_id, role, self.call)
        offset = self.first_sample * per_sample
        return Site(self.layer, Pass.QUANTIZE, "quantize", self.seed, number, offset, self.batch, _WHAT[role])


def per_sample(shape: Sequence[int], last: int) -> int:
    """Elements per sample of a tensor like `shape` with another last dimension."""
    return math.prod(shape[1:-1]) * last


def int64(raw: Tensor | None) -> Tensor | None:
    """A bias as the core takes it."""
    return None if raw is None else raw.to(torch.int64)


def save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor], call: Tensor | int) -> None:
    """Keep for backward what every layer op begins with, x's words, and the number of the call."""
    _, _, _, weight_raw, weight_clipped, _, bias_clipped, *_ = inputs
    _, x_raw, x_clipped = output
    keep(ctx, (x_raw, x_clipped, weight_raw, weight_clipped, bias_clipped), call)


def keep(ctx: Any, tensors: Sequence[Tensor | None], call: Tensor | int) -> None:
    """Keep tensors for backward, and the number of the call."""
    given = isinstance(call, Tensor)
    ctx.set_materialize_grads(False)
    ctx.call = None if given else call
    ctx.save_for_backward(*tensors, call if given else None)


def kept(ctx: Any) -> tuple[Sequence[Any], Tensor | int]:
    """What `keep` kept: tensors, and the number of the call."""
    *tensors, given = ctx.saved_tensors
    return tensors, ctx.call if given is None else given


def needed(ctx: Any) -> list[bool]:
    """Which of x, weight and bias want a gradient."""
    return list(ctx.needs_input_grad[1:4])  # the first is the dispatcher's


def chosen(gradients: Sequence[Tensor], needs: Sequence[bool]) -> tuple[Tensor | None, ...]:
    """None for the gradients nobody needs."""
    return tuple([gradient if need else None for gradient, need in zip(gradients, needs, strict=True)])
