"""One output element: its products, its steps, its bias and its output rounding, in the order in which they happen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, islice

from fxsim.accumulator import Resolved
from fxsim.reference.counts import Counts
from fxsim.reference.overflow import OutsideError, bounds
from fxsim.reference.quantize import check_key, draw, quantize_value, value_of
from fxsim.rng import SITE_OUTER, SITE_OUTPUT, SITE_PRELOAD, SITE_PRODUCT, SITE_STEP, Key
from fxsim.rounding import Quantizer

_WHAT = {
    SITE_OUTPUT: "output",
    SITE_STEP: "accumulator",
    SITE_PRODUCT: "product",
    SITE_OUTER: "accumulator",
    SITE_PRELOAD: "preloaded bias",
}
_COUNTER = {
    SITE_OUTPUT: "output_overflows",
    SITE_STEP: "step_overflows",
    SITE_PRODUCT: "product_overflows",
    SITE_OUTER: "outer_overflows",
    SITE_PRELOAD: "preload_overflows",
}


@dataclass(frozen=True, slots=True)
class Term:
    """What enters an accumulator: an exact value, and the k it comes from (the first, for the result of a chunk)."""

    k: int
    value: Fraction


@dataclass(frozen=True, slots=True)
class Element:
    """The computation of one output element.

    Attributes:
        name: the operation, for errors.
        index: the element's number in the logical, global output, which errors name too.
        rules: the accumulator.
        key: where its random bits come from.
        counts: where its events are counted.
    """

    name: str
    index: int
    rules: Resolved
    key: Key | None
    counts: Counts

    def compute(self, products: Sequence[Fraction], bias: Fraction | None) -> int:
        """The stored integer, in the format `rules.result`.

        Args:
            products: the exact products in the order of k, structural zeros as 0.
            bias: the exact bias, if there is one.

        Raises:
            OverflowError: a register of mode "error" overflows, or an exact result exceeds its format.
        """
        rules = self.rules
        start = Fraction(0)
        if rules.preload and bias is not None:
            outermost = rules.inner if rules.chunk is None else rules.outer
            start = self._round(bias, outermost, SITE_PRELOAD, 0, None)
        terms = [Term(k, self._round(p, rules.product, SITE_PRODUCT, k, k)) for k, p in enumerate(products)]
        steps = count()
        if rules.chunk is None:
            total = self._sum(start, terms, rules.inner, rules.at, rules.lanes, SITE_STEP, steps)
        else:
            results = self._chunk_results(terms, rules.chunk, steps)
            total = self._sum(start, results, rules.outer, rules.outer_at, rules.outer_lanes, SITE_OUTER, count())
        if bias is not None and not rules.preload:
            total += bias
        return self._output(total)

    def _chunk_results(self, terms: list[Term], chunk: int, steps: Iterator[int]) -> Iterator[Term]:
        """The sums of consecutive chunks, each computed when the outer accumulator asks for it."""
        rules = self.rules
        for first in range(0, len(terms), chunk):
            members = terms[first : first + chunk]
            total = self._sum(Fraction(0), members, rules.inner, rules.at, rules.lanes, SITE_STEP, steps)
            yield Term(first, total)

    def _sum(
        self,
        start: Fraction,
        terms: Iterable[Term],
        register: Quantizer | None,
        at: str,
        lanes: int,
        site: int,
        ordinals: Iterator[int],
    ) -> Fraction:
        """The content of an accumulator after all its terms: at the end there is one rounding, even of no terms."""
        coming = iter(terms)
        if at == "end":
            everything = list(coming)
            exact = start + sum(term.value for term in everything)
            return self._round(exact, register, site, next(ordinals), everything[0].k if everything else None)
        acc = start
        while step := list(islice(coming, lanes)):
            exact = acc + sum(term.value for term in step)
            acc = self._round(exact, register, site, next(ordinals), step[0].k)
        return acc

    def _round(self, value: Fraction, register: Quantizer | None, site: int, ordinal: int, k: int | None) -> Fraction:
        """A value as it comes out of a register; unchanged where the register is exact."""
        if register is None:
            return value
        u = draw(self.key, self.index, register, site, ordinal)
        self.counts.random_draws += u is not None
        try:
            outcome = quantize_value(value, register, u)
        except OutsideError as outside:
            where = f"output index {self.index}" + ("" if k is None else f", k = {k}")
            raise OverflowError(
                f"{self.name}: the {_WHAT[site]} overflows at {where}: {outside}; "
                f"widen it, or choose another overflow mode"
            ) from None
        setattr(self.counts, _COUNTER[site], getattr(self.counts, _COUNTER[site]) + outcome.overflowed)
        if site == SITE_OUTPUT:
            self.counts.inexact += outcome.inexact
            self.counts.round_to_zero += outcome.rounded_to_zero
        return value_of(outcome.raw, register.format)

    def _output(self, total: Fraction) -> int:
        result = self.rules.result
        stored = self._round(total, self.rules.output, SITE_OUTPUT, 0, None) * Fraction(2) ** result.fl
        if stored.denominator != 1:
            raise AssertionError(f"{total} is no multiple of the step of {result}")
        raw = stored.numerator
        if not result.raw_min <= raw <= result.raw_max:
            raise OverflowError(
                f"{self.name}: the exact result at output index {self.index} does not fit {bounds(result)}; "
                f"name an output format or an accumulator width"
            )
        return raw


def check_keys(name: str, rules: Resolved, key: Key | None) -> None:
    """Refuses stochastic registers without a key.

    Raises:
        ValueError: naming the missing argument.
    """
    check_key(name, key, rules.product, rules.inner, rules.outer, rules.output)
