"""Who stands between a call and a kernel: what torch's dispatcher would ask, asked beforehand."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode

_C = torch._C
_Key = torch._C.DispatchKey


def _bits(*keys: torch._C.DispatchKey) -> int:
    found = 0
    for key in keys:
        found |= _C.DispatchKeySet(key).raw_repr()
    return found


_NOBODY: Final = ~_bits(_Key.CPU, _Key.AutogradCPU, _Key.AutocastCPU, _Key.ADInplaceOrView, _Key.BackendSelect)
_WATCHES: Final = _NOBODY & ~_bits(_Key.Python, _Key.PythonTLSSnapshot)


def straight(x: Tensor) -> bool:
    """Whether the dispatcher would come straight to the CPU kernel of an op on x, or autograd's, and nobody would know.

    Not so for a tensor of another kind, while a mode watches, a tracer records, functorch transforms, or a profiler
    runs; nor below autograd, where gradients are somebody else's.
    """
    return (
        not torch.compiler.is_compiling()
        and type(x) is Tensor
        and not (_C._dispatch_keys(x).raw_repr() | _C._dispatch_tls_local_include_set().raw_repr()) & _NOBODY
        and not (torch.is_grad_enabled() and _C._dispatch_tls_is_dispatch_key_excluded(_Key.AutogradOther))
        and not _C._is_torch_function_mode_enabled()
        and not _C._autograd._profiler_enabled()
    )


def executed(x: Tensor) -> bool:
    """Whether an op on x is executed now and once, though modes may watch: nothing is recorded to be run again."""
    keys = _C._dispatch_keys(x).raw_repr() | _C._dispatch_tls_local_include_set().raw_repr()
    return not keys & _WATCHES and (not keys & _NOBODY or get_proxy_mode() is None)
