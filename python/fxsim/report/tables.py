"""The tables of a report below its headline: switches, costs by pass and by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from fxsim.cost.totals import Total
from fxsim.cost.widths import FLOAT32_BIT_OPERATIONS
from fxsim.report.figures import Bar
from fxsim.report.load import RunData, RunLog
from fxsim.report.summary import PASSES, unpadded_macs
from fxsim.report.text import ABSENT, count_text, percent_text
from fxsim.train.lines import UNPADDED, MetricsLine


@final
@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows of text; the first column is a name, the others are figures."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def switches(log: RunLog) -> Table:
    """How often each layer's format was decided and changed, and where it went."""
    rows = []
    for name, spans in log.spans().items():
        decisions = [each for each in log.switches if each.layer == name]
        lengths = [span.format.wl for span in spans]
        mean = sum(span.format.wl * (span.last - span.first + 1) for span in spans) / max(log.steps, 1)
        kept = log.finalized.word_lengths.get(name) if log.finalized else None
        rows.append(
            (
                name,
                str(spans[0].format),
                str(spans[-1].format),
                f"<{kept[0]},{kept[1]}>" if kept else ABSENT,
                f"{len(decisions):,}",
                f"{sum(each.old != each.new for each in decisions):,}",
                f"{mean:.1f}",
                f"{min(lengths)}–{max(lengths)}",
            )
        )
    headings = ("Layer", "First", "Last step", "Finalized", "Decisions", "Changes", "Mean WL", "Range of WL")
    return Table(headings, rows)


def cost_by_pass(log: RunLog) -> Table:
    """What the training steps executed, by pass."""
    totals = log.counts.by("pass_") if log.counts else {}
    rows = [
        (
            pass_,
            count_text(total.macs),
            count_text(total.bit_operations),
            percent_text(total.relative_bit_operations, 1),
            _share(total.pad_macs, total.macs),
            _share(total.zero_macs, total.macs),
            count_text(total.overflow_events),
            count_text(total.inexact),
            count_text(total.round_to_zero),
            count_text(total.random_draws),
            count_text(total.inexact_carriers),
        )
        for pass_, total in totals.items()
    ]
    headings = (
        "Pass", "MACs", "Bit-operations", "of float32", "Structural zeros", "Zero MACs", "Overflows",
        "Inexact", "To zero", "Random draws", "Inexact carriers",
    )  # fmt: skip
    return Table(headings, rows)


def cost_by_layer(log: RunLog) -> Table:
    """What each layer's forward passes executed in training, and its overflows in all passes."""
    if log.counts is None:
        return Table((), ())
    by_pass = log.counts.by("layer", "pass_")
    by_layer = log.counts.by("layer")
    kept: Mapping[str, tuple[int, int]] = log.finalized.word_lengths if log.finalized else {}
    rows = []
    for name in log.train[-1].sparsity_by_layer if log.train else ():
        forward = by_pass.get((name, "fwd"), Total())
        whole = by_layer.get(name, Total())
        rows.append(
            (
                name,
                f"<{kept[name][0]},{kept[name][1]}>" if name in kept else ABSENT,
                count_text(forward.macs),
                percent_text(forward.relative_bit_operations, 1),
                _share(forward.zero_a_macs, forward.macs),
                _share(forward.zero_b_macs, forward.macs),
                _share(forward.nz_macs, forward.macs),
                count_text(whole.overflow_events),
                _share(forward.output_overflows, forward.elements_written, 3),
            )
        )
    headings = (
        "Layer", "Finalized", "Forward MACs", "Bit-ops of float32", "Input zero", "Weight zero", "Both non-zero",
        "Overflows", "of outputs",
    )  # fmt: skip
    return Table(headings, rows)


def backward_share(log: RunLog) -> float:
    """Share of float32's bit-operations of a training step that its backward pass makes; nan without counts."""
    whole = unpadded_macs(log.train, PASSES)
    return 1 - unpadded_macs(log.train, ("fwd",)) / whole if whole else math.nan


def uncounted(log: RunLog) -> str:
    """Float arithmetic that ran without a record, as text; empty where there was none."""
    ops = sorted(log.counts.uncounted, key=lambda each: -each.elements_written) if log.counts else []
    return ", ".join(f"{each.op.removeprefix('aten.')} ({count_text(each.elements_written)})" for each in ops)


def cost_bars(data: RunData) -> list[Bar]:
    """Bit-operations of training and of inference for each network, as shares of float32's."""
    bars: list[Bar] = [(f"training, {log.name}", _shares(log.train)) for log in data.logs]
    bars += [(f"inference, {log.name}", _shares([log.finalized], ("fwd",))) for log in data.logs if log.finalized]
    return [bar for bar in bars if bar[1]]


def _shares(lines: Sequence[MetricsLine], passes: Sequence[str] = PASSES) -> list[tuple[str, float]]:
    whole = unpadded_macs(lines, passes) * FLOAT32_BIT_OPERATIONS
    bits = {pass_: sum(line.counts.get(pass_, {}).get(UNPADDED, 0) for line in lines) for pass_ in passes}
    return [(pass_, value / whole) for pass_, value in bits.items() if value]


def _share(part: int, whole: int, digits: int = 1) -> str:
    return percent_text(part / whole if whole else math.nan, digits)
