"""The precision range test: what is the least precision that a network can begin to learn with?"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

import torch
from torch import Tensor, nn

from fxsim.nn import Ranged
from fxsim.policies.affine import affine_numerics
from fxsim.policies.cpt.policy import CPT
from fxsim.train.attach import Run

Mode: TypeAlias = Literal["restart", "continue"]

LEAST_BITS: Final = 2
SHARE_LIMIT: Final = 0.1
"""Of a run's steps that a test may take unless it is forced to."""


@final
@dataclass(frozen=True, slots=True)
class RangeTest:
    """What a precision range test has found.

    low: the least precision to train with, in bits. accuracies: training accuracy by bits, of those that were tried.
    steps: what it cost.
    """

    low: int
    accuracies: Mapping[int, float]
    steps: int


def range_test(
    run: Run,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[tuple[Tensor, Tensor]],
    criterion: Callable[[Tensor, Tensor], Tensor],
    *,
    mode: Mode = "restart",
    tolerance: float = 0.02,
    threshold: float = 0.01,
    force: bool = False,
    stepped: Callable[[int, int], None] = lambda _, __: None,
) -> RangeTest:
    """Train on the batches at 2, 3, ... bits, up to the policy's upper bound, and say where training begins to work.

    "restart": each precision starts from the same network, optimizer and random state, all of which are put back in the
    end; the answer is the least precision whose accuracy over the second half of the batches comes within `tolerance`
    of the best. "continue": the article's rule. Each precision goes on where the one before it ended; the answer is the
    first whose accuracy exceeds the one before it, chance for the first, by more than `threshold`; else the upper
    bound. What was learned stays.

    run: of a CPT policy, before its first step. optimizer: of the run's model. batches: inputs and labels; 100 of them
    are usual. criterion: the loss of logits (B, classes) and labels. stepped: is told the number of steps done, and how
    many there can be, after each.

    Raises:
        TypeError: the policy is not CPT.
        ValueError: there are no batches, the mode is unknown, or the test would take more than a tenth of the run.

    Source: Fu et al. 2021 (CPT), section 3.3, for "continue".
    """
    policy = run.policy
    if not isinstance(policy, CPT):
        raise TypeError(f"range_test: the policy is {policy.name}: only cpt has a lower bound to find")
    bits = range(LEAST_BITS, policy.config.high + 1)
    _check(mode, batches, len(bits) * len(batches), policy.total_steps, force)
    steps = len(bits) * len(batches)
    done = itertools.count(1)
    trial = _Trial(
        run.model, optimizer, batches, criterion, policy.config.grad_high, lambda: stepped(next(done), steps)
    )
    if mode == "continue":
        return _first_rise(trial, bits, threshold)
    before = copy.deepcopy((run.model.state_dict(), optimizer.state_dict(), run.state_dict()))
    accuracies = {}
    with torch.random.fork_rng(devices=[]):
        random = torch.get_rng_state()
        for each in bits:
            torch.set_rng_state(random)
            hits = trial.accuracies(each)
            accuracies[each] = _mean(hits[len(hits) // 2 :])
            model, state, policy_state = copy.deepcopy(before)
            run.model.load_state_dict(model)
            optimizer.load_state_dict(state)
            run.load_state_dict(policy_state)
    low = min(each for each in bits if accuracies[each] >= max(accuracies.values()) - tolerance)
    return RangeTest(low, accuracies, steps)


def _check(mode: str, batches: Sequence[object], steps: int, total: int, force: bool) -> None:
    if not batches:
        raise ValueError("range_test: there are no batches; give about 100")
    if mode not in ("restart", "continue"):
        raise ValueError(f"range_test: mode is {mode!r}; give restart or continue")
    if steps > SHARE_LIMIT * total and not force:
        raise ValueError(
            f"range_test: {steps} steps are more than a tenth of a run of {total}; give fewer batches, or force=True"
        )
    if mode == "continue":
        warnings.warn(
            "range_test: the article's rule answers 2 bits whenever the network learns at 2 bits at all; "
            "mode 'restart' compares precisions",
            stacklevel=3,
        )


def _first_rise(trial: _Trial, bits: range, threshold: float) -> RangeTest:
    accuracies: dict[int, float] = {}
    before = trial.chance()
    for each in bits:
        accuracies[each] = _mean(trial.accuracies(each))
        if accuracies[each] - before > threshold:
            return RangeTest(each, accuracies, len(accuracies) * len(trial.batches))
        before = accuracies[each]
    return RangeTest(bits[-1], accuracies, len(accuracies) * len(trial.batches))


@final
@dataclass(frozen=True, slots=True)
class _Trial:
    """Training for a while at one precision."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    batches: Sequence[tuple[Tensor, Tensor]]
    criterion: Callable[[Tensor, Tensor], Tensor]
    grad_bits: int
    stepped: Callable[[], None]

    def chance(self) -> float:
        with torch.no_grad():
            logits = copy.deepcopy(self.model).eval()(self.batches[0][0])
        return 1.0 / int(logits.shape[1])

    def accuracies(self, bits: int) -> list[float]:
        """Of each batch, before the step on it."""
        for module in self.model.modules():
            if isinstance(module, Ranged):
                module.numerics = affine_numerics(bits, bits, self.grad_bits)
        self.model.train()
        found = []
        for x, y in self.batches:
            logits = self.model(x)
            self.optimizer.zero_grad()
            torch.autograd.backward(self.criterion(logits, y))
            self.optimizer.step()
            found.append(float((logits.detach().argmax(1) == y).double().mean()))
            self.stepped()
        self.optimizer.zero_grad()
        return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
