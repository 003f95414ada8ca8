"""How fast is fake quantization as QPyTorch does it, on one tensor and in a training step, against fxsim?

QPyTorch compiles its kernels on first import, without optimisation; it is timed so, and with its sources compiled
with -O3. The tensor has 128 MB; the step is the one of `step_resnet20` with 8-bit gradients, in which QPyTorch rounds
the same tensors and torch convolves in float32.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor, nn
from torch.utils import cpp_extension

from fxsim.bench import step_resnet20
from fxsim.bench.measure import Note, Outcome, Settings, interleaved, require_equal, row
from fxsim.bench.step_resnet20 import Subject
from fxsim.formats import Format
from fxsim.numerics import Numerics
from fxsim.ops import quantize
from fxsim.rng import Key
from fxsim.rounding import Quantizer, Stochastic

ELEMENTS: Final = 32 << 20
FORMAT: Final = Format(8, 4)

INSTALL: Final = "pip install ninja && pip install --no-deps --no-build-isolation qtorch==0.3.0"

_SHIPPED: Final = "QPyTorch as shipped"
_OPTIMISED: Final = "QPyTorch with -O3"


def run(settings: Settings) -> Outcome:
    """Check and time, if QPyTorch is there and compiles."""
    try:
        builds = _builds()
    except (ImportError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        yield Note(f"QPyTorch is not usable ({reason}); install it with: {INSTALL}")
        return
    yield from _tensor(builds, settings)
    yield from _step(builds, settings)


def _builds() -> dict[str, Any]:
    """QPyTorch's compiled kernels by how they were compiled."""
    functions: Any = importlib.import_module("qtorch.quant.quant_function")
    sources = sorted(map(str, (Path(str(functions.__file__)).parent / "quant_cpu").glob("*.cpp")))
    optimised = cpp_extension.load("quant_cpu_o3", sources, extra_cflags=["-O3"])
    return {_SHIPPED: functions.quant_cpu, _OPTIMISED: optimised}


def _with(build: object, call: Callable[[], Any]) -> Any:
    """The call, with QPyTorch on these kernels."""
    functions: Any = importlib.import_module("qtorch.quant.quant_function")
    functions.quant_cpu = build
    return call()


def _tensor(builds: dict[str, Any], settings: Settings) -> Outcome:
    x = torch.randn(1000 if settings.toy else ELEMENTS, generator=torch.Generator().manual_seed(1))
    peer = importlib.import_module("qtorch.quant").fixed_point_quantize
    nearest = quantize(x, FORMAT).to_float()
    for name, build in builds.items():
        require_equal(name, nearest, _with(build, partial(peer, x, FORMAT.wl, FORMAT.fl, rounding="nearest")))
    calls = {name: partial(_with, build, partial(peer, x, FORMAT.wl, FORMAT.fl)) for name, build in builds.items()}
    tracks = interleaved({"ours": partial(quantize, x, FORMAT, Stochastic(16), key=Key(1)), **calls}, settings)
    for name in builds:
        yield row("quantize 128 MB to 8 bits, stochastic", name, tracks["ours"], tracks[name])


def _step(builds: dict[str, Any], settings: Settings) -> Outcome:
    make_network = step_resnet20.small_network if settings.toy else step_resnet20.network
    x, y = step_resnet20.batch(2, 8) if settings.toy else step_resnet20.batch(step_resnet20.BATCH, 32)
    make = partial(step_resnet20.static, 8)
    step_resnet20.check_bits("8-bit gradients", make, step_resnet20.small_network(), 8, "reference")
    steps = {}
    for name, build in builds.items():
        model = make_network()
        _fake(model)
        steps[name] = partial(_with, build, partial(Subject.of(model).step, x, y))
    tracks = interleaved({"ours": partial(make(make_network()).step, x, y), **steps}, settings)
    for name in builds:
        yield row("step, ResNet20, 8-bit gradients", name, tracks["ours"], tracks[name], must=4.0, aim=8.0)


def _fake(model: nn.Module) -> None:
    """Put every layer with a weight between QPyTorch's quantizers, in the formats of the fixed-point step."""
    for name, child in list(model.named_children()):
        if isinstance(child, nn.Conv2d | nn.Linear):
            numerics = step_resnet20.numerics(8, 6 if isinstance(child, nn.Linear) else 2)
            setattr(model, name, _Faked(child, numerics))
        else:
            _fake(child)


@final
class _Faked(nn.Module):
    """A layer whose input and weight are rounded forward, and the gradient of whose output backward."""

    def __init__(self, layer: nn.Conv2d | nn.Linear, numerics: Numerics) -> None:
        super().__init__()
        quant = importlib.import_module("qtorch.quant")
        weight, activation = (
            quant.quantizer(_number(each), forward_rounding="nearest")
            for each in (numerics.weight, numerics.activation)
        )
        self.layer, self._weight, self._activation = layer, weight, activation
        gradient = _number(numerics.grad_output)
        self._gradient = quant.quantizer(None, gradient, backward_rounding="stochastic")

    def forward(self, x: Tensor) -> Tensor:
        parameters = {"weight": self._weight(self.layer.weight)}
        out = torch.func.functional_call(self.layer, parameters, (self._activation(x),))
        gradient_rounded: Tensor = self._gradient(out)
        return gradient_rounded


def _number(quantizer: Quantizer | None) -> object:
    """The format as QPyTorch names it."""
    if quantizer is None:
        return None
    return importlib.import_module("qtorch").FixedPoint(quantizer.format.wl, quantizer.format.fl)
