"""What policies over ranged arithmetic share: one word length for all layers, which changes as the run goes on."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, final

from fxsim.formats import Format
from fxsim.policies.base import Decision, FloatArray, LayerShape, Observation, Policy, Switch
from fxsim.policies.state import check_settings
from fxsim.ranges import RangedNumerics


class RangedPolicy(Policy):
    """A policy that gives every layer the same `RangedNumerics`, and another one from time to time.

    Concrete ones say what holds (`present`), take note of a step (`advance`), and keep their state.
    """

    adaptive: ClassVar[bool] = True

    def __init__(self) -> None:
        self._layers: tuple[LayerShape, ...] = ()
        self._seed = 0

    @property
    @final
    def formats(self) -> Mapping[str, Format]:
        form = self.present().weight.format
        return {layer.name: form for layer in self._layers}

    @final
    def start_numerics(self) -> RangedNumerics:
        return self.present()

    @final
    def numerics_for(self, format: Format) -> RangedNumerics:  # noqa: ARG002
        return self.present()

    @final
    def start(self, layers: tuple[LayerShape, ...], seed: int) -> Decision:
        if not layers:
            raise ValueError(f"{self.name}: no layers to decide on; give at least one weighted layer")
        self._layers, self._seed = layers, seed
        self.reset()
        return Decision(self.formats)

    @final
    def observe(self, observation: Observation) -> Decision:
        if not self._layers:
            raise RuntimeError(f"{self.name}: the run has not begun; call start() or load_state_dict() first")
        before = self.present()
        reason, details = self.advance(observation)
        return self._decision(before, observation.step, reason, details)

    @final
    def finalize(self, weights: Mapping[str, FloatArray], step: int) -> Decision:  # noqa: ARG002
        before = self.present()
        self.finish()
        return self._decision(before, step, "finalize", {})

    def _decision(self, before: RangedNumerics, step: int, reason: str, details: Mapping[str, float]) -> Decision:
        now = self.present()
        if now == before and not details:
            return Decision(self.formats)
        old, new = before.weight.format, now.weight.format
        details = {**details, "grad_bits": float(now.grad_output.bits)}
        switches = tuple(Switch(step, layer.name, old, new, reason, details) for layer in self._layers)
        return Decision(self.formats, switches)

    @final
    def state_dict(self) -> dict[str, Any]:
        layers = [[layer.name, list(layer.shape), layer.layer_id] for layer in self._layers]
        head = {"policy": self.name, "settings": self.settings(), "seed": self._seed, "layers": layers}
        return head | {"own": self.own_state()}

    @final
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        check_settings(state, self.name, self.settings())
        layers = tuple(LayerShape(name, tuple(shape), layer_id) for name, shape, layer_id in state["layers"])
        if self._layers and self._layers != layers:
            raise ValueError(
                f"load_state_dict: the state has the layers {', '.join(each.name for each in layers)}, this run has "
                f"{', '.join(each.name for each in self._layers)}; build the model that the run was started with"
            )
        self._layers, self._seed = layers, int(state["seed"])
        self.load_own_state(state["own"])

    @abc.abstractmethod
    def present(self) -> RangedNumerics:
        """The arithmetic of every layer in the next step."""

    @abc.abstractmethod
    def reset(self) -> None:
        """Begin a run; `_layers` are known."""

    @abc.abstractmethod
    def advance(self, observation: Observation) -> tuple[str, Mapping[str, float]]:
        """Take note of a step; why something changes, and the numbers behind it.

        With numbers the layers' switches are recorded even where the arithmetic stays.
        """

    def finish(self) -> None:
        """Settle on what the trained network keeps."""

    @abc.abstractmethod
    def settings(self) -> dict[str, str]:
        """What a state must have been saved with, by name."""

    @abc.abstractmethod
    def own_state(self) -> dict[str, Any]:
        """All that later decisions depend on, besides layers and seed."""

    @abc.abstractmethod
    def load_own_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `own_state` gave."""
