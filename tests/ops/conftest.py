"""What a test of ops forces or sets holds for that test alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import fxsim as fx


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threads, isa = torch.get_num_threads(), fx.isa.active()
    yield
    torch.set_num_threads(threads)
    fx.isa.force(isa)
