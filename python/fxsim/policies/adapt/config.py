"""The settings of AdaPT, with the paper's values as defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Self, TypeAlias, final

from fxsim.formats import Format
from fxsim.policies.adapt.divergence import KL_DIRECTIONS, KLDirection
from fxsim.policies.base import GRADIENT_ORDERS, GradientOrder

PushUpRule: TypeAlias = Literal["closed", "alg4"]
PUSH_UP_RULES: tuple[PushUpRule, ...] = ("closed", "alg4")

START = Format(8, 4)

WORD_BITS = 32
"""The widest word the paper considers."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AdaPTConfig:
    """All settings of AdaPT.

    start: format of every layer at the beginning.
    r_lwr, r_upr: bounds of the resolution, the number of histogram bins.
    lb_lwr, lb_upr: bounds of the lookback, the number of steps between two decisions on a layer.
    gamma: weight of the newest value in the lookback's moving average, in (0, 1]; a Fraction, since the average is
        rounded up exactly.
    buff: integer bits above the fraction that every decided word keeps, sign included.
    eps: a format is lossless where the divergence is below this many bits.
    wl_max: widest word that may be decided, at most 32; with 24 every value fits a float32 carrier.
    kl_direction: "quantized_original" is D(quantized || original), "original_quantized" the reverse.
    push_up: "closed" for the closed form, "alg4" for the search over raw gradients.
    grad_order: see `GradientRule`.
    l1: factor of the L1 norm of the quantized parameters in the loss.
    penalty: whether the word length penalty is added to the loss.
    random_bits: random bits of every stochastic rounding, 1 to 32.

    Weight decay, the paper's L2 term, is the optimizer's own.

    Source: Kummer et al. 2021; where paper and published configurations differ, the paper.
    """

    start: Format = START
    r_lwr: int = 50
    r_upr: int = 150
    lb_lwr: int = 25
    lb_upr: int = 100
    gamma: Fraction = Fraction(33, 100)
    buff: int = 8
    eps: float = 1e-3
    wl_max: int = WORD_BITS
    kl_direction: KLDirection = "quantized_original"
    push_up: PushUpRule = "closed"
    grad_order: GradientOrder = "quantize_first"
    l1: float = 1e-4
    penalty: bool = True
    random_bits: int = 16

    def __post_init__(self) -> None:
        _require(2 <= self.wl_max <= WORD_BITS, "wl_max", self.wl_max, f"2 to {WORD_BITS}")
        _require(0 <= self.buff <= self.wl_max, "buff", self.buff, f"0 to wl_max = {self.wl_max}")
        start = self.start
        _require(
            start.signed and 2 <= start.wl <= self.wl_max and 0 <= start.fl <= self.wl_max,
            "start",
            start,
            f"a signed format with 2 to wl_max = {self.wl_max} bits and a fractional length of 0 to {self.wl_max}",
        )
        _require(1 <= self.r_lwr <= self.r_upr, "r_lwr", self.r_lwr, f"1 to r_upr = {self.r_upr}")
        _require(1 <= self.lb_lwr <= self.lb_upr, "lb_lwr", self.lb_lwr, f"1 to lb_upr = {self.lb_upr}")
        _require(0 < self.gamma <= 1, "gamma", self.gamma, "a number above 0 and at most 1")
        _require(self.eps > 0, "eps", self.eps, "a number of bits above 0")
        _require(self.l1 >= 0, "l1", self.l1, "a factor of at least 0")
        _require(1 <= self.random_bits <= 32, "random_bits", self.random_bits, "1 to 32")
        _require(self.kl_direction in KL_DIRECTIONS, "kl_direction", self.kl_direction, ", ".join(KL_DIRECTIONS))
        _require(self.push_up in PUSH_UP_RULES, "push_up", self.push_up, ", ".join(PUSH_UP_RULES))
        _require(self.grad_order in GRADIENT_ORDERS, "grad_order", self.grad_order, ", ".join(GRADIENT_ORDERS))

    def to_options(self) -> dict[str, str | int | float | bool]:
        """The settings by name, as a configuration file holds them; `from_options` reads them back."""
        options: dict[str, str | int | float | bool] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            options[field.name] = str(value) if isinstance(value, Format | Fraction) else value
        return options

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Settings from a configuration file: `start` as a text, `gamma` as a text or a number."""
        given = dict(options)
        if "start" in given:
            given["start"] = Format.parse(given["start"])
        if "gamma" in given:
            given["gamma"] = Fraction(str(given["gamma"]))
        return cls(**given)


def _require(condition: bool, name: str, given: object, accepted: str) -> None:
    if not condition:
        raise ValueError(f"AdaPTConfig: {name} is {given}; give {accepted}")
