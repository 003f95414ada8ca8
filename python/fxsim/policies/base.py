"""What a policy sees, what it answers, and the class that every policy is.

A policy is a rule that chooses number formats while a network trains. It is pure in the sense that it
knows neither models nor optimizers: training fills an `Observation`, the policy returns a `Decision`, and
whoever asked carries it out. So a policy is tested without a network and used without this library's
training loop.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.ranges import Block, RangedNumerics
from fxsim.rounding import Quantizer

Arithmetic: TypeAlias = Numerics | RangedNumerics
"""What a layer can be told about numbers: formats, or word lengths on grids that follow its tensors."""

End: TypeAlias = Literal["first", "last"]
"""A weighted layer by its place in the model."""

FloatArray: TypeAlias = NDArray[np.floating[Any]]

GradientOrder: TypeAlias = Literal["quantize_first", "normalize_first"]
GRADIENT_ORDERS: tuple[GradientOrder, ...] = ("quantize_first", "normalize_first")


@final
@dataclass(frozen=True, slots=True)
class LayerShape:
    """One weighted layer, as a policy is introduced to it.

    name: the dotted path of the layer. shape: of its weight. layer_id: the number that the layer's random
    streams carry, below 2**16.
    """

    name: str
    shape: tuple[int, ...]
    layer_id: int = 0


@final
@dataclass(frozen=True, slots=True, eq=False)
class LayerObservation:
    """What happened to one weighted layer in one optimizer step.

    weight: the float master copy before the step. gradient: this step's weight gradient after the policy's
    `GradientRule`, shaped like the weight. vanished: the quantized gradient was zero everywhere.
    raw_gradient: the gradient before the rule, given only to a policy that sets `needs_raw_gradients`.
    The arrays are borrowed: a policy that keeps one copies it.
    """

    name: str
    weight: FloatArray
    gradient: FloatArray
    vanished: bool = False
    raw_gradient: FloatArray | None = None


@final
@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One optimizer step. step: its number, from 0. loss: its full loss, penalties included.

    layers: the weighted layers that received a gradient, in model order. penalty: what the policy's own terms added to
    the loss.
    """

    step: int
    loss: float
    layers: tuple[LayerObservation, ...]
    penalty: float = 0.0

    @property
    def task_loss(self) -> float:
        """The loss without the policy's own terms."""
        return self.loss - self.penalty


@final
@dataclass(frozen=True, slots=True)
class Switch:
    """A layer's format was decided anew at `step`, for `reason`; `details` holds the numbers behind it.

    A decision may confirm the old format: `changed` tells.
    """

    step: int
    layer: str
    old: Format
    new: Format
    reason: str
    details: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)

    @property
    def changed(self) -> bool:
        return self.old != self.new


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """The formats of all weighted layers from the next forward on, and the switches that led there."""

    formats: Mapping[str, Format]
    switches: tuple[Switch, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class GradientRule:
    """Every parameter's gradient is stochastically rounded to its layer's format and scaled to unit length.

    order: "quantize_first" rounds, then divides by the L2 norm of the tensor. "normalize_first" divides,
    rounds, and divides again, which does not depend on the scale of the loss. random_bits: of the rounding, 1 to 32.
    """

    order: GradientOrder = "quantize_first"
    random_bits: int = 16

    def __post_init__(self) -> None:
        if self.order not in GRADIENT_ORDERS:
            raise ValueError(f"GradientRule: order is {self.order!r}; give one of {', '.join(GRADIENT_ORDERS)}")


@final
@dataclass(frozen=True, slots=True)
class BlockGradientRule:
    """Every parameter's gradient is rounded to the block that fits it; its scale stays what it was."""

    block: Block


@final
@dataclass(frozen=True, slots=True)
class Gating:
    """Blocks of layers that are computed under one of several arithmetics, chosen for each sample by a learned gate.

    candidates: the arithmetics; None: the block is skipped where it keeps the shape. costs: of each, what a
    multiply-accumulate of a training step's three products costs in all, as a fraction of a float32 product.
    """

    candidates: tuple[RangedNumerics | None, ...]
    costs: tuple[float, ...]


@final
@dataclass(frozen=True, slots=True)
class LossRule:
    """Terms that the policy adds to the loss: l1 * sum |quantized parameter|, and the word length penalty.

    word_length: whether the penalty on word length and density is added (it has no gradient).
    """

    l1: float = 0.0
    word_length: bool = False


@final
@dataclass(frozen=True, slots=True)
class TernaryRule:
    """Every parameter's gradient becomes s, 0 or -s; s = min(clip sigma, max |g|), one scale a tensor.

    clip: in standard deviations of the tensor; 0 for s = max |g|. stochastic: an element is kept with probability
    |g| / s, which keeps the mean; else where |g| > s / 2. random_bits: 1 to 32. least_elements: smaller tensors stay
    as they are. except_last: so do the parameters of the last weighted layer.
    """

    clip: float = 2.5
    stochastic: bool = True
    random_bits: int = 16
    least_elements: int = 0
    except_last: bool = False


@final
@dataclass(frozen=True, slots=True)
class WordUpdate:
    """Weights are integer words that take the optimizer's place: word -= round(learning rate * gradient).

    words: (B_W, B_acc) by layer. A word on the grid 2**(1 - B_W - B_acc) holds a weight of B_W bits in [-1, 1), the
    part that the network computes with, and a residue of B_acc bits below it.
    """

    words: Mapping[str, tuple[int, int]]


@final
@dataclass(frozen=True, slots=True)
class GridUpdate:
    """The optimizer's result is rounded to a grid again, parameter by parameter: there is no finer copy."""

    quantizer: Quantizer


@final
@dataclass(frozen=True, slots=True)
class ClipUpdate:
    """Weights are clipped to [-limit, limit] after the optimizer's step."""

    limit: float


@final
@dataclass(frozen=True, slots=True)
class ShiftUpdate:
    """WAGE's update takes the optimizer's place: x = lr g / 2**round(log2 max |g|), a signed word of whole steps.

    format: of the stored weights. An element moves by the integer part of x, in steps of the format, and by one more
    with the probability of its fraction. random_bits: of that draw, 1 to 32.
    """

    format: Format
    random_bits: int = 16


UpdateRule: TypeAlias = WordUpdate | GridUpdate | ClipUpdate | ShiftUpdate


class Policy(abc.ABC):
    """A rule from observations to formats.

    One policy object serves one run: `start`, then `observe` once an optimizer step, then `finalize`.
    Decisions depend on nothing but the arguments of these calls, in their order, and on the state that
    `state_dict` holds; the random numbers a policy needs come from its own streams of `fxsim.rng`.
    """

    name: ClassVar[str]
    adaptive: ClassVar[bool] = False
    """Whether decisions may change. If not, `observe` is never called and the model's formats are its own."""
    quantizes_neighbours: ClassVar[bool] = False
    """Whether normalisation and pooling layers round their inputs and outputs in the formats of the layer before."""
    float_layers: ClassVar[tuple[End, ...]] = ()
    """The weighted layers that stay in floating point."""

    def plan(self, total_steps: int) -> None:  # noqa: B027
        """Be told, before `start`, how many optimizer steps the run will take."""

    @property
    def learning_rate_factor(self) -> float:
        """What the caller's learning rate is to be multiplied with in the next step."""
        return 1.0

    @property
    def gradient_rule(self) -> GradientRule | BlockGradientRule | TernaryRule | None:
        """What becomes of the parameters' gradients before the optimizer sees them; None: nothing."""
        return None

    @property
    def update_rule(self) -> UpdateRule | None:
        """What becomes of the parameters when the optimizer steps; None: what the optimizer makes of them."""
        return None

    @property
    def loss_rule(self) -> LossRule | None:
        """What is added to the loss; None: nothing."""
        return None

    @property
    def range_norm(self) -> Numerics | None:
        """The arithmetic of the range normalisation that takes batch normalisation's place; None: it stays."""
        return None

    @property
    def gating(self) -> Gating | None:
        """The arithmetics that gates choose from, sample by sample; None: there are no gates."""
        return None

    def gate_factor(self, cost_percent: float) -> float:  # noqa: ARG002
        """What the gates' mean cost is multiplied with in the loss.

        cost_percent: of the batch, relative to float32.
        """
        return 0.0

    @property
    def needs_raw_gradients(self) -> bool:
        """Whether observations must carry the gradients as they were before the gradient rule."""
        return False

    @property
    @abc.abstractmethod
    def formats(self) -> Mapping[str, Format]:
        """The formats in force, by layer: those of the latest decision, or of the state loaded since."""

    @abc.abstractmethod
    def start_numerics(self) -> Arithmetic | None:
        """The arithmetic a layer starts with; None: the model stays in floating point."""

    @abc.abstractmethod
    def numerics_for(self, format: Format) -> Arithmetic | None:
        """The arithmetic of a layer whose format is `format`; None as in `start_numerics`."""

    def numerics_of(self, layer: str) -> Arithmetic | None:
        """The arithmetic of one layer after the latest decision, where its format does not tell everything."""
        return self.numerics_for(self.formats[layer])

    def numerics_of_followers(self, layer: str) -> Arithmetic | None:
        """That of modules without a format of their own, behind the layer; None: they keep what they have."""
        return self.numerics_of(layer)

    @abc.abstractmethod
    def start(self, layers: tuple[LayerShape, ...], seed: int) -> Decision:
        """Begin a run on these layers. seed: 64 bits, the run's; equal seeds give equal decisions."""

    @abc.abstractmethod
    def observe(self, observation: Observation) -> Decision:
        """Take note of one optimizer step and decide the formats that follow it."""

    @abc.abstractmethod
    def finalize(self, weights: Mapping[str, FloatArray], step: int) -> Decision:
        """Decide the formats that the trained network keeps.

        weights: the float master copy of every weighted layer. step: the number of steps taken.
        """

    @abc.abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All state, as dicts, lists, strings, numbers and NumPy arrays; arrays are copies."""

    @abc.abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Raises ValueError where the state belongs to another policy or to other settings.
        """
