"""A policy's update rule, carried out around the optimizer's step.

Some rules take the optimizer's place: they read its learning rates, change the parameters before it runs, and take
their gradients away, so that it leaves them alone. Others change what it made. Either way the caller's
loop and learning rate schedule stay as they are.
"""

from __future__ import annotations

import abc
import math
import warnings
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, final

import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.ops import signed64
from fxsim.policies.base import ClipUpdate, GridUpdate, ShiftUpdate, UpdateRule, WordUpdate
from fxsim.rng import Key, Role, stream
from fxsim.train.parameters import Places, Slot
from fxsim.train.shift import shift_update
from fxsim.train.words import Word, initial, split, updated

_Optimizer: TypeAlias = torch.optim.Optimizer


class Updater(abc.ABC):
    """An update rule at work on the parameters of one run."""

    def __init__(self, places: Places) -> None:
        self.places: Final = places
        self.steps = 0

    @abc.abstractmethod
    def before(self, optimizer: _Optimizer) -> None:
        """Called before every step of the optimizer; `steps` is the number of that step."""

    @abc.abstractmethod
    def after(self) -> None:
        """Called after every step of the optimizer."""

    def kept(self) -> dict[str, str]:
        """Formats of the parameters that are not kept in float32, by name; none, unless overridden."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What the rule knows beyond the parameters: nothing, unless overridden."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Continue from what `state_dict` returned."""


def updater_for(rule: UpdateRule | None, places: Places, optimizer: _Optimizer) -> Updater | None:
    """What carries out the rule.

    Raises ValueError where the rule takes the optimizer's place, and this is more than plain SGD.
    """
    match rule:
        case None:
            return None
        case WordUpdate():
            _check_plain(optimizer)
            return WordUpdater(rule, places)
        case ShiftUpdate():
            _check_plain(optimizer)
            return ShiftUpdater(rule, places)
        case GridUpdate():
            return GridUpdater(rule, places)
        case ClipUpdate():
            return ClipUpdater(rule, places)


@final
class WordUpdater(Updater):
    """Integer weight words; see `fxsim.train.words`. Parameters of other modules stay the optimizer's.

    A bias is a word without a residue, on the grid of its layer's products.
    """

    def __init__(self, rule: WordUpdate, places: Places) -> None:
        super().__init__(places)
        self.rule: Final = rule
        self._words: dict[str, Tensor] = {}
        self._warned = False
        for slot in self._slots():
            word = self._word(slot)
            self._words[slot.name] = initial(slot.parameter.detach(), word)
            self._write(slot, word)

    def before(self, optimizer: _Optimizer) -> None:
        rates = _learning_rates(optimizer)
        for slot in self._slots():
            gradient = slot.parameter.grad
            rate = rates.get(id(slot.parameter))
            if gradient is None or rate is None:
                continue
            self._watch(rate)
            word = self._word(slot)
            self._words[slot.name] = updated(self._words[slot.name], gradient, self._fl(slot), rate, word)
            self._write(slot, word)
            slot.parameter.grad = None

    def after(self) -> None:
        """Everything was done before."""

    def kept(self) -> dict[str, str]:
        return {slot.name: self._kept(slot) for slot in self._slots()}

    def _kept(self, slot: Slot) -> str:
        weight, residue = self.rule.words[slot.leader]
        if slot.is_weight:
            return str(Format(weight + residue, weight + residue - 1))
        return str(self.places.weighted[slot.leader].numerics.bias_quantizer.format)

    def state_dict(self) -> dict[str, Any]:
        return {"words": {name: word.clone() for name, word in self._words.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._words = {name: torch.as_tensor(word).clone() for name, word in state["words"].items()}
        for slot in self._slots():
            self._write(slot, self._word(slot))

    def _slots(self) -> list[Slot]:
        return _own_slots(self.places)

    def _word(self, slot: Slot) -> Word:
        weight, residue = self.rule.words[slot.leader]
        if slot.is_weight:
            return Word.of_weight(weight, residue)
        return Word.of_bias(self.places.weighted[slot.leader].numerics.bias_quantizer.format)

    def _fl(self, slot: Slot) -> int:
        quantizer = self.places.weighted[slot.leader].numerics.grad_weight
        if quantizer is None:
            raise ValueError(f"{slot.name}: a word update needs integer gradients; give the layer a grad_weight format")
        return quantizer.format.fl

    @torch.no_grad()
    def _write(self, slot: Slot, word: Word) -> None:
        value, _ = split(self._words[slot.name], word)
        slot.parameter.copy_(value.to(torch.float64) * math.ldexp(1.0, -word.fl))

    def _watch(self, rate: float) -> None:
        if not self._warned and math.frexp(rate)[0] != 0.5:
            self._warned = True
            warnings.warn(
                f"the learning rate {rate} is no power of two: updates are then rounded to the accumulator's step; "
                f"with powers of two that are at least the rate the accumulators were assigned for, none is",
                stacklevel=4,
            )


@final
class ShiftUpdater(Updater):
    """WAGE's update of the weights; see `fxsim.train.shift`. Other parameters stay the optimizer's."""

    def __init__(self, rule: ShiftUpdate, places: Places) -> None:
        super().__init__(places)
        self.rule: Final = rule
        for slot in self._slots():
            _round_to(slot, f"{rule.format},nearest_even,saturate_symmetric", 0)

    def before(self, optimizer: _Optimizer) -> None:
        rates = _learning_rates(optimizer)
        for slot in self._slots():
            gradient = slot.parameter.grad
            rate = rates.get(id(slot.parameter))
            if gradient is None or rate is None or slot.owner is None:
                continue
            key = Key(slot.owner.seed, stream(slot.layer_id, Role.UPDATE, self.steps))
            with torch.no_grad():
                slot.parameter.copy_(shift_update(slot.parameter.detach(), gradient, rate, self.rule, key))
            slot.parameter.grad = None

    def after(self) -> None:
        """Everything was done before."""

    def kept(self) -> dict[str, str]:
        return {slot.name: str(self.rule.format) for slot in self._slots()}

    def _slots(self) -> list[Slot]:
        return [slot for slot in self.places.slots if slot.is_weight]


@final
class GridUpdater(Updater):
    """Weights and biases of fixed-point layers are rounded to a grid after every step, and before the first."""

    def __init__(self, rule: GridUpdate, places: Places) -> None:
        super().__init__(places)
        self.rule: Final = rule
        self.after()

    def before(self, optimizer: _Optimizer) -> None:
        """The optimizer goes first."""

    def after(self) -> None:
        for slot in _own_slots(self.places):
            _round_to(slot, str(self.rule.quantizer), self.steps)

    def kept(self) -> dict[str, str]:
        return {slot.name: str(self.rule.quantizer.format) for slot in _own_slots(self.places)}


@final
class ClipUpdater(Updater):
    """Weights of fixed-point layers are clipped after every step."""

    def __init__(self, rule: ClipUpdate, places: Places) -> None:
        super().__init__(places)
        self.rule: Final = rule

    def before(self, optimizer: _Optimizer) -> None:
        """The optimizer goes first."""

    @torch.no_grad()
    def after(self) -> None:
        for slot in self.places.slots:
            if slot.is_weight:
                slot.parameter.clamp_(-self.rule.limit, self.rule.limit)


def _own_slots(places: Places) -> list[Slot]:
    """Weights and biases of the layers that have formats of their own; normalisations, which follow them, have none."""
    return [slot for slot in places.slots if slot.owner is places.weighted[slot.leader]]


@torch.no_grad()
def _round_to(slot: Slot, quantizer: str, step: int) -> None:
    """A parameter on a grid, in its own stream of updates."""
    owner = slot.owner
    seed = 0 if owner is None else owner.seed
    role = Role.UPDATE if slot.is_weight else Role.BIAS_UPDATE
    order = "channels_last" if slot.parameter.ndim > 2 else "c"
    number = signed64(stream(slot.layer_id, role, step))
    x = slot.parameter.detach()
    rounded, _ = torch.ops.fxsim.quantize(x, quantizer, signed64(seed), number, 0, order, "pass", "exact", slot.name)
    slot.parameter.copy_(rounded)


def _learning_rates(optimizer: _Optimizer) -> dict[int, float]:
    return {id(p): float(group["lr"]) for group in optimizer.param_groups for p in group["params"]}


def _check_plain(optimizer: _Optimizer) -> None:
    """Refuse an optimizer whose state or decay the rule would ignore."""
    for group in optimizer.param_groups:
        extras = [f"{name} {group[name]}" for name in ("momentum", "weight_decay") if group.get(name)]
        if type(optimizer) is not torch.optim.SGD or extras:
            what = ", ".join(extras) or type(optimizer).__name__
            raise ValueError(
                f"attach: the policy updates weights itself, by plain SGD, but the optimizer has {what}; "
                f"give torch.optim.SGD without momentum and weight decay"
            )
