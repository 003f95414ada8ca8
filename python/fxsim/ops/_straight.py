"""Who stands between a call and a kernel: what torch's dispatcher would ask, asked beforehand."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode
from torch.utils._python_dispatch import TorchDispatchMode

P = ParamSpec("P")
R = TypeVar("R")

_C = torch._C
_Key = torch._C.DispatchKey


def _bits(*keys: torch._C.DispatchKey) -> int:
    found = 0
    for key in keys:
        found |= _C.DispatchKeySet(key).raw_repr()
    return found


_PLAIN: Final = (Tensor, torch.nn.Parameter)
_NOBODY: Final = ~_bits(_Key.CPU, _Key.AutogradCPU, _Key.AutocastCPU, _Key.ADInplaceOrView, _Key.BackendSelect)
_MODES: Final = _bits(_Key.Python, _Key.PythonTLSSnapshot)
_WATCHES: Final = _NOBODY & ~_MODES


class Onlooker(TorchDispatchMode):
    """A mode to which an op of this library is nothing, whatever it computes inside: it need not be told of any."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]


def watched() -> bool:
    """Whether a mode on this thread is no onlooker."""
    modes = _C._len_torch_dispatch_stack()
    if modes == 1:  # a count by itself: asked at every op
        return not isinstance(_C._get_dispatch_stack_at(0), Onlooker)
    return modes > 0 and not all(map(_looks_on, range(modes)))


def _looks_on(place: int) -> bool:
    return isinstance(_C._get_dispatch_stack_at(place), Onlooker)


def hidden(function: Callable[P, R]) -> Callable[P, R]:
    """The function as something no mode sees anything of: what it does is nobody's arithmetic."""

    @functools.wraps(function)
    def run(*arguments: P.args, **keywords: P.kwargs) -> R:
        if not _C._len_torch_dispatch_stack():
            return function(*arguments, **keywords)
        with _C._DisableTorchDispatch():
            return function(*arguments, **keywords)

    return run


def unseen(function: Callable[P, R]) -> Callable[P, R]:
    """The function as something onlookers see nothing of; other modes do, and then onlookers too."""
    out_of_sight = hidden(function)

    @functools.wraps(function)
    def run(*arguments: P.args, **keywords: P.kwargs) -> R:
        return (function if watched() else out_of_sight)(*arguments, **keywords)

    return run


def straight(x: Tensor) -> bool:
    """Whether the dispatcher would come straight to the CPU kernel of an op on x, or autograd's, and nobody would know.

    Not so for a tensor of another kind, while a mode watches that is no onlooker, a tracer records, functorch
    transforms, or a profiler runs; nor below autograd, where gradients are somebody else's.
    """
    return (
        not torch.compiler.is_compiling()
        and type(x) in _PLAIN
        and _is_nobody((_C._dispatch_keys(x).raw_repr() | _C._dispatch_tls_local_include_set().raw_repr()) & _NOBODY)
        and not (torch.is_grad_enabled() and _C._dispatch_tls_is_dispatch_key_excluded(_Key.AutogradOther))
        and not _C._is_torch_function_mode_enabled()
        and not _C._autograd._profiler_enabled()
    )


def _is_nobody(keys: int) -> bool:
    return not keys or (not keys & ~_MODES and _C._len_torch_dispatch_stack() > 0 and not watched())


def executed(x: Tensor) -> bool:
    """Whether an op on x is executed now and once, though modes may watch: nothing is recorded to be run again."""
    keys = _C._dispatch_keys(x).raw_repr() | _C._dispatch_tls_local_include_set().raw_repr()
    return not keys & _WATCHES and (not keys & _NOBODY or get_proxy_mode() is None)
