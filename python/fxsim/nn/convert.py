"""fx.convert and fx.set_numerics: a float model becomes a fixed-point one."""

from __future__ import annotations

import copy
import difflib
import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from torch import Tensor, nn

from fxsim.nn._layer import Layer
from fxsim.nn.conv2d import Conv2d
from fxsim.nn.linear import Linear
from fxsim.nn.quantized import Quantized
from fxsim.nn.ranged import RangedConv2d, RangedLinear
from fxsim.nn.ranged_module import RangedModule
from fxsim.nn.replacements import FORMS, check_types
from fxsim.nn.strict import refuse_floats
from fxsim.numerics import Numerics
from fxsim.ranges import RangedNumerics

Arithmetic: TypeAlias = Numerics | RangedNumerics
"""What a layer can be told about numbers: formats, or word lengths on grids that follow its tensors."""

_Weighted = TypeVar("_Weighted", Linear, Conv2d, RangedLinear, RangedConv2d)

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def convert(
    model: nn.Module,
    numerics: Arithmetic,
    overrides: Mapping[str, Arithmetic | None] | None = None,
    inplace: bool = False,
    *,
    wrap: Sequence[type[nn.Module]] = (),
    also: Sequence[type[nn.Module]] = (),
    strict: bool = False,
    sample: Tensor | Sequence[Tensor] | None = None,
    seed: int = 0,
) -> nn.Module:
    """Replace every `nn.Linear` and `nn.Conv2d` by fxsim's, with the same parameters.

    Then every fxsim module gets its number, in `named_modules()` order, its dotted name, and the seed.

    Args:
        model: any module; subclasses of the two types are left as they are (`fx.summary` shows them).
        numerics: formats and modes of all layers; or a RangedNumerics, for layers whose grids follow their tensors.
        overrides: by glob over dotted names, such as "layer1.*"; where several match, the last one holds. None leaves
            a layer in float.
        inplace: change `model` itself instead of a deep copy.
        wrap: types of modules to put between quantizers (`nn.Quantized`, `nn.RangedModule`).
        also: further types to replace by their integer forms, out of `nn.INTEGER_FORMS`. `nn.BatchNorm2d` becomes
            `RangeBatchNorm2d`, which is another function: it divides by a multiple of the range.
        strict: refuse the model, before anything is changed, if a part of it would still compute in floats when it is
            run on the sample, in training mode backward too (`float_parts`).
        sample: for strict: the input of the model, or several.
        seed: the seed of the run.

    Returns:
        The converted model: a new object if `model` itself is a layer.

    Raises:
        TypeError: `numerics` is neither a Numerics nor a RangedNumerics.
        ValueError: an override matches no layer; a layer's weight is not a plain parameter, or its padding is refused;
            a type has no integer form, or a module's settings have none; strict and a part is float.
    """
    check_types(tuple(also), tuple(wrap))
    if strict:
        if sample is None:
            raise ValueError("convert: strict=True needs sample, an input of the model, to see what it computes")
        refuse_floats(convert(model, numerics, overrides, wrap=wrap, also=also, seed=seed), sample)
    kinds = (nn.Linear, nn.Conv2d, *wrap, *also)
    target = model if inplace else copy.deepcopy(model)
    wrapped = {module.module for module in target.modules() if isinstance(module, Quantized | RangedModule)}
    found = [
        (name, module) for name, module in target.named_modules() if type(module) in kinds and module not in wrapped
    ]
    chosen = _choose([name for name, _ in found], numerics, overrides or {})
    replaced = {
        module: _replacement(name, module, chosen[name], type(module) in also)
        for name, module in found
        if chosen[name] is not None
    }
    for parent in list(target.modules()):
        # not named_children, which leaves out the second name of a shared module
        for child_name, child in list(parent._modules.items()):
            if child in replaced:
                setattr(parent, child_name, replaced[child])
    converted = replaced.get(target, target)
    for layer_id, (name, layer) in enumerate(layers(converted)):
        layer.layer_id, layer.name, layer.seed = layer_id, name, seed
    return converted


def set_numerics(model: nn.Module, pattern: str, numerics: Arithmetic) -> None:
    """Give every fxsim module whose dotted name matches a glob another Numerics, from the next forward on.

    Raises:
        TypeError: `numerics` is no Numerics.
        ValueError: no module matches.
    """
    present = layers(model)
    matching = [layer for name, layer in present if fnmatch.fnmatchcase(name, pattern)]
    if not matching:
        raise ValueError(_no_match("set_numerics: pattern", pattern, [name for name, _ in present]))
    for layer in matching:
        layer.numerics = numerics  # type: ignore[assignment]  # each kind of layer refuses the other's


def layers(model: nn.Module) -> list[tuple[str, Layer]]:
    """All fxsim modules of a model with their dotted names, in `named_modules()` order."""
    return [(name, module) for name, module in model.named_modules() if isinstance(module, Layer)]


def _choose(
    names: Sequence[str], numerics: Arithmetic, overrides: Mapping[str, Arithmetic | None]
) -> dict[str, Arithmetic | None]:
    chosen: dict[str, Arithmetic | None] = dict.fromkeys(names, numerics)
    for pattern, override in overrides.items():
        matching = fnmatch.filter(names, pattern)
        if not matching:
            raise ValueError(_no_match("convert: override", pattern, names))
        chosen.update(dict.fromkeys(matching, override))
    return chosen


def _no_match(what: str, pattern: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(pattern, names, n=3) or list(names[:3])
    listed = ", ".join(map(repr, near)) if near else "none at all"
    return f"{what} {pattern!r} matches none of {len(names)} layers; names are like {listed}"


def _replacement(name: str, module: nn.Module, numerics: Arithmetic | None, also: bool) -> Layer:
    if not isinstance(numerics, Numerics | RangedNumerics):
        raise TypeError(f"convert: numerics of {name!r} is {type(numerics).__name__}: a Numerics is needed")
    try:
        return (_integer_form(module, numerics) if also else _made(module, numerics)).train(module.training)
    except ValueError as error:
        raise ValueError(f"convert: {name}: {error}") from None


def _made(module: nn.Module, numerics: Arithmetic) -> Layer:
    if type(module) is nn.Linear:
        shape = (module.in_features, module.out_features, module.bias is not None)
        if isinstance(numerics, RangedNumerics):
            return _sharing(module, lambda: RangedLinear(*shape, device="meta", numerics=numerics))
        return _sharing(module, lambda: Linear(*shape, device="meta", numerics=numerics))
    if type(module) is nn.Conv2d:
        if isinstance(numerics, RangedNumerics):
            return _sharing(module, lambda: _conv2d_like(module, RangedConv2d, numerics))
        return _sharing(module, lambda: _conv2d_like(module, Conv2d, numerics))
    return RangedModule(module, numerics) if isinstance(numerics, RangedNumerics) else Quantized(module, numerics)


def _integer_form(module: nn.Module, numerics: Arithmetic) -> Layer:
    if not isinstance(numerics, Numerics):
        raise ValueError("its integer form needs a Numerics: give it one by an override, or leave its type out of also")
    layer = FORMS[type(module)](module, numerics)
    _take_hooks(layer, module)
    return layer


def _conv2d_like(module: nn.Conv2d, kind: Callable[..., _Weighted], numerics: Arithmetic) -> _Weighted:
    return kind(
        module.in_channels,
        module.out_channels,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.groups,
        module.bias is not None,
        module.padding_mode,
        device="meta",
        numerics=numerics,
    )


def _sharing(module: nn.Linear | nn.Conv2d, make: Callable[[], _Weighted]) -> _Weighted:
    """A new layer with the very parameters and hooks of an old one."""
    if not isinstance(module._parameters.get("weight"), nn.Parameter):
        raise ValueError("its weight is computed by a hook; make it plain first, as torch.nn.utils.prune.remove does")
    layer = make()
    layer.weight = module.weight
    layer.bias = module.bias
    _take_hooks(layer, module)
    return layer


def _take_hooks(layer: nn.Module, module: nn.Module) -> None:
    for hooks in _HOOKS:
        getattr(layer, hooks).update(getattr(module, hooks))
