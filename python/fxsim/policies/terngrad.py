"""TernGrad: the gradients that would be sent between workers take three values, all else is floating point."""

from __future__ import annotations

from typing import ClassVar, Final, final

from fxsim.numerics import Numerics
from fxsim.policies.base import GradientRule, TernaryRule
from fxsim.policies.fixed import FixedPolicy


@final
class TernGrad(FixedPolicy):
    """Every parameter's gradient becomes s, 0 or -s before the optimizer sees it; the model stays plain torch.

    clip, stochastic, least_elements, except_last: see `TernaryRule`.

    Source: Wen, Xu, Yan, Wu, Wang, Chen and Li, "TernGrad", NIPS 2017.
    """

    name: ClassVar[str] = "terngrad"

    def __init__(
        self, clip: float = 2.5, *, stochastic: bool = True, least_elements: int = 0, except_last: bool = False
    ) -> None:
        super().__init__()
        if clip < 0:
            raise ValueError(f"TernGrad: clip is {clip}; give standard deviations above 0, or 0 for no clipping")
        if least_elements < 0:
            raise ValueError(f"TernGrad: least_elements is {least_elements}; give 0 or more")
        self._rule: Final = TernaryRule(
            clip=clip, stochastic=stochastic, least_elements=least_elements, except_last=except_last
        )

    @property
    def gradient_rule(self) -> GradientRule | TernaryRule | None:
        return self._rule

    def start_numerics(self) -> Numerics | None:
        return None

    def settings(self) -> dict[str, str]:
        rule = self._rule
        return {
            "clip": str(rule.clip),
            "stochastic": str(rule.stochastic),
            "least_elements": str(rule.least_elements),
            "except_last": str(rule.except_last),
        }

    def __repr__(self) -> str:
        rule = self._rule
        return (
            f"TernGrad({rule.clip}, stochastic={rule.stochastic}, least_elements={rule.least_elements}, "
            f"except_last={rule.except_last})"
        )
