"""A watch on the L1 term: with gradients scaled to unit length it can quietly become the whole step."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from fxsim.policies.adapt.penalty import l1_gradient_norm
from fxsim.train import gradients
from fxsim.train.parameters import Slot

WATCHED_STEPS: Final = 25
"""Steps at the beginning of a run in which the share is looked at."""

SHARE_LIMIT: Final = 0.5

_LOGGER = logging.getLogger(__name__)


def warn_of_l1(slots: tuple[Slot, ...], nonzero: Mapping[str, int], l1: float, step: int) -> bool:
    """Log a warning, and return True, if the L1 term exceeds SHARE_LIMIT of a weight's gradient.

    nonzero: non-zero elements of the quantized parameters, by name; parameters left out are not looked at. The
    gradients are those of the whole loss, before any treatment. Only the first such weight is named.
    """
    for slot in slots:
        gradient = slot.parameter.grad
        if not slot.is_weight or gradient is None or slot.name not in nonzero:
            continue
        part, whole = l1_gradient_norm(l1, nonzero[slot.name]), gradients.norm(gradient)
        if part > SHARE_LIMIT * whole:
            _LOGGER.warning(
                "step %d: the L1 term (l1 = %g) has a gradient of norm %.2g, the whole gradient of %s has %.2g: scaled "
                "to unit length it will mostly shrink weights; lower l1, or raise the gain of the initialisation",
                step,
                l1,
                part,
                slot.name,
                whole,
            )
            return True
    return False
