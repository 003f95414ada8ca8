"""All benchmarks by name: the one place where a new one is entered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, final

from fxsim.bench import (
    apytypes_gemm,
    avx2,
    batch_norm,
    conv,
    conv_backward,
    cost,
    gemm,
    qpytorch,
    quantize,
    range_norm,
    saturate,
    step_resnet20,
    threads,
)
from fxsim.bench.measure import Outcome, Settings


@final
@dataclass(frozen=True, slots=True)
class Bench:
    """One benchmark: the question it answers, how it runs, its rounds unless told otherwise.

    quick: whether it runs where none is named.
    """

    question: str
    run: Callable[[Settings], Outcome]
    rounds: int
    quick: bool


BENCHES: Final[Mapping[str, Bench]] = MappingProxyType(
    {
        "gemm": Bench("exact integer products of 8 to 32 bits, against torch's", gemm.run, 21, quick=True),
        "saturate": Bench("accumulators that saturate or round at every step", saturate.run, 9, quick=True),
        "conv": Bench("8-bit convolutions forward, against torch's", conv.run, 9, quick=True),
        "conv_backward": Bench("gradients of 8-bit convolutions, against torch's", conv_backward.run, 9, quick=True),
        "quantize": Bench("rounding float32 to words and carriers, against memcpy", quantize.run, 9, quick=True),
        "batch_norm": Bench("fused float32 BatchNorm and ReLU, against torch's", batch_norm.run, 21, quick=True),
        "range_norm": Bench(
            "integer normalisation by the range, against torch's BatchNorm", range_norm.run, 21, quick=True
        ),
        "step_resnet20": Bench("a training step of ResNet20, against torch's", step_resnet20.run, 9, quick=True),
        "cost": Bench("counting a training step of ResNet20, and pricing 10,000", cost.run, 9, quick=True),
        "avx2": Bench("exact 8-bit products on AVX2, against torch's on AVX2", avx2.run, 21, quick=True),
        "threads": Bench("two threads against one", threads.run, 9, quick=False),
        "apytypes": Bench("a small saturating product, against APyTypes", apytypes_gemm.run, 9, quick=False),
        "qpytorch": Bench("rounding and a training step, against QPyTorch", qpytorch.run, 9, quick=False),
    }
)


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """The benchmarks named, in the table's order; the quick ones where none is.

    Raises:
        ValueError: a name is unknown.
    """
    given = list(names)
    unknown = sorted(set(given) - set(BENCHES))
    if unknown:
        raise ValueError(f"bench: {', '.join(unknown)} is unknown; give some of {', '.join(BENCHES)}")
    return tuple(name for name in BENCHES if (name in given if given else BENCHES[name].quick))
