"""One network of a run: model, optimizer and policy, one step, one evaluation, and its whole state."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fxsim.cost.counting import count
from fxsim.cost.counts import Counts
from fxsim.cost.windows import Window as CountWindow
from fxsim.nn import fuse, shard
from fxsim.optim import Quantized
from fxsim.policies import CPT, Policy, Sakr, build
from fxsim.train.attach import attach
from fxsim.train.convert_for import convert_for
from fxsim.train.lines import SwitchLine, TestLine, TrainLine
from fxsim.train.range_test import range_test
from fxsim.train.recipe import Loss, Recipe
from fxsim.train.sakr import prepare
from fxsim.train.weights import sparsity_fields
from fxsim.train.window import StepOutcome, Window, count_fields

Batch: TypeAlias = tuple[Tensor, Tensor]
"""Images float32 (B, C, H, W) and labels int64 (B,)."""


@final
class Learner:
    """A network in training.

    counts: of all training steps done. evaluation_counts: of the last evaluation, None where nothing is counted.

    recipe: how. model: plain torch, with its initial weights; it is converted in place to the policy's arithmetic.
    seed: of the stochastic roundings. total_steps: the span of the learning rate's schedule.
    counting: whether operations are counted. fused: whether normalisations and ReLUs are fused.
    present: from the images of a batch to the model's input.

    Raises:
        ValueError: the policy or the model cannot be had so; `fused` and there is nothing to fuse.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        *,
        seed: int,
        total_steps: int,
        counting: bool,
        fused: bool = False,
        present: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        policy = build(recipe.policy, recipe.options)
        self.recipe: Final = recipe
        self._present: Final = present
        self._plain: Final = copy.deepcopy(model) if _needs_measuring(policy) else None
        converted = convert_for(policy, model, seed=seed, inplace=True)
        self.model: Final = fuse(converted, inplace=True) if fused else converted
        self.optimizer: Final = _optimizer(recipe, self.model, seed)
        self.run: Final = attach(policy, self.model, self.optimizer, seed=seed, total_steps=total_steps)
        self.counts: Final = Counts()
        self._window = Window()
        self._spent = CountWindow(0, 0, Counts(), recipe.name)
        self.evaluation_counts: Counts | None = None
        self._last: dict[str, Any] = {}
        self._evaluated = False
        self._rate = recipe.learning_rate
        self._total_steps: Final = total_steps
        self._counting: Final = counting

    def prepare(self, batches: Iterable[Batch], stepped: Callable[[int, int], None] = lambda _, __: None) -> None:
        """Measure what the policy must know before the first step, if anything, on the batches of the run.

        stepped: is told how many steps of that are done, and of how many, after each.
        """
        policy = self.run.policy
        if isinstance(policy, CPT) and policy.config.range_test:
            self._find_low(policy, batches, stepped)
        if self._plain is None or not isinstance(policy, Sakr):
            return
        shown = ((self._present(x), y) for x, y in batches)
        steps = min(policy.probe_steps or self._total_steps, self._total_steps)
        rates = [
            self.recipe.learning_rate_at(step * self._total_steps // steps, self._total_steps) for step in range(steps)
        ]
        prepare(policy, self._plain, shown, rates=rates, stepped=lambda done: stepped(done, steps))
        with torch.no_grad():
            for parameter, initial in zip(self.model.parameters(), self._plain.parameters(), strict=True):
                parameter.copy_(initial)
        self.run.restart()

    def _find_low(self, policy: CPT, batches: Iterable[Batch], stepped: Callable[[int, int], None]) -> None:
        shown = [(self._present(x), y) for x, y in itertools.islice(batches, policy.config.range_test)]
        found = range_test(self.run, self.optimizer, shown, F.cross_entropy, stepped=stepped)
        policy.set_low(found.low)
        self.run.restart()

    def step(self, batch: Batch, step: int) -> StepOutcome:
        """Optimizer step number `step`, from 0, on one batch."""
        y = batch[1]
        begun = time.perf_counter()
        self._rate = self.recipe.learning_rate_at(step, self._total_steps) * self.run.learning_rate_factor
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate
        bits, bits_by_elements = self.run.mean_word_length, self.run.mean_word_length_by_elements
        with self._count() as counts:
            logits, task_loss, loss = self.backward(batch)
            self._last = self._state_of_weights()
            self.run.step(loss)
            self.optimizer.step()
            self.optimizer.zero_grad()
        outcome = StepOutcome(
            loss=float(task_loss.detach()),
            correct=_correct(logits, y),
            samples=len(y),
            seconds=time.perf_counter() - begun,
            mean_word_length=bits,
            mean_word_length_by_elements=bits_by_elements,
            counts=counts,
        )
        self._window.add(outcome)
        self._evaluated = False
        return outcome

    def backward(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Forward and backward of a training step, which leave gradients: logits, task loss, loss with the penalty."""
        x, y = batch
        self.model.train()
        logits = self.model(self._present(x))
        task_loss = loss_of(self.recipe.loss, logits, y)
        loss = task_loss + self.run.penalty()
        torch.autograd.backward(loss)
        return logits, task_loss, loss.detach()

    @torch.no_grad()
    def infer(self, x: Tensor) -> Tensor:
        """The logits of images in evaluation mode."""
        self.model.eval()
        logits: Tensor = self.model(self._present(x))
        return logits

    def switches(self, step: int) -> Iterator[SwitchLine]:
        """The decisions since the last call, `step` steps being done."""
        for switch in self.run.take_switches():
            yield SwitchLine.of(self.recipe.name, switch, step)

    def close_window(self, epoch: int, step: int) -> TrainLine:
        """The line over the steps since the last one, after `step` steps."""
        window, self._window = self._window, Window()
        if window.counts is not None:
            self.counts.merge(window.counts)
            self._spent.counts.merge(window.counts)
        return TrainLine(
            run=self.recipe.name,
            epoch=epoch,
            step=step,
            steps=window.steps,
            learning_rate=self._rate,
            **self._last,
            **window.means(),
            **count_fields(window.counts),
        )

    def close_counts(self, step: int) -> CountWindow | None:
        """What was counted since the last call, `step` steps being done; None where nothing was."""
        if not self._counting:
            return None
        spent = CountWindow(step, step - self._spent.step, self._spent.counts, self.recipe.name)
        self._spent = CountWindow(step, 0, Counts(), self.recipe.name)
        return spent

    @torch.no_grad()
    def evaluate(self, batches: Iterable[Batch], *, epoch: int, step: int, finalized: bool) -> TestLine:
        """The line of an evaluation. Batches must come in the same order each time; their size does not matter."""
        begun = time.perf_counter()
        loss, correct, samples = 0.0, 0, 0
        with self._count() as counts:
            for x, y in batches:
                with shard(samples):
                    logits = self.infer(x)
                loss += float(F.cross_entropy(logits, y, reduction="sum"))
                correct += _correct(logits, y)
                samples += len(y)
        self._evaluated = True
        if counts is not None:
            self.evaluation_counts = counts
        return TestLine(
            run=self.recipe.name,
            epoch=epoch,
            step=step,
            seconds=time.perf_counter() - begun,
            samples=samples,
            finalized=finalized,
            loss=loss / samples,
            accuracy=correct / samples,
            mean_word_length=self.run.mean_word_length,
            mean_word_length_by_elements=self.run.mean_word_length_by_elements,
            **self._state_of_weights(),
            **count_fields(counts),
        )

    def finalize(self) -> None:
        """Let the policy choose the formats that the trained network keeps."""
        self.run.finalize()

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "run": self.run.state_dict(),
            "window": self._window.state_dict(),
            "counts": self.counts.to_json(),
            "spent": self._spent.to_json(),
            "evaluated": self._evaluated,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.run.load_state_dict(state["run"])
        self._window.load_state_dict(state["window"])
        self.counts.merge(Counts.from_json(state["counts"]))
        self._spent = CountWindow.from_json(state["spent"])
        self._evaluated = state["evaluated"]
        if self._evaluated:  # then the weights were quantized there, and the next step will not count that again
            self._state_of_weights()

    def _state_of_weights(self) -> dict[str, Any]:
        """The fields of a line about the weights the network computes with now."""
        word_lengths = {name: (format.wl, format.fl) for name, format in self.run.formats.items()}
        return {"word_lengths": word_lengths, **sparsity_fields(self.model)}

    @contextmanager
    def _count(self) -> Iterator[Counts | None]:
        if not self._counting:
            yield None
            return
        with count() as counts:
            yield counts


def _optimizer(recipe: Recipe, model: nn.Module, seed: int) -> torch.optim.Optimizer:
    sgd = torch.optim.SGD(
        model.parameters(),
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        foreach=True,  # three calls of torch a step, not three a parameter; the same bits
    )
    if not recipe.kept_weights and not recipe.kept_momentum:
        return sgd
    state = {"momentum_buffer": recipe.kept_momentum} if recipe.kept_momentum else None
    return Quantized(sgd, model, weight=recipe.kept_weights or None, state=state, seed=seed)


def loss_of(loss: Loss, logits: Tensor, y: Tensor) -> Tensor:
    """The mean over the batch of the cross entropy, or of half the sum of squared errors against the class's unit."""
    match loss:
        case "cross_entropy":
            return F.cross_entropy(logits, y)
        case "half_squared_error":
            unit = F.one_hot(y, logits.shape[1]).to(logits.dtype)
            return 0.5 * (logits - unit).square().sum(1).mean()


def _needs_measuring(policy: Policy) -> bool:
    return isinstance(policy, Sakr) and policy.assignment is None


def _correct(logits: Tensor, y: Tensor) -> int:
    return int((logits.detach().argmax(1) == y).sum())
