"""What happened over the steps that one line of metrics covers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from fxsim.cost.counts import Counts
from fxsim.cost.totals import Total, bit_operations
from fxsim.train.lines import UNPADDED, PassCounts

_COUNT_NAMES: Final = tuple(field.name for field in dataclasses.fields(Total))


@final
@dataclass(frozen=True, slots=True)
class StepOutcome:
    """One optimizer step of one network. loss: mean cross entropy of the batch. correct: samples told right."""

    loss: float
    correct: int
    samples: int
    seconds: float
    mean_word_length: float
    mean_word_length_by_elements: float
    counts: Counts | None


@final
class Window:
    """Sums of outcomes since the last line."""

    __slots__ = ("_correct", "_elements_bits", "_loss", "_samples", "_seconds", "_word_bits", "counts", "steps")

    def __init__(self) -> None:
        self.steps = 0
        self.counts: Counts | None = None
        self._samples = 0
        self._correct = 0
        self._loss = self._seconds = self._word_bits = self._elements_bits = 0.0

    def add(self, outcome: StepOutcome) -> None:
        """Take one step in."""
        self.steps += 1
        self._samples += outcome.samples
        self._correct += outcome.correct
        self._loss += outcome.loss * outcome.samples
        self._seconds += outcome.seconds
        self._word_bits += outcome.mean_word_length
        self._elements_bits += outcome.mean_word_length_by_elements
        if outcome.counts is not None:
            if self.counts is None:
                self.counts = Counts()
            self.counts.merge(outcome.counts)

    def means(self) -> dict[str, Any]:
        """The fields of a metrics line that are means over the steps, and the time they took."""
        return {
            "seconds": self._seconds,
            "loss": self._loss / self._samples,
            "accuracy": self._correct / self._samples,
            "mean_word_length": self._word_bits / self.steps,
            "mean_word_length_by_elements": self._elements_bits / self.steps,
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "samples": self._samples,
            "correct": self._correct,
            "sums": [self._loss, self._seconds, self._word_bits, self._elements_bits],
            "counts": None if self.counts is None else self.counts.to_json(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps, self._samples, self._correct = state["steps"], state["samples"], state["correct"]
        self._loss, self._seconds, self._word_bits, self._elements_bits = state["sums"]
        self.counts = None if state["counts"] is None else Counts.from_json(state["counts"])


def count_fields(counts: Counts | None) -> dict[str, Any]:
    """The fields of a metrics line that are counts; none where nothing was counted."""
    if counts is None:
        return {}
    total = counts.total
    by_layer = {layer: each.overflow_events for layer, each in counts.by("layer").items()}
    return {
        "macs": total.macs,
        "bit_operations": total.bit_operations,
        "overflow_events": total.overflow_events,
        "overflow_by_layer": {layer: events for layer, events in by_layer.items() if events},
        "counts": _by_pass(counts),
    }


def _by_pass(counts: Counts) -> PassCounts:
    unpadded: dict[str, int] = {}
    for record in counts.records:
        if record.macs:
            bits = bit_operations(record) // record.macs
            unpadded[record.pass_] = unpadded.get(record.pass_, 0) + (record.macs - record.pad_macs) * bits
    return {
        pass_: {name: value for name in _COUNT_NAMES if (value := getattr(total, name))}
        | ({UNPADDED: unpadded[pass_]} if pass_ in unpadded else {})
        for pass_, total in counts.by("pass_").items()
    }
