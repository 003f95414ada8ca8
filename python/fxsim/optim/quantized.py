"""fx.optim.Quantized: any optimizer of torch, with weights and state kept in fixed point."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fxsim.nn import layers
from fxsim.ops import signed64
from fxsim.optim.parameters import Given, Kept, kept_parameters
from fxsim.rng import Role, stream
from fxsim.rounding import Quantizer
from fxsim.tensor import carries

Hook: TypeAlias = Callable[[torch.optim.Optimizer, tuple[Any, ...], dict[str, Any]], Any]


@final
class Quantized(torch.optim.Optimizer):
    """An optimizer whose weights, and whose state, are rounded after every step.

    The optimizer itself is torch's and is not changed: it computes its step in float64 from the weights and the state
    as they are kept, and the results are rounded, each with random bits of its own if its rounding is stochastic. A
    weight that is kept on a grid thus moves by the rounded update, however small the update is beside the weight.
    Without any option a step is the optimizer's own, to the bit. Schedulers take this object or the one inside.

    Args:
        optimizer: any optimizer of torch whose step takes no closure.
        model: the model whose parameters it updates. Where they are given formats they are rounded to these at once.
        weight: how parameters are kept: a Quantizer, a Format or a text for all, or a mapping from globs over their
            names, of which the last that matches holds; None: as floats of their dtype. This is the wide word, the
            accumulator of updates; what a layer computes with is the layer's own Numerics.
        state: how tensors of a parameter's shape in the optimizer's state are kept, such as momentum: one for all, or
            by their names, such as {"momentum_buffer": "<16,12>,stochastic"}; None: as float64.
        seed: of the random bits; None: that of the model's first fxsim layer, or 0.

    Attributes:
        optimizer: the one inside.
        steps: taken so far; the number that random bits are drawn for.

    Raises:
        TypeError: `optimizer` is no optimizer; a parameter's dtype, or float64 for a state, does not carry a format.
        ValueError: the optimizer has parameters that the model does not have; a glob matches nothing. In a step: a
            closure is given; `state` names what the optimizer does not keep; a value to be rounded is NaN.

    Source: Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep learning with limited numerical precision", ICML 2015,
    for stochastically rounded weights.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        model: nn.Module,
        *,
        weight: Given | Mapping[str, Given] = None,
        state: Given | Mapping[str, Given] = None,
        seed: int | None = None,
    ) -> None:
        # torch's constructor would build groups of its own; this object shows those of the optimizer inside
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(f"Quantized: optimizer is {type(optimizer).__name__}: one of torch.optim is needed")
        self.optimizer: Final = optimizer
        self.steps = 0
        self._pre_hooks: Final[OrderedDict[int, Hook]] = OrderedDict()
        self._post_hooks: Final[OrderedDict[int, Hook]] = OrderedDict()
        self._kept: Final = kept_parameters(model, weight)
        own = {id(each.parameter) for each in self._kept}
        strangers = sum(id(p) not in own for group in optimizer.param_groups for p in group["params"])
        if strangers:
            raise ValueError(
                f"Quantized: the optimizer updates {strangers} parameters that the model does not have; give the model "
                f"that it was made for"
            )
        self._state_for: Final = _named(state)
        self._active: Final = bool(self._state_for) or any(each.quantizer is not None for each in self._kept)
        self._seed: Final = _seed(model) if seed is None else seed
        with torch.no_grad():
            for each in self._kept:
                if each.quantizer is not None:
                    nearest = Quantizer(each.quantizer.format)
                    each.parameter.copy_(self._round(each.parameter.double(), nearest, each, each.update, 0))
        if self._active:
            self._widen_state()

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]  # torch declares an attribute
        """The groups of the optimizer inside."""
        return self.optimizer.param_groups

    @property
    def state(self) -> Any:  # type: ignore[override]
        """The state of the optimizer inside."""
        return self.optimizer.state

    @property
    def defaults(self) -> dict[str, Any]:  # type: ignore[override]
        """The settings of the optimizer inside."""
        return self.optimizer.defaults

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step of the optimizer, its results rounded."""
        if closure is not None:
            raise ValueError("Quantized: a closure is given: it would see weights that are not rounded; leave it out")
        for hook in self._pre_hooks.values():
            hook(self, (), {})
        if self._active:
            self._step_and_round()
        else:
            self.optimizer.step()
        self.steps += 1
        for hook in self._post_hooks.values():
            hook(self, (), {})

    def register_step_pre_hook(self, hook: Hook) -> RemovableHandle:
        """Have `hook(optimizer, args, kwargs)` called before every step."""
        return _registered(hook, self._pre_hooks)

    def register_step_post_hook(self, hook: Hook) -> RemovableHandle:
        """Have `hook(optimizer, args, kwargs)` called after every step, when its results are rounded."""
        return _registered(hook, self._post_hooks)

    def _step_and_round(self) -> None:
        moved = [each for each in self._kept if each.parameter.grad is not None]
        with _in_float64(moved) as results:
            self.optimizer.step()
            results.extend(each.parameter.data for each in moved)
        rounded = [self._rounded_weight(each, value) for each, value in zip(moved, results, strict=True)]
        for each in moved:
            self._round_state(each)
        for each, values in zip(moved, rounded, strict=True):
            each.parameter.copy_(values)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """The optimizer's own."""
        self.optimizer.zero_grad(set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """The optimizer's own; the parameters must be the model's."""
        self.optimizer.add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state, and the number of steps."""
        return {"optimizer": self.optimizer.state_dict(), "steps": self.steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned; the model's state is loaded beside it."""
        if self._active:
            with torch.no_grad(), _in_float64(self._kept):  # torch loads a state in its parameter's dtype
                self.optimizer.load_state_dict(state_dict["optimizer"])
        else:
            self.optimizer.load_state_dict(state_dict["optimizer"])
        self.steps = int(state_dict["steps"])

    def _widen_state(self) -> None:
        """What an optimizer keeps before its first step is of the parameter's dtype."""
        for each in self._kept:
            own = self.optimizer.state.get(each.parameter, {})
            for name, value in own.items():
                if _is_state(value, each.parameter):
                    own[name] = value.double()

    def _rounded_weight(self, kept: Kept, value: Tensor) -> Tensor:
        if kept.quantizer is None:
            return value
        return self._round(value, kept.quantizer, kept, kept.update, 0)

    def _round_state(self, kept: Kept) -> None:
        if not self._state_for:
            return
        own = self.optimizer.state[kept.parameter]
        names = sorted(name for name, value in own.items() if _is_state(value, kept.parameter))
        unknown = [name for name in self._state_for if name not in (*names, "*")]
        if unknown:
            raise ValueError(
                f"Quantized: state names {', '.join(unknown)}: {type(self.optimizer).__name__} keeps "
                f"{', '.join(names) or 'no tensors'} of {kept.name}"
            )
        for place, name in enumerate(names):
            quantizer = self._state_for.get(name, self._state_for.get("*"))
            if quantizer is not None:
                offset = place * kept.parameter.numel()
                own[name] = self._round(own[name], quantizer, kept, kept.state, offset)

    def _round(self, x: Tensor, quantizer: Quantizer, kept: Kept, role: Role, offset: int) -> Tensor:
        rounded, _ = torch.ops.fxsim.quantize.default(
            x,
            str(quantizer),
            signed64(self._seed),
            signed64(stream(kept.layer_id, role, self.steps)),
            offset,
            "channels_last" if x.dim() > 2 else "c",
            "pass",
            "exact",
            kept.layer,
        )
        return rounded  # type: ignore[no-any-return]


@contextmanager
def _in_float64(kept: tuple[Kept, ...] | list[Kept]) -> Iterator[list[Tensor]]:
    """Parameters and gradients in float64 inside, and as they were, in the same memory, afterwards."""
    before = [(each.parameter, each.parameter.data, each.parameter.grad) for each in kept]
    try:
        for parameter, data, grad in before:
            parameter.grad = None
            parameter.data = data.double()
            parameter.grad = None if grad is None else grad.double()
        yield []
    finally:
        for parameter, data, grad in before:
            parameter.grad = None
            parameter.data = data
            parameter.grad = grad


def _registered(hook: Hook, hooks: OrderedDict[int, Hook]) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def _named(state: Given | Mapping[str, Given]) -> dict[str, Quantizer | None]:
    """Quantizers by the name of the state; "*" is every other."""
    if state is None:
        return {}
    given = state if isinstance(state, Mapping) else {"*": state}
    quantizers = {name: None if each is None else Quantizer.of(each) for name, each in given.items()}
    for name, quantizer in quantizers.items():
        if quantizer is not None and not carries(torch.float64, quantizer.format):
            raise TypeError(
                f"Quantized: state {name!r} in {quantizer.format}: float64, in which a state is kept, does not carry "
                f"it; choose a narrower format"
            )
    return quantizers


def _is_state(value: Any, parameter: Tensor) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.shape == parameter.shape


def _seed(model: nn.Module) -> int:
    return next((layer.seed for _, layer in layers(model)), 0)
