"""Tie a policy to a model in training: the only place where formats are set because of what training does.

run = attach(policy, model, optimizer)
for x, y in batches:
    loss = criterion(model(x), y) + run.penalty()
    loss.backward()
    run.step(loss)
    optimizer.step()
    optimizer.zero_grad()
run.finalize()
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor, nn

from fxsim.formats import Format
from fxsim.nn import Gates, Weighted
from fxsim.numerics import Numerics
from fxsim.ops import unseen
from fxsim.policies.adapt.penalty import word_length_penalty
from fxsim.policies.base import (
    Arithmetic,
    Decision,
    LayerObservation,
    LayerShape,
    Observation,
    Policy,
    Switch,
    TernaryRule,
)
from fxsim.rng import Key, stream
from fxsim.train import gradients
from fxsim.train.l1_term import l1_term
from fxsim.train.l1_watch import WATCHED_STEPS, warn_of_l1
from fxsim.train.parameters import Places, Slot, places
from fxsim.train.state import to_arrays, to_tensors
from fxsim.train.ternary import ternarize
from fxsim.train.update import Updater, updater_for
from fxsim.train.updates import publish_updates

FLOAT32_BITS: Final = 32

TRAINING_PRODUCTS: Final = 3
"""Of a training step: forward, and the gradients of input and weight."""


@final
@dataclass(frozen=True, slots=True)
class Finalized:
    """What `Run.finalize` did: the formats before and after, by layer, and the run's mean word length over time."""

    before: Mapping[str, Format]
    after: Mapping[str, Format]
    time_average_word_length: float


def attach(
    policy: Policy,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    accs: int = 1,
    seed: int | None = None,
    total_steps: int = 0,
) -> Run:
    """Begin a run: the policy decides the formats of the model's layers from now on.

    model: converted for the policy (`convert_for`); plain torch for a floating point policy. Layers keep their own
    accumulators. optimizer: of the model's parameters. accs: micro-batches an optimizer step accumulates; `penalty`
    is divided by it. seed: of the policy's random numbers; None: the layers' own seed. total_steps: optimizer steps
    the run will take, which policies with a schedule need; 0 for a run without an end.

    Raises ValueError where the model does not fit the policy, the optimizer not the model, accs is below 1, or the
    policy needs total_steps.
    """
    if accs < 1:
        raise ValueError(f"attach: accs is {accs}; give the number of micro-batches an optimizer step has, 1 or more")
    found = places(model)
    numerics = policy.start_numerics()
    if numerics is None and found.weighted:
        raise ValueError(
            f"attach: policy {policy.name} trains in floating point, but the model has fixed-point layers "
            f"({', '.join(found.weighted)}); leave it unconverted, or choose policy static"
        )
    if numerics is not None and not found.weighted:
        raise ValueError(
            f"attach: policy {policy.name} decides on fixed-point layers, but the model has none; convert it first, "
            f"with convert_for(policy, model)"
        )
    _check_optimizer(model, optimizer)
    if total_steps:
        policy.plan(total_steps)
    return Run(policy, model, found, optimizer, accs=accs, seed=seed)


def _check_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    own = {id(parameter) for parameter in model.parameters()}
    strangers = sum(id(p) not in own for group in optimizer.param_groups for p in group["params"])
    if strangers:
        raise ValueError(
            f"attach: the optimizer updates {strangers} parameters that the model does not have; make the optimizer "
            f"from the parameters of the converted model"
        )


@final
class Run:
    """A policy at work on a model; made by `attach`.

    steps: optimizer steps taken. switches: the policy's decisions that nobody has taken out yet, oldest first; whoever
    records them empties the list (`take_switches`). Pending switches are no part of the state.
    """

    def __init__(
        self,
        policy: Policy,
        model: nn.Module,
        found: Places,
        optimizer: torch.optim.Optimizer,
        *,
        accs: int,
        seed: int | None,
    ) -> None:
        self.policy: Final = policy
        self.model: Final = model
        self.steps = 0
        self.switches: list[Switch] = []
        self._places: Final = found
        self._accs: Final = accs
        self._word_length_sum = 0.0
        self._penalty = 0.0
        self._wanted: dict[str, Arithmetic | None] = {}
        self._gates: Final = next((module for module in model.modules() if isinstance(module, Gates)), None)
        self._nonzero: dict[str, int] = {}
        self._watching = policy.loss_rule is not None and policy.loss_rule.l1 > 0.0
        if seed is None:
            seed = next((layer.seed for layer in found.weighted.values()), 0)
        self._seed: Final = seed
        self._optimizer: Final = optimizer
        self._updater: Updater | None = None
        if policy.update_rule is not None:
            optimizer.register_step_pre_hook(lambda *_: self._before_update())
            optimizer.register_step_post_hook(lambda *_: self._after_update())
        self.restart()

    def restart(self) -> None:
        """Let the policy decide anew how the run begins, before its first step: after it was told what to assign."""
        shapes = tuple(
            LayerShape(name, tuple(layer.weight.shape), layer.layer_id) for name, layer in self._places.weighted.items()
        )
        self.switches.extend(self.policy.start(shapes, self._seed).switches)
        self._set()
        self._updater = updater_for(self.policy.update_rule, self._places, self._optimizer)
        self._tell_steps()

    @property
    def formats(self) -> dict[str, Format]:
        """The weight format of every weighted layer; empty for a model in floating point."""
        return {name: layer.numerics.weight.format for name, layer in self._places.weighted.items()}

    @property
    def mean_word_length(self) -> float:
        """Bits of a weight, plain mean over the weighted layers; 32 for a model in floating point."""
        return _mean([(format.wl, 1) for format in self.formats.values()])

    @property
    def mean_word_length_by_elements(self) -> float:
        """Bits of a weight, mean over all weights of the weighted layers; 32 for a model in floating point."""
        layers = self._places.weighted.values()
        return _mean([(layer.numerics.weight.format.wl, layer.weight.numel()) for layer in layers])

    @property
    def time_average_word_length(self) -> float:
        """The mean word length that the steps so far were taken with; before the first step, the present one."""
        return self._word_length_sum / self.steps if self.steps else self.mean_word_length

    @property
    def learning_rate_factor(self) -> float:
        """What the policy wants the learning rate of the next step multiplied with; whoever sets the rate obeys."""
        return self.policy.learning_rate_factor

    @property
    def gate_cost_percent(self) -> float | None:
        """Cost of what the gates chose in the latest forward, in percent of float32; None without gates."""
        gating = self.policy.gating
        if self._gates is None or gating is None:
            return None
        return 100.0 * float(self._gates.mean_cost(gating.costs).detach()) / TRAINING_PRODUCTS

    def penalty(self) -> Tensor:
        """What the policy adds to the loss of one micro-batch: a scalar, 0 under a policy that adds nothing.

        alpha * sum |W_hat| over all parameters as the network computes with them, with gradient alpha * sign(W_hat)
        through the straight-through estimator; plus the word length penalty, which has no gradient; plus the cost
        that gates chose, times the policy's factor. Divided by accs. To be called after the forward.
        """
        total = (self._norm_penalty() + self._gate_penalty()) / self._accs
        self._penalty = float(total.detach())
        return total

    def _gate_penalty(self) -> Tensor:
        gating, percent = self.policy.gating, self.gate_cost_percent
        if self._gates is None or gating is None or percent is None:
            return torch.zeros(())
        return self.policy.gate_factor(percent) * self._gates.mean_cost(gating.costs)

    def _norm_penalty(self) -> Tensor:
        rule = self.policy.loss_rule
        if rule is None:
            return torch.zeros(())
        slots = self._places.slots
        carriers = [slot.carrier() for slot in slots]
        self._nonzero = dict(zip((slot.name for slot in slots), _non_zeros(carriers), strict=True))
        total = l1_term(carriers, rule.l1)
        if rule.word_length:
            word_lengths = [self._format(slot).wl for slot in slots]
            sizes = [carrier.numel() for carrier in carriers]
            total = total + word_length_penalty(zip(word_lengths, self._nonzero.values(), sizes, strict=True))
        return total

    def step(self, loss: Tensor | float) -> None:
        """Take note of one optimizer step, between `loss.backward()` and `optimizer.step()`.

        Gradients are treated by the policy's rule, in place; the policy decides; new formats hold from the next
        forward. loss: of the step, penalty included, up to a constant factor (a micro-batch's share will do).

        Raises ValueError where the loss is not finite, and RuntimeError where no parameter has a gradient.
        """
        value = float(loss.detach() if isinstance(loss, Tensor) else loss)
        if not math.isfinite(value):
            raise ValueError(f"step {self.steps}: the loss is {value}: training has diverged; lower the learning rate")
        self._watch_l1()
        observed = self._treat_gradients()
        publish_updates(self.model, {} if self._updater is None else self._updater.kept())
        self._word_length_sum += self.mean_word_length
        if self.policy.adaptive:
            self._carry_out(self.policy.observe(Observation(self.steps, value, observed, self._penalty)))
        self.steps += 1
        self._tell_steps()

    def finalize(self) -> Finalized:
        """Give every layer the format that the policy means the trained network to keep."""
        before = self.formats
        if self.policy.adaptive:
            weights = {name: layer.weight.detach().numpy() for name, layer in self._places.weighted.items()}
            self._carry_out(self.policy.finalize(weights, self.steps))
        return Finalized(before, self.formats, self.time_average_word_length)

    def take_switches(self) -> list[Switch]:
        """The pending switches, oldest first; they are pending no more."""
        taken, self.switches = self.switches, []
        return taken

    def state_dict(self) -> dict[str, Any]:
        """The run's and the policy's state, as dicts, lists, strings, numbers and tensors."""
        return {
            "steps": self.steps,
            "word_length_sum": self._word_length_sum,
            "watching": self._watching,
            "policy": to_tensors(self.policy.state_dict()),
            "update": {} if self._updater is None else self._updater.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned; the model's and the optimizer's states are loaded beside it.

        Raises ValueError where the state belongs to another policy, other settings or another model.
        """
        self.policy.load_state_dict(to_arrays(state["policy"]))
        self.steps = int(state["steps"])
        self._word_length_sum = float(state["word_length_sum"])
        self._watching = bool(state["watching"])
        self._set()
        self._updater = updater_for(self.policy.update_rule, self._places, self._optimizer)
        if self._updater is not None:
            self._updater.load_state_dict(state["update"])
        self._tell_steps()

    def _format(self, slot: Slot) -> Format:
        return self._places.weighted[slot.leader].numerics.weight.format

    def _carry_out(self, decision: Decision) -> None:
        """Keep the switches and set what has changed."""
        self.switches.extend(decision.switches)
        self._set()

    def _set(self) -> None:
        """Give layers and their followers the arithmetic that the policy wants, where it wants another than before.

        Under a policy that never changes its mind nothing is set: layers stay as they were converted.
        """
        if not self.policy.adaptive:
            return
        for name in self.policy.formats:
            wanted = self.policy.numerics_of(name)
            if wanted is None or self._wanted.get(name) == wanted:
                continue
            self._wanted[name] = wanted
            followers = self.policy.numerics_of_followers(name)
            for module in self._places.followers[name]:
                settled: Any = wanted if isinstance(module, Weighted) and module.LEADS else followers
                if isinstance(settled, Numerics):
                    settled = _with_accumulators_of(module.numerics, settled)
                if settled is not None:
                    module.numerics = settled

    def _before_update(self) -> None:
        if self._updater is not None:
            self._updater.steps = self.steps
            self._updater.before(self._optimizer)

    def _after_update(self) -> None:
        if self._updater is not None:
            self._updater.after()

    def _tell_steps(self) -> None:
        for layer in self._places.weighted.values():
            layer.step = self.steps

    def _treat_gradients(self) -> tuple[LayerObservation, ...]:
        rule = self.policy.gradient_rule
        if isinstance(rule, TernaryRule):
            ternarize(self.model, rule, self._seed, self.steps)
            rule = None
        observed = []
        graded = False
        for slot in self._places.slots:
            gradient = slot.parameter.grad
            if gradient is None:
                continue
            graded = True
            vanished, raw = False, gradient
            if rule is not None:
                raw = gradient.clone() if self.policy.needs_raw_gradients else gradient
                vanished = gradients.treat(gradient, rule, self._format(slot), self._key(slot), layer=slot.name)
            if slot.is_weight:
                observed.append(
                    LayerObservation(
                        name=slot.leader,
                        weight=gradients.array_of(slot.parameter),
                        gradient=gradients.array_of(gradient),
                        vanished=vanished,
                        raw_gradient=gradients.array_of(raw) if self.policy.needs_raw_gradients else None,
                    )
                )
        if self._places.slots and not graded:
            raise RuntimeError("step: no parameter has a gradient; call loss.backward() before run.step(loss)")
        return tuple(observed)

    def _key(self, slot: Slot) -> Key:
        """Of the gradient's rounding: the number of its module's latest training forward; else that of the step."""
        if slot.owner is None:
            seed = self._places.weighted[slot.leader].seed
            return Key(seed, stream(slot.layer_id, slot.role, self.steps))
        latest = max(_value(slot.owner.calls) - 1, 0)
        return Key(slot.owner.seed, stream(slot.layer_id, slot.role, latest))

    def _watch_l1(self) -> None:
        """Warn at most once a run."""
        rule = self.policy.loss_rule
        if rule is not None and self._watching and self.steps < WATCHED_STEPS:
            self._watching = not warn_of_l1(self._places.slots, self._nonzero, rule.l1, self.steps)


@unseen
def _value(counter: Tensor) -> int:
    return int(counter)


@unseen
def _non_zeros(tensors: Sequence[Tensor]) -> list[int]:
    """Of each tensor; NumPy counts bools much faster than floats."""
    return [int(np.count_nonzero(x.detach().numpy() != 0)) for x in tensors]


def _with_accumulators_of(present: Numerics, wanted: Numerics) -> Numerics:
    return dataclasses.replace(
        wanted,
        accumulator=present.accumulator,
        accumulator_dgrad=present.accumulator_dgrad,
        accumulator_wgrad=present.accumulator_wgrad,
    )


def _mean(weighted: list[tuple[int, int]]) -> float:
    """The mean of numbers with weights; FLOAT32_BITS of none."""
    if not weighted:
        return float(FLOAT32_BITS)
    return sum(number * weight for number, weight in weighted) / sum(weight for _, weight in weighted)
