"""Measuring a floating point training, so that `policies.sakr.assign` can give every tensor its precision.

The order of the method: train the model in floating point and watch its gradients; estimate noise gains on the
trained net; assign; train in fixed point from the beginning.

Source: Sakr and Shanbhag, ICLR 2019, section 4 ("usage"); running statistics as in their code.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fxsim.nn import RangeBatchNorm2d, convert
from fxsim.nn.activations import Clamp
from fxsim.policies.sakr import Assignment, LayerMeasurement, Sakr, assign
from fxsim.policies.sakr.assignment import WIDE, LayerAssignment
from fxsim.train.initialise import NORMALISATIONS
from fxsim.train.noise_gains import noise_gains
from fxsim.train.surgery import SAKR_CLIP, WEIGHTED, reshape

THETA: Final = 0.1
"""Weight of the newest variance in its running average."""
SPANS: Final = 10
"""Parts of the training at whose ends the running variances are noted; the first is left out."""
MISMATCH_IMAGES: Final = 1000


@final
class RunningVariance:
    """The running average of a tensor's variance, corrected for its start from nothing."""

    __slots__ = ("_average", "_weight")

    def __init__(self) -> None:
        self._average = 0.0
        self._weight = 0.0

    def add(self, tensor: Tensor) -> None:
        """Take the variance of one step's tensor in."""
        variance = float(tensor.detach().to(torch.float64).var(correction=0)) if tensor.numel() else 0.0
        self._average += THETA * (variance - self._average)
        self._weight += THETA * (1.0 - self._weight)

    @property
    def sigma(self) -> float:
        """The deviation; 0 where nothing was added."""
        return float((self._average / self._weight) ** 0.5) if self._weight else 0.0


@final
@dataclass(slots=True)
class _Watched:
    """What is gathered of one layer."""

    layer: nn.Module
    weight: RunningVariance = field(default_factory=RunningVariance)
    output: RunningVariance = field(default_factory=RunningVariance)
    input: RunningVariance = field(default_factory=RunningVariance)
    weight_sigmas: list[float] = field(default_factory=list)
    output_sigmas: list[float] = field(default_factory=list)
    input_sigmas: list[float] = field(default_factory=list)
    sensitivity: float = 0.0

    def note(self) -> None:
        """Keep the present deviations."""
        self.weight_sigmas.append(self.weight.sigma)
        self.output_sigmas.append(self.output.sigma)
        self.input_sigmas.append(self.input.sigma)


def prepare(
    policy: Sakr,
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    rates: Sequence[float],
    stepped: Callable[[int], None] = lambda _: None,
) -> Assignment:
    """Train a copy of the model in floating point, measure, and have the policy adopt the assignment.

    model: plain torch, with its initial weights; it is not changed. batches: (x, labels), x in [0, 2). rates: learning
    rates of the steps, as many as there are to be; the least of them bounds the accumulators. stepped: is told the
    number of steps done, after each.
    """
    target = copy.deepcopy(model)
    reshape(policy, target)
    watched, seen = _train(target, batches, rates, stepped)
    target.eval()
    x = torch.cat(seen)[:MISMATCH_IMAGES]
    gains = noise_gains(target, x[: policy.images], [(name, each.layer) for name, each in watched.items()])
    measurements = {
        name: LayerMeasurement(
            weights=_weight(each.layer).numel(),
            weight_noise_gain=gains[name].weight,
            activation_noise_gain=gains[name].activation,
            weight_sigma_max=max(each.weight_sigmas),
            weight_sigma_min=min(each.weight_sigmas),
            activation_sigma_max=max(each.output_sigmas),
            sensitivity=each.sensitivity,
            input_sigma_max=max(each.input_sigmas),
        )
        for name, each in watched.items()
    }
    assignment = assign(
        measurements, lambda bits: mismatch(target, bits, x), least_learning_rate=min(rates), target=policy.target
    )
    policy.adopt(assignment)
    return assignment


@torch.no_grad()
def mismatch(model: nn.Module, bits: Mapping[str, tuple[int, int]], x: Tensor) -> float:
    """The share of samples on which the model, with these (B_W, B_A), decides otherwise than in float: p_m."""
    numerics = {name: _forward_only(*pair).numerics() for name, pair in bits.items()}
    quantized = convert(model, WIDE.numerics(), overrides=numerics)
    return float((quantized(x).argmax(1) != model(x).argmax(1)).double().mean())


def _forward_only(weight: int, activation: int) -> LayerAssignment:
    return LayerAssignment(
        weight=weight,
        activation=activation,
        weight_gradient=16,
        weight_gradient_range=0,
        activation_gradient=16,
        activation_gradient_range=0,
        accumulator=1,
    )


def _train(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    rates: Sequence[float],
    stepped: Callable[[int], None],
) -> tuple[dict[str, _Watched], list[Tensor]]:
    """Plain SGD with weights clipped to [-1, 1]; the first images that were seen come back."""
    watched = {name: _Watched(module) for name, module in model.named_modules() if type(module) in WEIGHTED}
    model.train()
    span = max(1, len(rates) // SPANS)
    settled = span if len(rates) >= 2 * span else 0
    optimizer = torch.optim.SGD(model.parameters(), lr=rates[0])
    seen: list[Tensor] = []
    for step, (rate, (x, y)) in enumerate(zip(rates, batches, strict=False)):
        if sum(map(len, seen)) < MISMATCH_IMAGES:
            seen.append(x)
        for group in optimizer.param_groups:
            group["lr"] = rate
        trace = _Trace(model, watched, sensitivities=step % span == 0 and step >= settled)
        torch.autograd.backward(F.cross_entropy(trace.forward(x), y))
        for each in watched.values():
            gradient = _weight(each.layer).grad
            if gradient is not None:
                each.weight.add(gradient)
            if (step + 1) % span == 0 and step >= settled:
                each.note()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for each in watched.values():
                _weight(each.layer).clamp_(-1.0, 1.0)
        stepped(step + 1)
    return watched, seen


@final
class _Trace:
    """One training step watched: where each layer's output gradient is quantized, and the gradients that come back.

    The gradient of a layer's output is taken after the first clip that follows it, as the method has it; at the
    layer itself if a normalisation stands between, or nothing follows.
    """

    def __init__(self, model: nn.Module, watched: Mapping[str, _Watched], *, sensitivities: bool) -> None:
        self._model = model
        self._by_layer = {id(each.layer): each for each in watched.values()}
        self._sensitivities = sensitivities
        self._open: list[tuple[_Watched, Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        """The logits; their backward pass is watched too."""
        handles = []
        for module in self._model.modules():
            if id(module) in self._by_layer:
                handles.append(module.register_forward_hook(self._layer(self._by_layer[id(module)])))
            elif isinstance(module, Clamp):
                handles.append(module.register_forward_hook(self._clip))
            elif isinstance(module, (*NORMALISATIONS, RangeBatchNorm2d)):
                handles.append(module.register_forward_hook(lambda *_: self._close()))
        try:
            logits: Tensor = self._model(x)
        finally:
            for handle in handles:
                handle.remove()
        self._close()
        return logits

    def _layer(self, watched: _Watched) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if inputs[0].requires_grad:
                inputs[0].register_hook(watched.input.add)  # type: ignore[no-untyped-call]
            self._open.append((watched, inputs[0].detach(), output))

        return hook

    def _clip(self, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        for watched, x, y in self._open:
            output.register_hook(watched.output.add)  # type: ignore[no-untyped-call]
            if self._sensitivities:
                passes = (inputs[0] >= 0.0) & (inputs[0] <= SAKR_CLIP)
                self._sense(watched, x, passes if passes.shape == y.shape else torch.ones_like(y))
        self._open = []

    def _close(self) -> None:
        """What is still open is measured at the layers' own outputs."""
        for watched, x, y in self._open:
            if y.requires_grad:
                y.register_hook(watched.output.add)  # type: ignore[no-untyped-call]
            if self._sensitivities:
                self._sense(watched, x, torch.ones_like(y))
        self._open = []

    def _sense(self, watched: _Watched, x: Tensor, mask: Tensor) -> None:
        watched.sensitivity = max(watched.sensitivity, sensitivity(watched.layer, x, mask))


@torch.no_grad()
def sensitivity(layer: nn.Module, x: Tensor, mask: Tensor) -> float:
    """S: the sum over weights w and elements g of the output's gradient of (d g_w / d g)**2.

    An element of the output's gradient meets every input it was computed from once, so that is the sum over outputs
    that the mask passes of the squares of their inputs: a convolution of x**2 with ones. x: the layer's input. mask: of
    the activation behind it, 0 or 1, shaped like the output.
    """
    square = x.to(torch.float64).square()
    if isinstance(layer, nn.Conv2d):
        ones = torch.ones((layer.groups, *layer.weight.shape[1:]), dtype=torch.float64)
        met = F.conv2d(square, ones, None, layer.stride, layer.padding, layer.dilation, layer.groups)
        met = met.repeat_interleave(layer.out_channels // layer.groups, dim=1)
    else:
        met = square.sum(-1, keepdim=True)
    return float((mask.to(torch.float64) * met).sum())


def _weight(layer: nn.Module) -> nn.Parameter:
    return layer.get_parameter("weight")
