"""The terms that AdaPT adds to the loss.

    L = task loss + alpha sum |W_hat| + (beta / 2) sum W^2 + P

The L2 term is the optimizer's weight decay on the master copy. P is the mean over all parameter tensors of
WL / 32 times the share of non-zero elements; the paper writes it for one layer.

Source: Kummer et al. 2021.
"""

from __future__ import annotations

from collections.abc import Iterable

from fxsim.policies.adapt.config import WORD_BITS


def word_length_penalty(tensors: Iterable[tuple[int, int, int]]) -> float:
    """P, between 0 and 1, from (word length, non-zero elements, elements) of each parameter tensor.

    It is piecewise constant, so it has no gradient; only the strategy, which watches the loss, sees it.
    Tensors without elements are passed over; without any tensor P is 0.
    """
    terms = [wl / WORD_BITS * nonzero / elements for wl, nonzero, elements in tensors if elements]
    return sum(terms) / len(terms) if terms else 0.0


def l1_gradient_norm(l1: float, nonzero: int) -> float:
    """L2 norm of the gradient that alpha sum |W_hat| gives one tensor: alpha sign(W_hat) at non-zero elements."""
    return float(l1 * nonzero**0.5)
