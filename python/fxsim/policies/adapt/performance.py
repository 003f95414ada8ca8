"""AdaPT's analytical performance model: equations 6 to 9, and the formulas behind the published tables.

Both are estimates made from word lengths, densities and operation counts of a run; measured counts are another
matter. The two profiles differ because the tables do not follow from the printed equations:

    "eq"      as printed: cost of a step = sum over layers of ops (sp WL + 32 / accs), plus AdaPT's own overhead
    "tables"  as computed for the tables: F = sum ops 32,  Q = sum sp (ops WL + overhead),  SU1 = 2 F / (Q + F)

In the paper's quotients "other" and "ours" are sometimes exchanged; here a ratio above 1 always means that AdaPT is
better, and `paper_orientation` gives the number as the paper tabulates it.

Source: Kummer et al. 2021, equations 6 to 9.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

from fxsim.policies.adapt.config import WORD_BITS

Profile: TypeAlias = Literal["eq", "tables"]

SHORTEST_WL = 8
"""The least word length that PushUp decides, 4 + 4: bisections span WORD_BITS - SHORTEST_WL candidates."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LayerStep:
    """One layer in one optimizer step.

    operations: multiply-adds of the forward pass of one sample. elements: of the weight tensor.
    density: share of non-zero weights, the paper's "sp". wl, resolution, lookback: of the layer at that step.
    """

    operations: float
    elements: int
    density: float
    wl: int
    resolution: int
    lookback: int


Trace: TypeAlias = Sequence[Sequence[LayerStep]]
"""The layers of every step, in order."""


def push_down_operations(resolution: int, elements: int) -> float:
    """Equation 6: 2 log2(32 - 8) r 3 prod(dim), a bound on the operations of one PushDown."""
    return 2.0 * math.log2(WORD_BITS - SHORTEST_WL) * resolution * 3.0 * elements


def push_up_operations(lookback: int, elements: int) -> float:
    """Equation 7: (lb + 1) prod(dim) + 1, a bound on the operations of one PushUp."""
    return (lookback + 1.0) * elements + 1.0


def training_cost(trace: Trace, accs: int) -> float:
    """Equation 8, first part: sum of ops (sp WL + 32 / accs), the float32 backward pass included."""
    return math.fsum(
        layer.operations * (layer.density * layer.wl + WORD_BITS / accs) for step in trace for layer in step
    )


def adapt_cost(trace: Trace, accs: int) -> float:
    """Equation 8, second part: sum of 32 (sp ops_pd + ops_pu) / (accs lb), the cost of deciding."""
    return math.fsum(WORD_BITS * _deciding(layer) / (accs * layer.lookback) for step in trace for layer in step)


def _deciding(layer: LayerStep) -> float:
    down = push_down_operations(layer.resolution, layer.elements)
    return layer.density * down + push_up_operations(layer.lookback, layer.elements)


def float32_cost(trace: Trace, accs: int) -> float:
    """Equation 8 for plain float32 training: sum of ops (32 + 32 / accs)."""
    return math.fsum(layer.operations * (WORD_BITS + WORD_BITS / accs) for step in trace for layer in step)


def model_size(layers: Sequence[LayerStep]) -> float:
    """sz: the sum over layers of sp WL, of the trained network."""
    return math.fsum(layer.density * layer.wl for layer in layers)


def memory(trace: Trace) -> float:
    """mem, equation 9: the mean over steps of the sum over layers of sp WL + 32."""
    return math.fsum(layer.density * layer.wl + WORD_BITS for step in trace for layer in step) / len(trace)


@final
@dataclass(frozen=True, slots=True)
class Ratio:
    """A comparison. better_above_one: above 1 where AdaPT is better. paper_orientation: as the paper tabulates it."""

    better_above_one: float
    paper_orientation: float


@final
@dataclass(frozen=True, slots=True)
class Performance:
    """AdaPT against float32 training of the same network. profile: see the module.

    speedup: of training. inference_speedup: of the trained network. size: of the trained network; the paper tabulates
    ours / float32. memory: of training; the paper tabulates ours / float32.
    """

    profile: Profile
    speedup: Ratio
    inference_speedup: Ratio
    size: Ratio
    memory: Ratio


def costs(trace: Trace, *, accs: int = 1, profile: Profile = "eq") -> Performance:
    """The performance model over a run.

    trace: at least one step, each with the same layers; the last one stands for the trained network.
    accs: micro-batches accumulated in a step ("eq" only).
    """
    if not trace or not all(trace):
        raise ValueError("costs: the trace is empty; give at least one step with at least one layer")
    if accs < 1:
        raise ValueError(f"costs: accs is {accs}; give 1 or more")
    last = trace[-1]
    size = model_size(last) / (WORD_BITS * len(last))
    inference = _float_operations([last]) / math.fsum(x.density * x.operations * x.wl for x in last)
    if profile == "eq":
        ours = training_cost(trace, accs) + adapt_cost(trace, accs)
        speedup = float32_cost(trace, accs) / ours
        bits = memory(trace) / (WORD_BITS * len(last))
    else:
        full, quantized = _float_operations(trace), quantized_operations(trace)
        speedup = speedup_table(quantized / full)
        bits = memory_table([layer.density * layer.wl for step in trace for layer in step])
    return Performance(
        profile,
        Ratio(speedup, speedup),
        Ratio(inference, inference),
        Ratio(1.0 / size, size),
        Ratio(1.0 / bits, bits),
    )


def _float_operations(trace: Trace) -> float:
    """F = sum ops 32."""
    return math.fsum(layer.operations * WORD_BITS for step in trace for layer in step)


def quantized_operations(trace: Trace) -> float:
    """Q = sum sp (ops WL + overhead), with the cost of deciding spread over the lookback."""
    return math.fsum(
        layer.density * (layer.operations * layer.wl + WORD_BITS * _deciding(layer) / layer.lookback)
        for step in trace
        for layer in step
    )


def speedup_table(quantized_share: float) -> float:
    """SU1 = 2 F / (Q + F), from Q / F: neither accumulation nor batch size enter."""
    return 2.0 / (quantized_share + 1.0)


def quantized_share_of(su1: float) -> float:
    """Q / F, from a tabulated SU1."""
    return 2.0 / su1 - 1.0


def speedup_of_three_products(quantized_share: float) -> float:
    """3 F / (Q + 2 F): what SU1 becomes where the float32 backward pass is the two products that it is.

    The paper counts one product of the backward pass, so that SU1 cannot exceed 2; with both, the limit is 1.5.
    """
    return 3.0 / (quantized_share + 2.0)


def speedup_to_accuracy(su1: float, share_of_training: float) -> float:
    """SU2: SU1 over the share of training after which the float32 accuracy was reached."""
    return su1 / share_of_training


def speedup_against_longer_training(
    quantized_share: float, *, accs: int, batch: int, other_batch: int = 128, epochs: int = 100, other_epochs: int = 150
) -> float:
    """SU3 = (150 / 100) 2 F / (Q + F (1 / accs) (128 / batch)): the batch factor acts on the backward pass alone."""
    return other_epochs / epochs * 2.0 / (quantized_share + other_batch / (accs * batch))


def speedup_by_equation_8(quantized_share: float, *, accs: int, epochs: int = 100, other_epochs: int = 150) -> float:
    """What the printed equation 8 would give in SU3's place: no batch factor."""
    return other_epochs / epochs * 2.0 / (quantized_share + 1.0 / accs)


def memory_table(bits: Sequence[float]) -> float:
    """MEM = 1 + mean(sp WL) / 32: a quantized copy beside the float32 master, relative to float32."""
    return 1.0 + math.fsum(bits) / len(bits) / WORD_BITS
