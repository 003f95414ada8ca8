"""What every fxsim module has: a Numerics, a place among the others, and a count of its forwards."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import torch
from torch import Tensor

from fxsim.nn._calls import Recent, call_number
from fxsim.numerics import Numerics
from fxsim.ops import as_tensor, executed, hidden, signed64, straight, unseen
from fxsim.ranges import RangedNumerics
from fxsim.rng import LAYER_LIMIT

_call_number: Final = unseen(call_number)
_hidden_call_number: Final = hidden(call_number)


class Layer(torch.nn.Module):
    """Abstract base of fxsim's modules.

    Attributes:
        name: dotted path in the model, given by `convert`; "" for a module made by hand.
        calls: training forwards so far, int64 ().
    """

    calls: Tensor
    name: str

    _OWN_STATE: ClassVar[tuple[str, ...]] = ("calls", "_extra_state")

    def _enroll(self, numerics: Numerics, layer_id: int, seed: int) -> None:
        """To be called once torch's part of the module exists."""
        self.name = ""
        self._recent = Recent()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64, device="cpu"))
        self.numerics = numerics
        self.layer_id = layer_id
        self.seed = seed

    @property
    def numerics(self) -> Numerics:
        """Formats and modes; what is assigned holds from the next forward."""
        return self._numerics

    @numerics.setter
    def numerics(self, numerics: Numerics) -> None:
        if not isinstance(numerics, Numerics):
            raise TypeError(f"{type(self).__name__}: numerics is {type(numerics).__name__}: a Numerics is needed")
        self._settle(numerics)

    def _settle(self, numerics: Numerics) -> None:
        """Take a Numerics, and keep the texts that forwards hand to ops."""
        self._numerics = numerics
        self._numerics_text = numerics.to_text()

    @property
    def layer_id(self) -> int:
        """The module's number among fxsim's in the model: the layer of its random streams."""
        return self._layer_id

    @layer_id.setter
    def layer_id(self, layer_id: int) -> None:
        if not 0 <= layer_id < LAYER_LIMIT:
            raise ValueError(f"{type(self).__name__}: layer_id = {layer_id}: accepted are 0 to {LAYER_LIMIT - 1}")
        self._layer_id = layer_id

    @property
    def seed(self) -> int:
        """The seed of the run, 64 bits unsigned."""
        return self._seed

    @seed.setter
    def seed(self, seed: int) -> None:
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"{type(self).__name__}: seed = {seed}: accepted are 0 to 2**64 - 1")
        self._seed = seed
        self._signed_seed = signed64(seed)

    def _call(self, x: Tensor) -> Tensor:
        """The number of this forward, int64 ()."""
        return as_tensor(self._number(x))

    def _number(self, x: Tensor) -> Tensor | int:
        """The number of this forward: an int if an op on x goes `straight`, else int64 ()."""
        calls = self.calls
        if straight(x):
            return _call_number(calls, self._recent, x, training=self.training, executed=True)
        if torch.compiler.is_compiling():
            number = calls.clone()
            if self.training:
                calls.add_(1)
            return number
        if executed(x):
            return as_tensor(_hidden_call_number(calls, self._recent, x, training=self.training, executed=True))
        return as_tensor(call_number(calls, self._recent, x, training=self.training, executed=False))

    def _clips_input(self, x: Tensor) -> bool:
        """Whether the forward must keep where x left its range."""
        if self._numerics.ste != "clipped":
            return False
        return torch.compiler.is_compiling() or (torch.is_grad_enabled() and x.requires_grad)

    def get_extra_state(self) -> dict[str, Any]:
        """What `state_dict` keeps besides tensors."""
        return {"numerics": self._numerics_text, "seed": self.seed, "layer_id": self.layer_id}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_extra_state` gave."""
        self.numerics = self._parse(state["numerics"])
        self.seed = state["seed"]
        self.layer_id = state["layer_id"]

    def _parse(self, text: str) -> Any:
        """The numerics of this kind of module from their text."""
        return Numerics.from_text(text)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """A state of torch's own module has no counts and no formats: those of this module stay as they are."""
        already = list(missing_keys)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        own = {f"{prefix}{name}" for name in self._OWN_STATE}
        if own.isdisjoint(state_dict):
            missing_keys[:] = already + [key for key in missing_keys[len(already) :] if key not in own]

    def __getstate__(self) -> dict[str, Any]:
        """For pickling and copying: a copy recomputes nothing that was begun here."""
        return {**self.__dict__, "_recent": Recent()}

    def extra_repr(self) -> str:
        """The formats, after what torch says of the module."""
        inherited = super().extra_repr()
        return f"{inherited}, {describe(self.numerics)}" if inherited else describe(self.numerics)


def describe(numerics: Numerics | RangedNumerics) -> str:
    """The fields of a Numerics that are not defaults, as name=value."""
    return ", ".join(f"{name}={value}" for name, value in fields_of(numerics))


def fields_of(numerics: Numerics | RangedNumerics) -> list[tuple[str, str]]:
    """Names and texts of the fields that are not defaults."""
    if isinstance(numerics, RangedNumerics):
        given = [(name, getattr(numerics, name)) for name in RangedNumerics.__dataclass_fields__ if name != "momentum"]
        return [(name, str(value)) for name, value in given if value is not None]
    default = Numerics(numerics.weight, numerics.activation)
    return [
        (name, str(getattr(numerics, name)))
        for name in Numerics.__dataclass_fields__
        if name in ("weight", "activation") or getattr(numerics, name) != getattr(default, name)
    ]
