"""Layers with a weight: it is quantized once per optimizer step, and the words are kept until it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple

import torch
from torch import Tensor

from fxsim.nn import codes
from fxsim.nn._layer import Layer
from fxsim.numerics import Numerics
from fxsim.ops import hidden, keep, quantize_ops, straight, unseen, weight_step
from fxsim.rng import Role
from fxsim.tensor import FixedTensor

_step_at: Final = hidden(weight_step.step_at)


@unseen
def _note_step(steps: Tensor, watch: Tensor, step: int) -> None:
    steps.fill_(step)
    watch.fill_(weight_step.BY_HAND)  # in place of the address; the version after it then says nothing


class Words(NamedTuple):
    """The quantized parameters of one step: raws, and where the range was left (empty under ste "pass")."""

    weight: Tensor
    weight_clipped: Tensor
    bias: Tensor | None
    bias_clipped: Tensor | None


class _Kept(NamedTuple):
    """Words and what they were made from; the parameters' storage is held, so that its address stays theirs."""

    key: tuple[object, ...]
    words: Words
    held: list[torch.UntypedStorage]


class Weighted(Layer):
    """Abstract base of modules with a float `weight`, perhaps a `bias`, and torch's own constructor before this one.

    Attributes:
        steps: the optimizer step of the last training forward, int64 ().
        watch: int64 (2,), how the layer knows that its weight changed (`ops.weight_step`); not in the state.
    """

    weight: Tensor
    bias: Tensor | None
    steps: Tensor
    watch: Tensor

    _OWN_STATE = (*Layer._OWN_STATE, "steps")

    WEIGHT_ORDER = "c"
    """How the elements of the weight are numbered."""

    LEADS: ClassVar[bool] = True
    """Whether policies give the layer a format of its own; else it has that of the leading layer before it."""

    def _enroll(self, numerics: Numerics, layer_id: int, seed: int) -> None:
        self._kept: _Kept | None = None
        super()._enroll(numerics, layer_id, seed)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64, device="cpu"))
        self.register_buffer("watch", torch.zeros(2, dtype=torch.int64, device="cpu"), persistent=False)

    def _settle(self, numerics: Numerics) -> None:
        if numerics.code != "round" and self.bias is not None:
            raise ValueError(
                f"{type(self).__name__}: numerics.code = {numerics.code!r}: such layers have no bias; remove it, "
                f"or let a normalisation that follows have one"
            )
        super()._settle(numerics)
        self._weight_text = str(numerics.weight)
        self._bias_text = str(numerics.bias_quantizer)
        self._clips = numerics.ste == "clipped"

    @property
    def step(self) -> int:
        """The optimizer step that weight and bias are quantized under.

        It advances by itself when a training forward finds the parameters changed; once assigned, it is the
        assigner's, and stays until assigned again. Changes made through `weight.data` are invisible to torch:
        whoever makes them assigns the next step. An exported program that is loaded elsewhere cannot tell whether its
        weight is the one it last saw: before exporting stochastically rounded weights, `layer.step = layer.step`.
        """
        return weight_step.weight_step(self.weight, self.bias, self.steps, self.watch, False)

    @step.setter
    def step(self, step: int) -> None:
        if step < 0:
            raise ValueError(f"{type(self).__name__}: step = {step}: steps are counted from 0")
        _note_step(self.steps, self.watch, step)

    def int_weight(self) -> FixedTensor:
        """The weight as the next forward will use it, (C_out, ...) of the weight's shape."""
        return FixedTensor._trusted(self._words(training=False).weight.clone(), self.numerics.weight.format)

    def int_bias(self) -> FixedTensor | None:
        """The bias as the next forward will use it, (C_out,); None if there is none."""
        raw = self._words(training=False).bias
        return None if raw is None else FixedTensor._trusted(raw, self.numerics.bias_quantizer.format)

    def weight_carrier(self) -> Tensor:
        """The quantized weight as floats; gradients reach `weight` under the straight-through estimator.

        Raises:
            TypeError: the weight's dtype is too narrow for its format, unless carrier is "round".
        """
        words = self._words(training=False)
        return self._carrier(self.weight, words.weight, words.weight_clipped, self._weight_text)

    def bias_carrier(self) -> Tensor | None:
        """The quantized bias as floats, like `weight_carrier`; None if there is none."""
        words = self._words(training=False)
        if self.bias is None or words.bias is None or words.bias_clipped is None:
            return None
        return self._carrier(self.bias, words.bias, words.bias_clipped, self._bias_text)

    def _carrier(self, x: Tensor, raw: Tensor, clipped: Tensor, quantizer: str) -> Tensor:
        carried: Tensor = quantize_ops.CARRIER.way(straight(x))(
            x, raw, clipped, quantizer, self._numerics.ste, self._numerics.carrier, self.name
        )
        return carried

    def _words(self, *, training: bool) -> Words:
        """Weight and bias quantized under the present step; computed only if something changed since."""
        weight, bias, steps, watch = self.weight, self.bias, self.steps, self.watch
        if torch.compiler.is_compiling():
            number = torch.ops.fxsim.weight_step.default(
                weight.detach(), None if bias is None else bias.detach(), steps, watch, training
            )
            return self._quantize(quantize_ops.QUANTIZE_RAW.overload, number)
        now = weight_step.state_of(weight, bias)
        step = _step_at(now, steps, watch, training)
        key = (
            step,
            self._seed,
            self._layer_id,
            self._weight_text,
            self._bias_text,
            self._clips,
            now,
            weight.dtype,
        )
        kept = self._kept
        if kept is None or kept.key != key:
            held = [each.untyped_storage() for each in (weight, bias) if each is not None]
            kept = _Kept(key, self._fresh_words(step), held)
            self.__dict__["_kept"] = kept  # a module looks at whatever is set otherwise
        return kept.words

    def _fresh_words(self, step: int) -> Words:
        if torch.is_inference_mode_enabled():  # its tensors could not serve a later training
            with torch.inference_mode(False):
                return self._fresh_words(step)
        with torch.no_grad():
            words = self._quantize(*quantize_ops.QUANTIZE_RAW.at(self.weight, step))
        keep(words.weight)
        return words

    def _operand(self) -> Tensor:
        """What the gradient of the weight's raws goes to."""
        return self.weight if self._numerics.code == "round" else codes.operand(self.weight, self._numerics)

    def _shown(self, x: Tensor) -> Tensor:
        """The input as the op quantizes it."""
        return x if self._numerics.code == "round" else codes.before(x, self._numerics)

    def _finish(self, y: Tensor, x: Tensor, call: Tensor | int) -> Tensor:
        """The layer's output from the op's."""
        if self._numerics.code == "round":
            return y
        key = codes.gradient_key(self._seed, self._layer_id, int(call))
        return codes.after(y, x, self.weight, self._numerics, key)

    def _quantize(self, quantize_raw: Callable[..., tuple[Tensor, Tensor]], step: Tensor | int) -> Words:
        given, given_bias = self.weight, self.bias
        if torch.is_grad_enabled():
            given, given_bias = given.detach(), None if given_bias is None else given_bias.detach()
        coded = codes.raws(given, self._numerics)
        weight, clipped = quantize_raw(
            given if coded is None else coded,
            self._weight_text,
            self._signed_seed,
            self._layer_id,
            int(Role.WEIGHT),
            step,
            self.WEIGHT_ORDER,
            self._clips,
            self.name,
        )
        if given_bias is None:
            return Words(weight, clipped, None, None)
        bias, bias_clipped = quantize_raw(
            given_bias,
            self._bias_text,
            self._signed_seed,
            self._layer_id,
            int(Role.BIAS),
            step,
            "c",
            self._clips,
            self.name,
        )
        return Words(weight, clipped, bias, bias_clipped)

    def _pending(self) -> int:
        return weight_step.pending(self.weight, self.bias, self.watch)

    def get_extra_state(self) -> dict[str, Any]:
        """What `state_dict` keeps besides tensors."""
        return {**super().get_extra_state(), "watch": self._pending()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_extra_state` gave."""
        super().set_extra_state(state)
        self.watch.copy_(torch.tensor((state["watch"], 0)))

    def __getstate__(self) -> dict[str, Any]:
        """For pickling and copying: addresses mean nothing elsewhere, and kept words are made anew."""
        watch = torch.tensor((self._pending(), 0))
        return {**super().__getstate__(), "_kept": None, "_buffers": {**self._buffers, "watch": watch}}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Weighted:
        """Moving or converting the module is not an optimizer step."""
        pending = self._pending()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.watch.copy_(torch.tensor((pending, 0)))
        return self
