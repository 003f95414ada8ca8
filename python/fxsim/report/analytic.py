"""What the papers' analytical models say of a run, beside what was counted under the same names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from fxsim.cost.counts import Counts
from fxsim.cost.widths import FLOAT_BITS, bits
from fxsim.ops.records import FLOAT32, OpRecord
from fxsim.policies.adapt import performance
from fxsim.policies.adapt.config import AdaPTConfig
from fxsim.policies.adapt.performance import LayerStep, Performance
from fxsim.policies.sakr.costs import FLOAT, Costs, LayerBits, LayerSize, costs
from fxsim.report.load import RunLog

_MULTIPLYING: Final = ("fwd", "dgrad", "wgrad")


@final
@dataclass(frozen=True, slots=True)
class Counted:
    """AdaPT's ratios from what was executed; above 1 where it is better than float32, nan where nothing was counted.

    speedup: operations times word length, 32 times all products of a training over what was not zero times the bits of
    its second operand, both gradients included. inference_speedup: the same of the evaluation in the formats kept.
    size: 32 bits times the weights over the bits of the non-zero ones. memory: of the float32 weights alone over these
    and the non-zero quantized ones beside them, mean over training.
    """

    speedup: float
    inference_speedup: float
    size: float
    memory: float


def trace(log: RunLog) -> list[list[LayerStep]]:
    """The layers of every step as AdaPT's performance model takes them; empty without counts or formats.

    Operations are multiply-accumulates of the forward pass of one image. Lookback and resolution are those of the
    latest decision.
    """
    forward = _forward(log)
    start = AdaPTConfig.from_options(log.recipe.options) if log.recipe.policy == "adapt" else AdaPTConfig()
    state = dict.fromkeys(forward, (start.lb_lwr, start.r_lwr))
    decisions = list(log.switches)
    steps: list[list[LayerStep]] = []
    for line in log.train:
        while decisions and decisions[0].step < line.step:
            details = decisions[0].details
            if "lookback" in details:
                state[decisions[0].layer] = (int(details["lookback"]), int(details["resolution"]))
            decisions.pop(0)
        layers = [
            LayerStep(
                operations=record.macs / (record.batch * record.calls),
                elements=record.b_elements,
                density=1.0 - line.sparsity_by_layer[name],
                wl=line.word_lengths[name][0],
                lookback=state[name][0],
                resolution=state[name][1],
            )
            for name, record in forward.items()
            if name in line.word_lengths
        ]
        if layers:
            steps += [layers] * line.steps
    return steps


def adapt(log: RunLog) -> tuple[Performance, Performance, Counted] | None:
    """The model as printed and as the tables were computed, and what was counted; None for another policy's run."""
    steps = trace(log) if log.recipe.policy == "adapt" else []
    if not steps:
        return None
    return performance.costs(steps), performance.costs(steps, profile="tables"), _counted(log)


def _counted(log: RunLog) -> Counted:
    forward = _forward(log)
    elements = {name: record.b_elements for name, record in forward.items()}
    whole = sum(elements.values())

    def stored(word_lengths: Mapping[str, tuple[int, int]], sparsity: Mapping[str, float]) -> float:
        return sum(elements[name] * (1 - sparsity[name]) * word_lengths[name][0] for name in elements)

    steps = sum(line.steps for line in log.train)
    during = sum(stored(line.word_lengths, line.sparsity_by_layer) * line.steps for line in log.train)
    kept = log.finalized
    return Counted(
        speedup=_operations_ratio([each.counts for each in log.windows]),
        inference_speedup=_operations_ratio([log.inference] if log.inference else []),
        size=32 * whole / stored(kept.word_lengths, kept.sparsity_by_layer) if kept else math.nan,
        memory=32 * whole / (32 * whole + during / steps),
    )


def _operations_ratio(counts: Sequence[Counts]) -> float:
    ours = full = 0
    for each in counts:
        for record in each.records:
            if record.macs and record.pass_ in _MULTIPLYING:
                valid = record.macs - record.pad_macs
                full += 32 * valid
                ours += record.nz_macs * bits(record.b)
    return full / ours if ours else math.nan


def _forward(log: RunLog) -> dict[str, OpRecord]:
    """One forward product of each layer that has a name."""
    found: dict[str, OpRecord] = {}
    for record in log.windows[0].counts.records if log.windows else ():
        if record.pass_ == "fwd" and record.macs and record.layer and record.a not in FLOAT_BITS:
            found.setdefault(record.layer, record)
    return found


def sakr_costs(log: RunLog) -> tuple[Costs, Costs] | None:
    """C_W, C_A, C_M and C_C of the formats at the run's end, and of float32 in the same layers; None without formats.

    An operand that was float32 has 32 bits, an exact accumulator as well: it is kept in a float between steps. So has
    everything of a layer that ended in float32.
    """
    forward = _forward(log)
    if not forward:
        return None
    last: dict[tuple[str, str], OpRecord] = {}
    for record in log.windows[-1].counts.records:
        if record.macs:
            last[record.layer, str(record.pass_)] = record
    sizes = [_size(record) for record in forward.values()]
    return costs(sizes, [_bits(last, name) for name in forward]), costs(sizes, [FLOAT] * len(sizes))


def _size(record: OpRecord) -> LayerSize:
    outputs = record.m * record.n * record.groups // record.batch
    return LayerSize(record.b_elements, record.a_elements // record.batch, outputs, record.k)


def _bits(records: Mapping[tuple[str, str], OpRecord], layer: str) -> LayerBits:
    forward = records.get((layer, "fwd"))
    if forward is None:  # the run ended in float32, and torch's products bear no layer's name
        return FLOAT
    backward = records.get((layer, "wgrad"))
    gradient = bits(backward.a if backward else FLOAT32)
    return LayerBits(
        weight=bits(forward.b),
        activation=bits(forward.a),
        weight_gradient=32,
        activation_gradient=gradient,
        accumulator=32,
    )
