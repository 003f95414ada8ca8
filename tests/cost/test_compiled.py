"""Counting what torch compiled."""

from __future__ import annotations

import warnings

import torch
from torch import nn

import fxsim as fx


def test_compiled_code_is_counted_as_it_runs() -> None:
    """And the compiler does not look into the watch: to trace its kernels would warn."""
    numerics = fx.Numerics(fx.Format(8, 6), fx.Format(8, 4))
    model = fx.convert(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)), numerics).eval()
    x = torch.randn(3, 8)
    with fx.count() as eager:
        model(x)
    torch._dynamo.reset()
    with warnings.catch_warnings(), fx.count() as compiled:
        warnings.simplefilter("error")
        torch.compile(model, backend="eager")(x)
    first, second = (
        [(record.layer, record.macs, record.nz_macs) for record in counts.records if record.macs]
        for counts in (eager, compiled)
    )
    assert first == second
    assert len(first) == 2
