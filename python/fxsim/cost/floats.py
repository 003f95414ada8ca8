"""Records of torch's own float matrix products and convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor

from fxsim.cost.zeros import Geometry, count_zeros, matmul_pairs
from fxsim.ops.records import FLOAT32, OpRecord, Pass

Recorder: TypeAlias = Callable[[Sequence[Any], Any], list[OpRecord]]

_NAMES: Final = MappingProxyType(
    {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: FLOAT32, torch.float64: "fp64"}
)
_aten: Final = torch.ops.aten


def _record(
    op: str,
    pass_: Pass,
    shape: tuple[int, int, int],
    a: Tensor,
    b: Tensor,
    pairs: Callable[[Tensor, Tensor], Tensor],
    *,
    written: int,
    batch: int = 1,
    groups: int = 1,
) -> OpRecord:
    m, n, k = shape
    macs = m * n * k * groups
    zeros = count_zeros(a, b, pairs)
    name = _NAMES[a.dtype]
    return OpRecord(
        layer="",
        pass_=pass_,
        op=op,
        m=m,
        n=n,
        k=k,
        batch=batch,
        groups=groups,
        a=name,
        b=name,
        accumulator=name,
        output=name,
        macs=macs,
        pad_macs=macs - zeros.valid_macs,
        zero_a_macs=zeros.zero_a_macs,
        zero_b_macs=zeros.zero_b_macs,
        zero_macs=zeros.zero_macs,
        nz_macs=zeros.valid_macs - zeros.zero_macs,
        nnz_a=int(torch.count_nonzero(a)),
        nnz_b=int(torch.count_nonzero(b)),
        elements_read=a.numel() + b.numel(),
        elements_written=written,
    )


def _pass() -> Pass:
    # the autograd engine's task number is -1 outside a backward pass; torch.utils.module_tracker asks the same way
    return Pass.FWD if torch._C._current_graph_task_id() == -1 else Pass.OTHER


def _matmul(a: Tensor, b: Tensor) -> list[OpRecord]:
    if a.dtype not in _NAMES:
        return []
    *leading, m, k = a.shape
    n = b.shape[-1]
    groups = math.prod(leading)
    return [_record("matmul", _pass(), (m, n, k), a, b, matmul_pairs, groups=groups, written=m * n * groups)]


def _geometry(x: Tensor, weight: Tensor, options: Sequence[Any]) -> Geometry:
    stride, padding, dilation, groups = options
    return Geometry(tuple(x.shape[2:]), tuple(weight.shape[2:]), tuple(stride), tuple(padding), tuple(dilation), groups)


def _forward(x: Tensor, weight: Tensor, y: Tensor, g: Geometry, pass_: Pass) -> OpRecord:
    outputs, inputs, *kernel = weight.shape
    shape = (y.shape[0] * math.prod(y.shape[2:]), outputs // g.groups, inputs * math.prod(kernel))
    return _record("conv", pass_, shape, x, weight, g.forward_pairs, batch=len(x), groups=g.groups, written=y.numel())


def _dgrad(y: Tensor, weight: Tensor, x: Tensor, g: Geometry, pass_: Pass) -> OpRecord:
    outputs, inputs, *kernel = weight.shape
    shape = (x.shape[0] * math.prod(x.shape[2:]), inputs, outputs // g.groups * math.prod(kernel))
    return _record("conv", pass_, shape, y, weight, g.dgrad_pairs, batch=len(x), groups=g.groups, written=x.numel())


def _wgrad(y: Tensor, x: Tensor, weight: Tensor, g: Geometry) -> OpRecord:
    outputs, inputs, *kernel = weight.shape
    shape = (outputs // g.groups, inputs * math.prod(kernel), y.shape[0] * math.prod(y.shape[2:]))
    return _record(
        "conv", Pass.WGRAD, shape, y, x, g.wgrad_pairs, batch=len(x), groups=g.groups, written=weight.numel()
    )


def _convolution(args: Sequence[Any], y: Tensor) -> list[OpRecord]:
    x, weight = args[:2]
    stride, padding, dilation, transposed, _, groups = args[3:]
    if x.dtype not in _NAMES:
        return []
    if transposed:  # the dgrad of the convolution that leads from y to x
        return [_dgrad(x, weight, y, _geometry(y, weight, (stride, padding, dilation, groups)), Pass.FWD)]
    return [_forward(x, weight, y, _geometry(x, weight, (stride, padding, dilation, groups)), Pass.FWD)]


def _convolution_backward(args: Sequence[Any], _: Any) -> list[OpRecord]:
    grad_y, x, weight = args[:3]
    stride, padding, dilation, transposed = args[4:8]
    groups, needed = args[9:11]
    if x.dtype not in _NAMES:
        return []
    small, large = (x, grad_y) if transposed else (grad_y, x)
    g = _geometry(large, weight, (stride, padding, dilation, groups))
    records = []
    if needed[0]:
        records.append(
            _forward(grad_y, weight, x, g, Pass.DGRAD) if transposed else _dgrad(grad_y, weight, x, g, Pass.DGRAD)
        )
    if needed[1]:
        records.append(_wgrad(small, large, weight, g))
    return records


RECORDERS: Final[MappingProxyType[Any, Recorder]] = MappingProxyType(
    {
        _aten.mm: lambda args, _: _matmul(args[0], args[1]),
        _aten.bmm: lambda args, _: _matmul(args[0], args[1]),
        _aten.addmm: lambda args, _: _matmul(args[1], args[2]),
        _aten.baddbmm: lambda args, _: _matmul(args[1], args[2]),
        _aten.mv: lambda args, _: _matmul(args[0], args[1][:, None]),
        _aten.addmv: lambda args, _: _matmul(args[1], args[2][:, None]),
        _aten.dot: lambda args, _: _matmul(args[0][None], args[1][:, None]),
        _aten.convolution: _convolution,
        _aten.convolution_backward: _convolution_backward,
    }
)
"""What to record of each product of torch, from its arguments and its result."""
