"""Raws as floats: what torch's conversion and multiplication give, in the same memory format."""

from __future__ import annotations

import pytest
import torch

from fxsim.formats import Format
from fxsim.ops import _words

FORMATS = [Format(1, 0), Format(8, 5), Format(8, -3), Format(8, 140), Format(8, -120), Format(8, 3, False),
           Format(16, 40), Format(16, 190), Format(25, 10), Format(31, 3, False), Format(32, 0), Format(32, 31),
           Format(40, 8), Format(63, 70, False)]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_every_layout(form: Format, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(form.wl)
    for shape in ((3, 5, 7, 9), (4, 300), (0,), ()):
        raw = torch.randint(form.raw_min, form.raw_max, shape, generator=generator).to(form.dtype)
        if raw.numel() > 2:
            raw.view(-1)[:2] = torch.tensor([form.raw_min, form.raw_max])
        last = raw.contiguous(memory_format=torch.channels_last) if raw.dim() == 4 else raw
        for words in (raw, last, raw.mT if raw.dim() > 1 else raw, raw[..., ::2] if raw.dim() else raw):
            expected = words.to(dtype).mul_(form.step)
            found = _words.carrier(words, form, dtype)
            assert torch.equal(found, expected)
            assert found.stride() == expected.stride()
