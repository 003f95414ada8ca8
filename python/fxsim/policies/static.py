"""The policy of one arithmetic for the whole run."""

from __future__ import annotations

from typing import ClassVar, final

from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.policies.fixed import FixedPolicy


@final
class Static(FixedPolicy):
    """Every layer computes in the same, given arithmetic from the first step to the last.

    numerics: a Numerics, or its text, a JSON object; or a Format, or its text, which then holds weights, activations
    and outputs alike, rounded to nearest even and saturated, with exact accumulators and a float32 backward pass.

    A model whose layers were converted with different Numerics keeps them: the policy changes nothing.
    """

    name: ClassVar[str] = "static"

    def __init__(self, numerics: Numerics | Format | str) -> None:
        super().__init__()
        self.numerics = _numerics(numerics)

    def start_numerics(self) -> Numerics | None:
        return self.numerics

    def settings(self) -> dict[str, str]:
        return {"numerics": self.numerics.to_text()}

    def __repr__(self) -> str:
        return f"Static({self.numerics!r})"


def _numerics(given: Numerics | Format | str) -> Numerics:
    match given:
        case Numerics():
            return given
        case str() if given.lstrip().startswith("{"):
            return Numerics.from_text(given)
        case Format() | str():
            format = Format.parse(given) if isinstance(given, str) else given
            return Numerics(weight=format, activation=format, output=format, carrier="round")
        case _:
            raise TypeError(
                f"Static: numerics is a {type(given).__name__}; give a Numerics, a Format or a text of either"
            )
