"""Fixed-point training under a precision assignment, as a policy.

Source: Sakr and Shanbhag, ICLR 2019; docs/policies/sakr.md says what was decided where paper and code leave gaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, final

from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.policies.base import Decision, FloatArray, LayerShape, Observation, Policy, Switch, WordUpdate
from fxsim.policies.sakr.assignment import REGISTER, WIDE, Assignment, LayerAssignment
from fxsim.policies.state import check_settings

OFFSETS: Final = (-1, 0, 1)

NORM: Final = Numerics("<16,12>", REGISTER, REGISTER)
"""Of range normalisation: its vectors in [-8, 8), input and output as layers hand them on."""


@final
class Sakr(Policy):
    """Every tensor in a precision of its own, from the first step to the last.

    assignment: the precisions, by layer; None: 16 bits for every tensor, until `adopt` is called with an assignment
        that was measured (`fxsim train` does so in a floating point run before the actual one).
    offset: -1, 0 or 1: C_o - 1, C_o or C_o + 1.
    target: of the mismatch that B_min is chosen by, p_m. images: that noise gains are estimated on. probe_steps: of the
        floating point run; 0: as many as the actual run has. These three are for whoever measures.
    range_norm: whether batch normalisation becomes range normalisation, whose forward pass is integer too.
    """

    name: ClassVar[str] = "sakr"
    adaptive: ClassVar[bool] = True

    def __init__(
        self,
        assignment: Assignment | None = None,
        *,
        offset: int = 0,
        target: float = 0.01,
        images: int = 200,
        probe_steps: int = 0,
        range_norm: bool = False,
    ) -> None:
        _require(offset in OFFSETS, "offset", offset, "-1, 0 or 1")
        _require(0.0 < target < 1.0, "target", target, "a share between 0 and 1")
        _require(images >= 1, "images", images, "1 or more")
        _require(probe_steps >= 0, "probe_steps", probe_steps, "a number of steps, or 0 for as many as the run has")
        self.offset: Final = offset
        self.target: Final = target
        self.images: Final = images
        self.probe_steps: Final = probe_steps
        self._range_norm: Final = range_norm
        self._given: Final = assignment
        self._assignment = assignment
        self._layers: dict[str, LayerAssignment] = {}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Sakr:
        """The policy of a configuration file: `assignment` as a text, "" for none."""
        text = options["assignment"]
        return cls(
            Assignment.from_text(text) if text else None,
            offset=options["offset"],
            target=options["target"],
            images=options["images"],
            probe_steps=options["probe_steps"],
            range_norm=options["range_norm"],
        )

    @property
    def assignment(self) -> Assignment | None:
        """C_o, before the offset; None where nothing was given or measured yet."""
        return self._assignment

    def adopt(self, assignment: Assignment) -> None:
        """Take a measured assignment, before the run starts."""
        self._assignment = assignment

    @property
    def update_rule(self) -> WordUpdate | None:
        return WordUpdate({name: (layer.weight, layer.accumulator) for name, layer in self._layers.items()})

    @property
    def range_norm(self) -> Numerics | None:
        return NORM if self._range_norm else None

    @property
    def formats(self) -> Mapping[str, Format]:
        return {name: layer.weight_format for name, layer in self._layers.items()}

    def start_numerics(self) -> Numerics | None:
        return WIDE.numerics()

    def numerics_for(self, format: Format) -> Numerics | None:  # noqa: ARG002
        return self.start_numerics()

    def numerics_of(self, layer: str) -> Numerics | None:
        return self._layers[layer].numerics()

    def numerics_of_followers(self, layer: str) -> Numerics | None:  # noqa: ARG002 - a normalisation keeps its own
        return None

    def start(self, layers: tuple[LayerShape, ...], seed: int) -> Decision:  # noqa: ARG002
        if self._assignment is None:
            self._layers = {layer.name: WIDE for layer in layers}
            return Decision(self.formats)
        shifted = self._assignment.shifted(self.offset).layers if self.offset else self._assignment.layers
        missing = [layer.name for layer in layers if layer.name not in shifted]
        if missing:
            raise ValueError(
                f"sakr: the assignment has no precisions for {', '.join(missing)}; it has those of "
                f"{', '.join(shifted)}: measure the model that is trained"
            )
        self._layers = {layer.name: shifted[layer.name] for layer in layers}
        switches = tuple(
            Switch(0, name, WIDE.weight_format, each.weight_format, "assigned", _details(each))
            for name, each in self._layers.items()
        )
        return Decision(self.formats, switches)

    def observe(self, observation: Observation) -> Decision:  # noqa: ARG002
        return Decision(self.formats)

    def finalize(self, weights: Mapping[str, FloatArray], step: int) -> Decision:  # noqa: ARG002
        return Decision(self.formats)

    def state_dict(self) -> dict[str, Any]:
        return {
            "policy": self.name,
            "settings": self._settings(),
            "assignment": self._assignment.to_text() if self._assignment else "",
            "layers": Assignment(self._layers).to_text(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        check_settings(state, self.name, self._settings())
        layers = dict(Assignment.from_text(state["layers"]).layers)
        if self._layers and list(self._layers) != list(layers):
            raise ValueError(
                f"load_state_dict: the state has the layers {', '.join(layers)}, this run has "
                f"{', '.join(self._layers)}; build the model that the run was started with"
            )
        self._assignment = Assignment.from_text(state["assignment"]) if state["assignment"] else None
        self._layers = layers

    def _settings(self) -> dict[str, str]:
        given = "" if self._given is None else self._given.to_text()
        settings = {
            "assignment": given,
            "offset": self.offset,
            "target": self.target,
            "range_norm": self._range_norm,
        }
        return {name: str(value) for name, value in settings.items()}

    def __repr__(self) -> str:
        given = "None" if self._given is None else f"Assignment.from_text({self._given.to_text()!r})"
        return (
            f"Sakr({given}, offset={self.offset}, target={self.target}, images={self.images}, "
            f"probe_steps={self.probe_steps}, range_norm={self._range_norm})"
        )


def _details(layer: LayerAssignment) -> dict[str, float]:
    return {
        "activation": float(layer.activation),
        "weight_gradient": float(layer.weight_gradient),
        "weight_gradient_range": float(layer.weight_gradient_range),
        "activation_gradient": float(layer.activation_gradient),
        "activation_gradient_range": float(layer.activation_gradient_range),
        "accumulator": float(layer.accumulator),
    }


def _require(condition: bool, name: str, given: object, accepted: str) -> None:
    if not condition:
        raise ValueError(f"Sakr: {name} is {given}; give {accepted}")
