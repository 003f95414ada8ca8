"""The lines of metrics.jsonl and switches.jsonl: what each means, and how it is written and read."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self, TypeAlias, final

from fxsim.policies import Switch

PassCounts: TypeAlias = Mapping[str, Mapping[str, int]]
"""Counts by pass ("fwd", "dgrad", "wgrad", ...), then by name: those of `fxsim.cost.totals.Total`, and UNPADDED."""

UNPADDED: Final = "unpadded_bit_operations"
"""Bit-operations of the multiply-accumulates that are not structural zeros."""

WordLengths: TypeAlias = Mapping[str, tuple[int, int]]
"""Word length and fractional length of every weighted layer, by its dotted name; empty for floating point."""

FLOAT32_BITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _MetricsLine:
    """What both kinds of lines hold.

    run: the recipe's name. epoch: from 0. step: optimizer steps done. seconds: of wall time.
    loss: mean cross entropy; accuracy: a fraction.
    mean_word_length: bits of the weights, plain mean over the weighted layers (32 for floating point);
    mean_word_length_by_elements: the same, each layer weighed by its number of weights.
    word_lengths: see WordLengths.
    sparsity: fraction of the quantized weights that are zero, over all weighted layers; sparsity_by_layer: of each.
    macs, bit_operations, overflow_events: sums of `counts`; None where nothing was counted.
    overflow_by_layer: overflow events of every layer that had any.
    counts: see PassCounts.
    """

    run: str
    epoch: int
    step: int
    seconds: float
    loss: float
    accuracy: float
    mean_word_length: float
    mean_word_length_by_elements: float
    word_lengths: WordLengths
    sparsity: float
    sparsity_by_layer: Mapping[str, float]
    macs: int | None = None
    bit_operations: int | None = None
    overflow_events: int | None = None
    overflow_by_layer: Mapping[str, int] = dataclasses.field(default_factory=dict)
    counts: PassCounts = dataclasses.field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainLine(_MetricsLine):
    """Training over the last `steps` steps: loss, accuracy and word lengths are means, counts are sums over them.

    loss leaves out what the policy adds. word_lengths and sparsity are those of the last of these steps.
    learning_rate: of the last step.
    """

    split: ClassVar[str] = "train"

    steps: int
    learning_rate: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TestLine(_MetricsLine):
    """An evaluation on the whole test data. finalized: in the formats that the trained network keeps."""

    __test__: ClassVar[bool] = False  # the name means the data, not a test of pytest
    split: ClassVar[str] = "test"

    samples: int
    finalized: bool


MetricsLine: TypeAlias = TrainLine | TestLine


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchLine:
    """A layer's format was decided anew after `step` steps; it holds from the next one on.

    old, new: texts of formats; equal where the old one was confirmed. details: the numbers behind it.
    """

    run: str
    step: int
    layer: str
    old: str
    new: str
    reason: str
    details: Mapping[str, float]

    @classmethod
    def of(cls, run: str, switch: Switch, step: int) -> Self:
        """The line of a policy's switch."""
        return cls(
            run=run,
            step=step,
            layer=switch.layer,
            old=str(switch.old),
            new=str(switch.new),
            reason=switch.reason,
            details=dict(switch.details),
        )


def to_json(line: MetricsLine | SwitchLine) -> str:
    """A line as JSON text, without its line break.

    Floats keep every bit; NaN and infinity, which JSON lacks, become null.
    """
    head = {} if isinstance(line, SwitchLine) else {"run": line.run, "split": line.split}
    return json.dumps(_plain({**head, **dataclasses.asdict(line)}), separators=(",", ":"))


def metrics_from_json(text: str) -> MetricsLine:
    """The line that `to_json` wrote.

    Raises:
        ValueError: the text is no such line.
    """
    content = _object(text)
    kinds: dict[str, type[MetricsLine]] = {kind.split: kind for kind in (TrainLine, TestLine)}
    kind = kinds.get(content.pop("split", ""))
    if kind is None:
        raise ValueError(f"a line of metrics names neither split {' nor '.join(kinds)}: {text[:80]}")
    content["word_lengths"] = {name: (wl, fl) for name, (wl, fl) in content.get("word_lengths", {}).items()}
    if content.get("loss", 0.0) is None:
        content["loss"] = math.nan
    line: MetricsLine = _build(kind, content, text)
    return line


def switch_from_json(text: str) -> SwitchLine:
    """The line that `to_json` wrote.

    Raises:
        ValueError: the text is no such line.
    """
    line: SwitchLine = _build(SwitchLine, _object(text), text)
    return line


def _object(text: str) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError(f"a line of a run folder is not a JSON object: {text[:80]}")
    return content


def _build(kind: type[Any], content: dict[str, Any], text: str) -> Any:
    try:
        return kind(**content)
    except TypeError as error:
        raise ValueError(f"not a line of {kind.__name__}: {error}: {text[:80]}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
