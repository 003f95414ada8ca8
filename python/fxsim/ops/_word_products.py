"""A float tensor quantized, and the products that its words enter: one call of the core for all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fxsim.ops import _core_products, _words, executions, records
from fxsim.ops._execution import execute, tell
from fxsim.ops._geometry import rows_of
from fxsim.ops._masks import clear, new_mask, packed
from fxsim.ops._operands import bound
from fxsim.ops._plan import WordPlan
from fxsim.ops._publish import Site
from fxsim.ops._settled import Settled
from fxsim.ops._word_counts import counts_of


class WordProduct(NamedTuple):
    """A settled call whose operand a is words to come: its other tensors, and where it stands.

    clear: a mask of elements of a float result that become 0.
    """

    settled: Settled
    b: Tensor
    bias: Tensor | None
    site: Site
    clear: Tensor | None = None


class _Linked(NamedTuple):
    """A product, and what the core is told of it."""

    product: WordProduct
    link: _core_products.Link


def quantize_and_multiply(
    x: Tensor,
    plan: WordPlan,
    site: Site,
    products: Sequence[WordProduct],
    *,
    channels_last: bool,
    mask: bool,
    kept: bool = True,
) -> tuple[_words.Words, list[Tensor]]:
    """x as `_words.quantize` gives it in the format's own dtype, and each product's result as `execute` gives it.

    What was clipped comes as a mask (`_masks`). Products take images if x is channels last, else the matrix of its
    last dimension. The core makes products while it has the words at hand, unless somebody listens to executions.

    kept: whether the words are wanted themselves; else they may come back empty, and the core forgets them.
    """
    alone = all(each.settled.times == 1 for each in products)
    linked = None if executions.listening() else _linked(products)
    if linked is None:
        words = _words.quantize(x, plan, plan.dtype, site, channels_last=channels_last, mask=mask, multiplied=alone)
        a = _operand(words.values, channels_last)
        words = words._replace(clipped=packed(words.clipped, channels_last=channels_last))
        return words, [execute(each.settled, a, each.b, each.bias, each.site, clear=each.clear) for each in products]
    count = records.listening()
    raws = _words.unwritten(x, plan.dtype, channels_last) if kept or count else torch.empty(0, dtype=plan.dtype)
    clipped = new_mask(x.numel() if mask else 0)
    counts = _words.counts_for(x, channels_last=channels_last) if count and alone else None
    events, multiplied = _core_products.quantize_gemms(
        x.detach(),
        raws,
        clipped if mask else None,
        plan.core,
        site,
        [each.link for each in linked],
        channels_last=channels_last,
        count=count,
        counts=counts,
    )
    if count:
        _words.tell(x, raws, plan, site, events, counts)
        a = _operand(raws, channels_last)
        for (product, link), (happened, macs) in zip(linked, multiplied, strict=True):
            settled, b, bias, at, _ = product
            tell(settled, a, b, bias, link.out, at, happened, macs, (a, b))
    results = [_cleared(each, channels_last) for each in linked]
    return _words.Words(raws, clipped), results


def _operand(words: Tensor, channels_last: bool) -> Tensor:
    """Words as products see them: images, or the rows of a matrix."""
    return words if channels_last else rows_of(words)


def _linked(products: Sequence[WordProduct]) -> list[_Linked] | None:
    """Nothing where there is a call of no product."""
    linked = []
    for product in products:
        settled, b, bias, site, mask = product
        cores = settled.cores
        if cores is None:
            return None
        at_once = mask if settled.times == 1 else None
        counts = counts_of(b) if records.listening() else None
        link = _core_products.Link(cores.product, bound(b, cores.b), counts, settled.unwritten(), bias, site, at_once)
        linked.append(_Linked(product, link))
    return linked


def _cleared(linked: _Linked, channels_last: bool) -> Tensor:
    """The result, cleared here where the core could not do it."""
    out, mask = linked.link.out, linked.product.clear
    return out if linked.link.clear is not None or mask is None else clear(out, mask, channels_last=channels_last)
