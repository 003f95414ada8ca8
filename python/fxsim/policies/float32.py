"""The policy that leaves a network in floating point: the baseline that others are compared with."""

from __future__ import annotations

from typing import ClassVar, final

from fxsim.numerics import Numerics
from fxsim.policies.fixed import FixedPolicy


@final
class Float32(FixedPolicy):
    """Nothing is quantized: the model stays plain torch, gradients and loss are untouched."""

    name: ClassVar[str] = "float32"

    def start_numerics(self) -> Numerics | None:
        return None

    def settings(self) -> dict[str, str]:
        return {}

    def __repr__(self) -> str:
        return "Float32()"
