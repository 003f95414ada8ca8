"""The AdaPT policy: its formulas put in order, with the state between them.

Source: Kummer, Sidak, Reichmann, Gansterer, "Adaptive Precision Training (AdaPT): A dynamic fixed point
quantized training approach for DNNs", 2021, algorithms 1 to 4. Where the paper contradicts itself or leaves a gap,
docs/policies/adapt.md says what was chosen and why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, final

from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.policies.adapt.algorithm4 import search_format
from fxsim.policies.adapt.config import AdaPTConfig
from fxsim.policies.adapt.diversity import gradient_diversity
from fxsim.policies.adapt.layer_state import LayerState
from fxsim.policies.adapt.lookback import adapt_lookback, adapt_resolution
from fxsim.policies.adapt.push_down import PushedDown, push_down
from fxsim.policies.adapt.push_up import add_buffer, push_up, steps_when_vanished, suggested_steps
from fxsim.policies.adapt.strategy import STRATEGIES, Strategy, adapt_strategy, average_lookback
from fxsim.policies.adapt.trial import TRIAL_BITS, Prepared, prepare
from fxsim.policies.base import (
    Decision,
    FloatArray,
    GradientRule,
    LayerObservation,
    LayerShape,
    LossRule,
    Observation,
    Policy,
    Switch,
)
from fxsim.policies.norm import euclidean_norm
from fxsim.policies.state import check_settings
from fxsim.rng import SITE_OUTPUT, SITE_STEP, Key, Role, stream, uniform_bits
from fxsim.rounding import Quantizer, Stochastic


@final
class AdaPT(Policy):
    """Word and fractional length of each layer from what quantization loses and how diverse gradients are.

    Every layer computes with weights, activations and outputs rounded stochastically to its own format; the backward
    pass is float32; weight gradients are rounded, scaled to unit length and applied to a float32 master copy. When a
    layer's lookback has passed, PushDown finds the smallest format that keeps the distribution of its weights, and
    PushUp adds precision for the learning still to come.

    config: see `AdaPTConfig`.
    """

    name: ClassVar[str] = "adapt"
    adaptive: ClassVar[bool] = True
    quantizes_neighbours: ClassVar[bool] = True

    def __init__(self, config: AdaPTConfig | None = None) -> None:
        self.config = AdaPTConfig() if config is None else config
        self._seed = 0
        self._strategy: Strategy = "min"
        self._history: tuple[float, ...] = ()
        self._layers: dict[str, LayerState] = {}

    @property
    def gradient_rule(self) -> GradientRule | None:
        return GradientRule(self.config.grad_order, self.config.random_bits)

    @property
    def loss_rule(self) -> LossRule | None:
        return LossRule(l1=self.config.l1, word_length=self.config.penalty)

    @property
    def needs_raw_gradients(self) -> bool:
        return self.config.push_up == "alg4"

    @property
    def formats(self) -> Mapping[str, Format]:
        return {name: state.format for name, state in self._layers.items()}

    @property
    def strategy(self) -> Strategy:
        """The strategy of the latest step."""
        return self._strategy

    def start_numerics(self) -> Numerics | None:
        return self.numerics_for(self.config.start)

    def numerics_for(self, format: Format) -> Numerics | None:
        return _numerics(format, self.config.random_bits)

    def start(self, layers: tuple[LayerShape, ...], seed: int) -> Decision:
        if not layers:
            raise ValueError("AdaPT: no layers to decide on; give at least one weighted layer")
        self._seed = seed
        self._strategy = "min"
        self._history = ()
        self._layers = {layer.name: LayerState.initial(layer, self.config) for layer in layers}
        return self._decision([])

    def observe(self, observation: Observation) -> Decision:
        window = average_lookback([state.lookback for state in self._started().values()])
        self._strategy, self._history = adapt_strategy(self._strategy, self._history, observation.loss, window)
        switches = [self._observe_layer(layer, observation.step) for layer in observation.layers]
        return self._decision([switch for switch in switches if switch is not None])

    def finalize(self, weights: Mapping[str, FloatArray], step: int) -> Decision:
        """One PushDown and the least PushUp (one step) for every layer.

        Otherwise a layer would keep, by chance, the format of its last switch, and the strategy of that moment.
        """
        layers = self._started()
        missing = [name for name in layers if name not in weights]
        if missing:
            raise ValueError(
                f"AdaPT.finalize: the weights of {', '.join(missing)} are missing; give those of every layer"
            )
        switches = []
        for name, state in layers.items():
            down = self._push_down(state, weights[name], step)
            new = push_up(down.format, 1, self.config.buff, wl_max=self.config.wl_max)
            switches.append(_switch(step, name, state, new, "finalize", down, diversity=None))
            state.restart(new)
        return self._decision(switches)

    def _started(self) -> dict[str, LayerState]:
        if not self._layers:
            raise RuntimeError("AdaPT: the run has not begun; call start() or load_state_dict() first")
        return self._layers

    def _decision(self, switches: list[Switch]) -> Decision:
        return Decision(self.formats, tuple(switches))

    def _observe_layer(self, layer: LayerObservation, step: int) -> Switch | None:
        state, config = self._layers[layer.name], self.config
        state.add(layer.gradient, vanished=layer.vanished, raw=layer.raw_gradient if self.needs_raw_gradients else None)
        diversity = gradient_diversity(state.count, euclidean_norm(state.gradient_sum)) if state.seen else None
        state.lookback = adapt_lookback(
            diversity, state.lookback, lower=config.lb_lwr, upper=config.lb_upr, gamma=config.gamma
        )
        state.resolution = adapt_resolution(
            state.resolution,
            state.lookback,
            lookback_bounds=(config.lb_lwr, config.lb_upr),
            bounds=(config.r_lwr, config.r_upr),
        )
        if state.count < (config.lb_lwr if diversity is None else state.lookback):
            return None
        down = self._push_down(state, layer.weight, step)
        new, reason = self._push_up(state, down.format, diversity, step)
        switch = _switch(step, layer.name, state, new, reason, down, diversity=diversity)
        state.restart(new)
        return switch

    def _push_down(self, state: LayerState, weight: FloatArray, step: int) -> PushedDown:
        draws = uniform_bits(self._key(state, step), weight.size, TRIAL_BITS, site=SITE_OUTPUT)
        return push_down(
            weight,
            state.format,
            draws,
            resolution=state.resolution,
            eps=self.config.eps,
            direction=self.config.kl_direction,
        )

    def _push_up(self, state: LayerState, least: Format, diversity: float | None, step: int) -> tuple[Format, str]:
        """The next format, and the name of the rule that gave it."""
        buff, wl_max = self.config.buff, self.config.wl_max
        if diversity is None:
            return push_up(least, steps_when_vanished(least.fl), buff, wl_max=wl_max), "vanished"
        if self.config.push_up == "alg4":
            found = search_format(least, state.format, self._prepared_gradients(state, step), wl_max=wl_max)
            return add_buffer(found, buff, wl_max=wl_max), "alg4"
        steps = suggested_steps(diversity, least.fl, self._strategy)
        return push_up(least, steps, buff, wl_max=wl_max), self._strategy

    def _prepared_gradients(self, state: LayerState, step: int) -> list[Prepared]:
        """Each kept gradient with random numbers of its own: PushDown's stream at another site."""
        key = self._key(state, step)
        return [
            prepare(gradient, uniform_bits(key, gradient.size, TRIAL_BITS, site=SITE_STEP, ordinal=number))
            for number, gradient in enumerate(state.raw_gradients)
        ]

    def _key(self, state: LayerState, step: int) -> Key:
        return Key(self._seed, stream(state.layer_id, Role.POLICY, step))

    def state_dict(self) -> dict[str, Any]:
        return {
            "policy": self.name,
            "settings": self._settings(),
            "seed": self._seed,
            "strategy": self._strategy,
            "history": list(self._history),
            "layers": {name: state.to_dict() for name, state in self._layers.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        check_settings(state, self.name, self._settings())
        layers = {name: LayerState.from_dict(saved) for name, saved in state["layers"].items()}
        if self._layers and list(self._layers) != list(layers):
            raise ValueError(
                f"load_state_dict: the state has the layers {', '.join(layers)}, this run has "
                f"{', '.join(self._layers)}; build the model that the run was started with"
            )
        self._strategy = next(strategy for strategy in STRATEGIES if strategy == state["strategy"])
        self._seed = int(state["seed"])
        self._history = tuple(float(loss) for loss in state["history"])
        self._layers = layers

    def _settings(self) -> dict[str, str]:
        return {name: str(value) for name, value in self.config.to_options().items()}

    def __repr__(self) -> str:
        return f"AdaPT({self.config!r})"


@lru_cache(maxsize=256)
def _numerics(format: Format, random_bits: int) -> Numerics:
    """Of a layer in which everything is rounded to the format; kept, for every step asks for that of every layer."""
    rounded = Quantizer(format, Stochastic(random_bits), "saturate")
    return Numerics(weight=rounded, activation=rounded, output=rounded, bias=rounded, ste="clipped", carrier="round")


def _switch(
    step: int, name: str, state: LayerState, new: Format, reason: str, down: PushedDown, *, diversity: float | None
) -> Switch:
    """The record of a decision. An infinite diversity, or none, is left out: files hold finite numbers."""
    details = {
        "wl_min": float(down.format.wl),
        "fl_min": float(down.format.fl),
        "kl_bits": down.loss_bits,
        "trials": float(down.trials),
        "lookback": float(state.lookback),
        "resolution": float(state.resolution),
        "gradients": float(state.count),
    }
    if diversity is not None and math.isfinite(diversity):
        details["diversity"] = diversity
    return Switch(step=step, layer=name, old=state.format, new=new, reason=reason, details=details)
