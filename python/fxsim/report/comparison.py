"""Networks of one run held against float32: accuracy, bit-operations, memory, word lengths."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, final

from fxsim.report.load import RunData, RunLog
from fxsim.report.summary import summarize
from fxsim.report.text import ABSENT, percent_text

FLOAT_BITS: Final = 32

HEADINGS: Final = ("Policy", "Accuracy", "gain", "Bit-ops", "inference", "Memory", "Mean WL", "Final WL")

LEGEND: Final = (
    "Test accuracy, and points gained over float32; bit-operations of training and of inference, relative to float32 "
    "for the same products; memory of the quantized layers' weights, relative to float32; bits of a weight over the "
    "run, and in the end."
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One policy; fractions are of float32, nan where the run has no figure.

    failure: why its training did not come to its end; "" if it did. Figures are then those of the steps it took.
    accuracy: on the test data, in the formats the trained network keeps. accuracy_gain: less float32's.
    *_bit_operations: as in `Summary`. weight_memory: mean bits over 32 of the quantized layers' weights over the run,
    weighed by their number. word_length_average, word_length_final: plain means over those layers, in bits.
    """

    policy: str
    failure: str = ""
    accuracy: float
    accuracy_gain: float
    training_bit_operations: float
    inference_bit_operations: float
    weight_memory: float
    word_length_average: float
    word_length_final: float


def compare(
    data: RunData, baseline: str = "float32", failures: Mapping[str, str] = MappingProxyType({})
) -> tuple[Compared, ...]:
    """The networks of a run in the configuration's order.

    failures: why a network did not come to its end, by name; it then has no accuracy.

    Raises ValueError where the run has no network of the baseline's name.
    """
    summaries = {log.name: summarize(log) for log in data.logs}
    if baseline not in summaries:
        raise ValueError(f"compare: the run has no network {baseline}; it has {', '.join(summaries)}")
    accuracies = {name: math.nan if name in failures else each.accuracy for name, each in summaries.items()}
    return tuple(
        Compared(
            policy=log.name,
            failure=failures.get(log.name, ""),
            accuracy=accuracies[log.name],
            accuracy_gain=accuracies[log.name] - accuracies[baseline],
            training_bit_operations=summaries[log.name].training_bit_operations,
            inference_bit_operations=summaries[log.name].inference_bit_operations,
            weight_memory=_memory(log),
            word_length_average=summaries[log.name].word_length_average,
            word_length_final=summaries[log.name].word_length_final,
        )
        for log in data.logs
    )


def rows(compared: Sequence[Compared]) -> list[tuple[str, ...]]:
    """The table as text, below HEADINGS."""
    return [
        (
            each.policy,
            "failed" if each.failure else percent_text(each.accuracy, 2),
            ABSENT if math.isnan(each.accuracy_gain) else f"{100 * each.accuracy_gain:+.2f}",
            percent_text(each.training_bit_operations, 1),
            percent_text(each.inference_bit_operations, 1),
            percent_text(each.weight_memory, 1),
            _bits(each.word_length_average),
            _bits(each.word_length_final),
        )
        for each in compared
    ]


def to_json(compared: Sequence[Compared], about: Mapping[str, str]) -> str:
    """The table as JSON: what it is about, and "rows", a list of objects; nan becomes null."""
    plain = [
        {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in each.items()}
        for each in map(dataclasses.asdict, compared)
    ]
    return json.dumps({**about, "rows": plain}, indent=2) + "\n"


def from_json(text: str) -> tuple[dict[str, str], tuple[Compared, ...]]:
    """What `to_json` wrote: what the table is about, and its rows."""
    about: dict[str, Any] = json.loads(text)
    plain: list[dict[str, Any]] = about.pop("rows")
    for each in plain:
        each.update({name: math.nan for name, value in each.items() if value is None})
    return about, tuple(Compared(**each) for each in plain)


def _bits(mean: float) -> str:
    return ABSENT if math.isnan(mean) else f"{mean:.1f}"


def _memory(log: RunLog) -> float:
    steps = sum(line.steps for line in log.train)
    bits = sum(line.mean_word_length_by_elements * line.steps for line in log.train)
    return bits / steps / FLOAT_BITS if steps else math.nan
