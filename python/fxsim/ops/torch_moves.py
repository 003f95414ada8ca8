"""Which ops of torch do no arithmetic on floats."""

from __future__ import annotations

import re
from typing import Final

MOVES: Final = re.compile(
    r"(new|empty)_?\w*|(ones|zeros|full|rand|randn)(_like)?|(bernoulli|normal|uniform|zero)_|fill_?|eye|scalar_tensor"
    r"|_to_copy|_reshape_copy|copy_?|clone|contiguous|detach_?|lift\w*|set_|resize_|_pin_memory|_local_scalar_dense"
    r"|(slice|select|split|expand|permute|transpose|squeeze|unsqueeze|view|diagonal|as_strided|unfold)_(backward|copy|scatter)"
    r"|_?(unsafe_)?index|index_put_?|index_select|gather|scatter|embedding|masked_(select|fill_?)|where"
    r"|_unsafe_view|cat|stack|flip|roll|repeat|constant_pad_nd|pixel_(un)?shuffle"
)
"""Ops that create, fill, pick or move floats without arithmetic on them."""

SELECTS: Final = re.compile(
    r"relu_?|threshold_backward|a?(min|max)|maximum|minimum|(adaptive_)?max_pool\dd(_with_indices)?|topk|sort"
)
"""Ops that choose among floats: what comes out, went in, or is 0."""
