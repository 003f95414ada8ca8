"""The figures that sum a run up, and the small table of them that page and terminal share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, final

from fxsim.cost.widths import FLOAT32_BIT_OPERATIONS
from fxsim.report.load import RunData, RunLog
from fxsim.report.text import count_text, duration_text, percent_text
from fxsim.train.lines import UNPADDED, MetricsLine

PASSES: Final = ("fwd", "dgrad", "wgrad", "other")
"""Passes that multiply."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One network of a run in figures; nan or None where the run has none (yet).

    accuracy: on the test data, in the formats the trained network keeps. accuracy_before: in those of the last step.
    word_length_*: mean bits over the weighted layers: over all steps, at the last step, in the formats kept
    (`_by_elements`: layers weighed by their number of weights).
    sparsity: fraction of quantized weights that are zero, at the end.
    macs: of all training steps; unpadded_macs: those that are not structural zeros.
    *_bit_operations: unpadded macs * bits * bits as a fraction of float32's for the same macs: of training, of its
    forward passes alone, and of inference in the formats kept.
    overflow_events, inexact_carriers: over all training steps.
    seconds: wall time of the training steps.
    """

    name: str
    adaptive: bool
    accuracy: float
    accuracy_before: float
    word_length_average: float
    word_length_last: float
    word_length_final: float
    word_length_final_by_elements: float
    sparsity: float
    macs: int | None
    unpadded_macs: int | None
    training_bit_operations: float
    forward_bit_operations: float
    inference_bit_operations: float
    overflow_events: int | None
    switches: int
    seconds: float


def summarize(log: RunLog) -> Summary:
    """The figures of one network."""
    before = next((line for line in reversed(log.test) if not line.finalized), None)
    final = log.finalized
    end = final or before
    counted = [line for line in log.train if line.macs is not None]
    steps = sum(line.steps for line in log.train)
    return Summary(
        name=log.name,
        adaptive=bool(log.switches),
        accuracy=end.accuracy if end else math.nan,
        accuracy_before=before.accuracy if before else math.nan,
        word_length_average=_ratio(sum(line.mean_word_length * line.steps for line in log.train), steps),
        word_length_last=_last_mean(log),
        word_length_final=final.mean_word_length if final else math.nan,
        word_length_final_by_elements=final.mean_word_length_by_elements if final else math.nan,
        sparsity=end.sparsity if end else math.nan,
        macs=sum(line.macs or 0 for line in counted) if counted else None,
        unpadded_macs=unpadded_macs(counted, PASSES) if counted else None,
        training_bit_operations=relative_bit_operations(counted, PASSES),
        forward_bit_operations=relative_bit_operations(counted, ("fwd",)),
        inference_bit_operations=relative_bit_operations([end] if end else [], ("fwd",)),
        overflow_events=sum(line.overflow_events or 0 for line in counted) if counted else None,
        switches=sum(line.old != line.new for line in log.switches),
        seconds=sum(line.seconds for line in log.train),
    )


def relative_bit_operations(lines: Iterable[MetricsLine], passes: Iterable[str]) -> float:
    """Bit-operations of these passes as a fraction of float32's for the same macs, structural zeros left out of both.

    nan without macs.
    """
    lines, passes = tuple(lines), tuple(passes)
    bits = sum(line.counts.get(pass_, {}).get(UNPADDED, 0) for line in lines for pass_ in passes)
    return _ratio(bits, unpadded_macs(lines, passes) * FLOAT32_BIT_OPERATIONS)


def unpadded_macs(lines: Iterable[MetricsLine], passes: Iterable[str]) -> int:
    """Multiply-accumulates of these passes that are not structural zeros."""
    passes = tuple(passes)
    counts = [line.counts.get(pass_, {}) for line in lines for pass_ in passes]
    return sum(each.get("macs", 0) - each.get("pad_macs", 0) for each in counts)


def _last_mean(log: RunLog) -> float:
    if not log.train:
        return math.nan
    formats = log.train[-1].word_lengths
    return _ratio(sum(wl for wl, _ in formats.values()), len(formats)) if formats else log.train[-1].mean_word_length


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: what it is, its text for each network, and what exactly is meant."""

    label: str
    values: tuple[str, ...]
    meaning: str = ""


def table(data: RunData) -> tuple[Row, ...]:
    """The table that sums a run up: one column a network, in the configuration's order."""
    summaries = [summarize(log) for log in data.logs]
    adaptive = any(each.adaptive for each in summaries)

    def row(label: str, value: Callable[[Summary], str], meaning: str = "") -> Row:
        return Row(label, tuple(value(each) for each in summaries), meaning)

    bits = "bits of the weights, plain mean over the weighted layers"
    of_float = "MACs × bits × bits over float32's for the same MACs, structural zeros left out"
    kept = "the same, in the formats that the trained network keeps"
    rows = [
        row("Test accuracy", lambda s: percent_text(s.accuracy, 2), "in the formats that the trained network keeps"),
        row("… before finalize", lambda s: percent_text(s.accuracy_before, 2), "in the formats of the last step"),
        row("Mean word length, time average", lambda s: _bits(s.word_length_average), f"{bits}, mean over all steps"),
        row("… at the last step", lambda s: _bits(s.word_length_last), bits),
        row("… after finalize", lambda s: _bits(s.word_length_final), bits),
        row("… after finalize, by weight", lambda s: _bits(s.word_length_final_by_elements), "mean over weights"),
        row("Weights that are zero", lambda s: percent_text(s.sparsity, 1), "after quantization, at the end"),
        row("Format switches", lambda s: f"{s.switches:,}", "decisions that changed a layer's format"),
        row(
            "MACs of training",
            lambda s: count_text(s.macs),
            "forward and both gradients, as matrix products: taps on padding and between strides included",
        ),
        row("… structural zeros left out", lambda s: count_text(s.unpadded_macs), "those that meet no padding"),
        row("Bit-operations of training", lambda s: percent_text(s.training_bit_operations, 1), of_float),
        row("… of its forward passes", lambda s: percent_text(s.forward_bit_operations, 1), "the same, forward only"),
        row("… of inference", lambda s: percent_text(s.inference_bit_operations, 1), kept),
        row("Overflow events in training", lambda s: count_text(s.overflow_events), "values that saturation changed"),
        row("Time of the training steps", lambda s: duration_text(s.seconds), "wall time, counting included"),
    ]
    hidden = set() if adaptive else {"… before finalize", "… at the last step", "Format switches"}
    return tuple(each for each in rows if each.label not in hidden)


def _bits(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f}"
