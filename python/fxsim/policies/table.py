"""All policies by name: the one place where a new one is entered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, final

from fxsim.policies.adapt.config import AdaPTConfig
from fxsim.policies.adapt.policy import AdaPT
from fxsim.policies.base import Policy
from fxsim.policies.float32 import Float32
from fxsim.policies.static import Static


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One policy. build: from options by name; options: the names it takes, with their defaults."""

    policy: type[Policy]
    summary: str
    source: str
    options: Mapping[str, Any]
    build: Callable[[Mapping[str, Any]], Policy]


STATIC_FORMAT: Final = "<16,12>"
"""Static's format where none is given: a range of [-8, 8) for inputs of unit variance."""

POLICIES: Final[Mapping[str, Row]] = MappingProxyType(
    {
        "float32": Row(
            policy=Float32,
            summary="plain floating point, the baseline",
            source="none: torch's own arithmetic",
            options={},
            build=lambda _: Float32(),
        ),
        "static": Row(
            policy=Static,
            summary="one fixed-point arithmetic for the whole run",
            source="none: a Numerics of the user's choice",
            options={"numerics": STATIC_FORMAT},
            build=lambda options: Static(options["numerics"]),
        ),
        "adapt": Row(
            policy=AdaPT,
            summary="word lengths per layer that follow gradient diversity and information loss",
            source="Kummer, Sidak, Reichmann, Gansterer 2021, Adaptive Precision Training (AdaPT)",
            options=AdaPTConfig().to_options(),
            build=lambda options: AdaPT(AdaPTConfig.from_options(options)),
        ),
    }
)


def build(name: str, options: Mapping[str, Any] | None = None) -> Policy:
    """The policy of this name, with these options and the defaults of the others.

    Raises ValueError, naming what is accepted, for an unknown name or option.
    """
    row = POLICIES.get(name)
    if row is None:
        raise ValueError(f"policy {name!r} is unknown; give one of {', '.join(POLICIES)}")
    given = dict(options or {})
    unknown = sorted(given.keys() - row.options.keys())
    if unknown:
        accepted = ", ".join(row.options) or "none"
        raise ValueError(f"policy {name!r} has no option {', '.join(unknown)}; its options are: {accepted}")
    return row.build({**row.options, **given})
