"""What of a model still computes in floats: found by running it once and watching every op."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, Final, final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from fxsim.nn._layer import Layer
from fxsim.nn.quantized import Quantized
from fxsim.ops.torch_moves import MOVES, SELECTS

_FORWARD, _BACKWARD, _GRADIENTS = "forward", "backward", "gradients"

_ADVICE: Final = MappingProxyType(
    {
        "add": "add with fx.nn.Sum() and name it in also, or use fx.nn.Add",
        "native_batch_norm": "name nn.BatchNorm2d in also, or for inference fold it first with fx.fold_batch_norm",
        "batch_norm_relu": "convert before fx.fuse: a fused BatchNormReLU2d is a float layer",
        "convolution": "let convert replace the layer: a plain nn.Conv2d, no override None, no functional call",
        "addmm": "let convert replace the layer: a plain nn.Linear, no override None, no functional call",
        "mm": "let convert replace the layer: a plain nn.Linear, no override None, no functional call",
        "avg_pool2d": "use nn.AvgPool2d and name it in also",
        "mean": "use nn.AdaptiveAvgPool2d(1) and name it in also",
        "_adaptive_avg_pool2d": "use nn.AdaptiveAvgPool2d and name it in also",
        "hardtanh": "use nn.Hardtanh or nn.ReLU6 and name it in also",
        "clamp": "use fx.nn.Clip",
    }
)
_ALIKE: Final = MappingProxyType(
    {"cudnn_batch_norm": "native_batch_norm", "_native_batch_norm_legit": "native_batch_norm", "sub": "add"}
)
_FAN_OUT: Final = "a tensor is used twice, so that its gradients are added: use fx.nn.Split(), and name it in also"
_POOL_GRADIENT: Final = "max_pool2d_with_indices_backward"
_OWN_FLOATS: Final = ("batch_norm_relu", "batch_norm_relu_backward")
_NONE: Final = "fxsim has no integer form of it; compute it outside the model, or do without strict"
_GRADIENT_OF_FLOATS: Final = "it is the gradient of something that is float in the forward"
_OVERLAP: Final = "windows overlap, so that gradients are added: choose a stride of the window's size"
_FLOAT_GRADIENTS: Final = (
    "its Numerics has no grad_output, so gradients are computed in floats; name one, or call eval()"
)


@final
@dataclass(frozen=True, slots=True)
class FloatPart:
    """Something that computes in floats.

    module: dotted path of the innermost module it runs in; "" for the model itself. what: an op of torch such as
    "aten.add", or "gradients" of a layer. pass_: "forward" or "backward". line: file and line of the call, where the
    program has one. advice: what to do about it.
    """

    module: str
    what: str
    pass_: str
    line: str
    advice: str

    def __str__(self) -> str:
        where = self.module or "the model itself"
        return f"{where}: {self.what} ({self.pass_}{', ' + self.line if self.line else ''}): {self.advice}"


def float_parts(model: nn.Module, sample: Tensor | Sequence[Tensor]) -> tuple[FloatPart, ...]:
    """Everything in a model that computes on floats when it is run on a sample, each kind and place once.

    In training mode the backward pass is run too, and layers without integer gradients are listed. What only moves
    or chooses floats (views, concatenation, ReLU, max pooling) is no computation, and neither is what fxsim's own
    ops do. The model is copied first and keeps its state.

    Args:
        model: usually one that `convert` made.
        sample: the input, or several, as the model takes them.

    Raises:
        TypeError: the sample holds something else than tensors.
    """
    inputs = (sample,) if isinstance(sample, Tensor) else tuple(sample)
    if not inputs or not all(isinstance(each, Tensor) for each in inputs):
        raise TypeError("float_parts: sample is no tensor and no sequence of tensors; give an input of the model")
    trial = copy.deepcopy(model)
    watch = _Watch()
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), _named(trial, watch), watch:
        output = trial(*inputs)
        if model.training:
            watch.where = None
            roots = [each for each in _tensors(output) if each.requires_grad]
            torch.autograd.backward(roots, [torch.ones_like(each) for each in roots])
    gradients = _without_integer_gradients(trial) if model.training else ()
    return tuple(dict.fromkeys((*watch.found, *gradients)))


def refuse_floats(model: nn.Module, sample: Tensor | Sequence[Tensor]) -> None:
    """Refuse a model with float parts.

    Raises:
        ValueError: listing all of them.
    """
    parts = float_parts(model, sample)
    if parts:
        listed = "\n".join(f"  {part}" for part in parts)
        raise ValueError(f"convert: strict=True, and {len(parts)} parts of the model compute in floats:\n{listed}")


def _without_integer_gradients(model: nn.Module) -> Iterator[FloatPart]:
    for name, module in model.named_modules():
        if isinstance(module, Layer) and not isinstance(module, Quantized) and module.numerics.grad_output is None:
            yield FloatPart(name, _GRADIENTS, _BACKWARD, "", _FLOAT_GRADIENTS)


@final
class _Watch(TorchDispatchMode):
    """Notes every float computation; `where` is the path of the running module, None in the backward pass."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.where: str | None = ""
        self.found: list[FloatPart] = []

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        quiet = (
            (func.namespace == "fxsim" and name not in _OWN_FLOATS)
            or func.is_view
            or MOVES.fullmatch(name)
            or SELECTS.fullmatch(name)
        )
        quiet = quiet or (name == _POOL_GRADIENT and _apart(args))
        if not quiet and any(each.is_floating_point() for each in _tensors(args[:1] if result is None else result)):
            self.found.append(self._part(func.namespace, name))
        return result

    def _part(self, namespace: str, name: str) -> FloatPart:
        what, plain = f"{namespace}.{name}", name.removesuffix("_")
        if self.where is None:
            advice = {"add": _FAN_OUT, _POOL_GRADIENT: _OVERLAP}.get(plain, _GRADIENT_OF_FLOATS)
            return FloatPart("", what, _BACKWARD, "", advice)
        advice = _ADVICE.get(_ALIKE.get(plain, plain), _NONE)
        return FloatPart(self.where, what, _FORWARD, _caller(), advice)


@contextmanager
def _named(model: nn.Module, watch: _Watch) -> Iterator[None]:
    """Keep `watch.where` at the path of the module that runs."""
    stack = [""]
    hooks = []

    def enter(name: str) -> Callable[..., None]:
        def push(*_: object) -> None:
            stack.append(name)
            watch.where = name

        return push

    def leave(*_: object) -> None:
        stack.pop()
        watch.where = stack[-1]

    for name, module in model.named_modules():
        if module is not model:
            hooks.append(module.register_forward_pre_hook(enter(name)))
            hooks.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _caller() -> str:
    """File and line of the innermost frame that is neither torch's nor this package's machinery."""
    machinery = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(machinery):
        frame = frame.f_back
    return "" if frame is None else f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def _apart(args: tuple[Any, ...]) -> bool:
    """Whether the windows of a max pool do not overlap, so that no two gradients meet."""
    _, _, size, stride, *_ = args
    return not stride or all(step >= length for step, length in zip(stride, size, strict=True))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, Mapping):
        yield from _tensors(list(value.values()))
