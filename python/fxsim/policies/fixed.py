"""What policies without a will of their own share: the arithmetic they start with is the one they end with."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, final

from fxsim.formats import Format
from fxsim.policies.base import Arithmetic, Decision, FloatArray, LayerShape, Observation, Policy
from fxsim.policies.state import check_settings


class FixedPolicy(Policy):
    """A policy whose decision never changes; concrete ones say what they start with."""

    def __init__(self) -> None:
        self._decision = Decision({})

    @property
    @final
    def formats(self) -> Mapping[str, Format]:
        return self._decision.formats

    @final
    def numerics_for(self, format: Format) -> Arithmetic | None:  # noqa: ARG002
        return self.start_numerics()

    @final
    def start(self, layers: tuple[LayerShape, ...], seed: int) -> Decision:  # noqa: ARG002
        numerics = self.start_numerics()
        if numerics is not None:
            self._decision = Decision({layer.name: numerics.weight.format for layer in layers})
        return self._decision

    @final
    def observe(self, observation: Observation) -> Decision:  # noqa: ARG002
        return self._decision

    @final
    def finalize(self, weights: Mapping[str, FloatArray], step: int) -> Decision:  # noqa: ARG002
        return self._decision

    @final
    def state_dict(self) -> dict[str, Any]:
        return {"policy": self.name, "settings": self.settings()}

    @final
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        check_settings(state, self.name, self.settings())

    @abc.abstractmethod
    def settings(self) -> dict[str, str]:
        """What a state must have been saved with, by name."""
