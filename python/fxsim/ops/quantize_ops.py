"""torch.ops.fxsim.quantize, quantize_layer, quantize_raw and carrier: floats and words of one tensor."""

# ruff: noqa: ARG001 - all kernels of an op take all arguments of its schema
from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

from fxsim.ops import _words
from fxsim.ops._library import define
from fxsim.ops._plan import WordPlan, check_carrier, check_float, word_plan_of
from fxsim.ops._publish import Site
from fxsim.ops.records import Pass
from fxsim.rng import Role, stream

_ROLE_TEXTS: Final[dict[int, str]] = {int(role): role.name.lower() for role in Role}


def quantize(
    x: Tensor,
    quantizer: str,
    seed: int,
    stream: int,
    index_offset: int,
    index_order: str,
    ste: str,
    carrier: str,
    layer: str,
) -> tuple[Tensor, Tensor]:
    """A float tensor as carriers of a format, under a given stream.

    seed, stream: the 64 bits as signed integers. index_offset: elements before the first.

    Returns:
        carriers of x's dtype; and where the range was left (bool; empty if ste is "pass").
    """
    site = Site(layer, Pass.QUANTIZE, "quantize", seed, stream, index_offset, _samples(x))
    return _to_carrier(x, word_plan_of(quantizer), index_order, ste, carrier, site)


def quantize_layer(
    x: Tensor,
    quantizer: str,
    seed: int,
    layer_id: int,
    role: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    index_order: str,
    ste: str,
    carrier: str,
    layer: str,
) -> tuple[Tensor, Tensor]:
    """`quantize` in a module: the stream is packed from layer, role and call.

    index_offset: samples before the first.
    """
    number = stream(layer_id, Role(role), int(call), evaluation=evaluation)
    site = Site(
        layer,
        Pass.QUANTIZE,
        "quantize",
        seed,
        number,
        index_offset * _sample_size(x),
        _samples(x),
        _ROLE_TEXTS.get(role, "x"),
    )
    return _to_carrier(x, word_plan_of(quantizer), index_order, ste, carrier, site)


def quantize_raw(
    x: Tensor,
    quantizer: str,
    seed: int,
    layer_id: int,
    role: int,
    call: Tensor | int,
    index_order: str,
    mask: bool,
    layer: str,
) -> tuple[Tensor, Tensor]:
    """A float tensor as raws: a layer's weight or bias. Not differentiable.

    Returns:
        raws in the format's dtype; and where the range was left (bool; empty unless `mask`).
    """
    plan = word_plan_of(quantizer)
    number = stream(layer_id, Role(role), int(call))
    site = Site(layer, Pass.QUANTIZE, "quantize", seed, number, 0, 1, _ROLE_TEXTS.get(role, "x"))
    check_float(site.name, "x", x.dtype)
    channels_last = _words.check_index_order(site.name, index_order, x.dim())
    words = _words.quantize(x, plan, plan.dtype, site, channels_last=channels_last, mask=mask)
    return words.values, words.clipped


def carrier(x: Tensor, raw: Tensor, clipped: Tensor, quantizer: str, ste: str, carrier: str, layer: str) -> Tensor:
    """The carriers of raws that x was quantized to.

    x's gradient is theirs; under ste "clipped", 0 where `clipped`.
    """
    form = word_plan_of(quantizer).format
    check_carrier(f"{layer}: carrier" if layer else "carrier", "quantized", form, x.dtype, carrier)
    return _words.carrier(raw, form, x.dtype)


def _to_carrier(
    x: Tensor, plan: WordPlan, index_order: str, ste: str, carrier: str, site: Site
) -> tuple[Tensor, Tensor]:
    check_float(site.name, "x", x.dtype)
    check_carrier(site.name, "output", plan.format, x.dtype, carrier)
    channels_last = _words.check_index_order(site.name, index_order, x.dim())
    words = _words.quantize(x, plan, x.dtype, site, channels_last=channels_last, mask=ste == "clipped")
    return words.values, words.clipped


def _samples(x: Tensor) -> int:
    return x.shape[0] if x.dim() else 1


def _sample_size(x: Tensor) -> int:
    return x[0].numel() if x.dim() and x.shape[0] else x.numel()


def _fake_words(x: Tensor, dtype: torch.dtype, index_order: str, mask: bool) -> tuple[Tensor, Tensor]:
    channels_last = index_order == "channels_last"
    values = _words.empty_words(x, dtype, channels_last)
    clipped = _words.empty_words(x, torch.bool, channels_last) if mask else x.new_empty(0, dtype=torch.bool)
    return values, clipped


def _fake_quantize(
    x: Tensor,
    quantizer: str,
    seed: int,
    stream: int,
    index_offset: int,
    index_order: str,
    ste: str,
    carrier: str,
    layer: str,
) -> tuple[Tensor, Tensor]:
    return _fake_words(x, x.dtype, index_order, ste == "clipped")


def _fake_quantize_layer(
    x: Tensor,
    quantizer: str,
    seed: int,
    layer_id: int,
    role: int,
    call: Tensor | int,
    evaluation: bool,
    index_offset: int,
    index_order: str,
    ste: str,
    carrier: str,
    layer: str,
) -> tuple[Tensor, Tensor]:
    return _fake_words(x, x.dtype, index_order, ste == "clipped")


def _fake_quantize_raw(
    x: Tensor,
    quantizer: str,
    seed: int,
    layer_id: int,
    role: int,
    call: Tensor | int,
    index_order: str,
    mask: bool,
    layer: str,
) -> tuple[Tensor, Tensor]:
    return _fake_words(x, word_plan_of(quantizer).dtype, index_order, mask)


def _fake_carrier(
    x: Tensor, raw: Tensor, clipped: Tensor, quantizer: str, ste: str, carrier: str, layer: str
) -> Tensor:
    return torch.empty_like(raw, dtype=x.dtype)


def _save_quantize(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _save(ctx, output[1], inputs[6])


def _save_quantize_layer(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _save(ctx, output[1], inputs[9])


def _save_carrier(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _save(ctx, inputs[2], inputs[4])


def _save(ctx: Any, clipped: Tensor, ste: str) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(clipped)
    ctx.clips = ste == "clipped"


def _backward(ctx: Any, grad: Tensor | None, *_: object) -> tuple[Tensor | None, ...]:
    """The straight-through estimator, for any op whose first input alone is differentiable."""
    (clipped,) = ctx.saved_tensors
    kept = _words.straight_through(grad, clipped) if grad is not None and ctx.clips else grad
    return (kept, *[None] * (len(ctx.needs_input_grad) - 2))


QUANTIZE: Final = define(
    "quantize(Tensor x, str quantizer, int seed, int stream, int index_offset, str index_order, str ste, "
    "str carrier, str layer) -> (Tensor, Tensor)",
    quantize,
    _fake_quantize,
    setup_context=_save_quantize,
    backward=_backward,
)
QUANTIZE_LAYER: Final = define(
    "quantize_layer(Tensor x, str quantizer, int seed, int layer_id, int role, Tensor call, bool evaluation, "
    "int index_offset, str index_order, str ste, str carrier, str layer) -> (Tensor, Tensor)",
    quantize_layer,
    _fake_quantize_layer,
    setup_context=_save_quantize_layer,
    backward=_backward,
)
QUANTIZE_RAW: Final = define(
    "quantize_raw(Tensor x, str quantizer, int seed, int layer_id, int role, Tensor call, str index_order, "
    "bool mask, str layer) -> (Tensor, Tensor)",
    quantize_raw,
    _fake_quantize_raw,
)
CARRIER: Final = define(
    "carrier(Tensor x, Tensor raw, Tensor clipped, str quantizer, str ste, str carrier, str layer) -> Tensor",
    carrier,
    _fake_carrier,
    setup_context=_save_carrier,
    backward=_backward,
)
