"""Records of torch's own float matrix products and convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor

from fxsim.cost.zeros import NOT_LOOKED_FOR, Geometry, find_zeros, matmul_pairs
from fxsim.ops.records import FLOAT32, OpRecord, Pass

_NAMES: Final = MappingProxyType(
    {torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: FLOAT32, torch.float64: "fp64"}
)
_aten: Final = torch.ops.aten


@dataclass(frozen=True, slots=True)
class _Product:
    """A float product with operands a and b, of whose macs `valid_macs` (None: all) do not meet padding."""

    op: str
    pass_: Pass
    shape: tuple[int, int, int]
    a: Tensor
    b: Tensor
    pairs: Callable[[Tensor, Tensor], Tensor]
    written: int
    batch: int = 1
    groups: int = 1
    kernel: tuple[int, int] = (1, 1)
    valid_macs: int | None = None

    def record(self, look_for_zeros: bool) -> OpRecord:
        m, n, k = self.shape
        macs = m * n * k * self.groups
        valid = macs if self.valid_macs is None else self.valid_macs
        zeros = find_zeros(self.a, self.b, self.pairs) if look_for_zeros else NOT_LOOKED_FOR
        name = _NAMES[self.a.dtype]
        return OpRecord(
            layer="",
            pass_=self.pass_,
            op=self.op,
            m=m,
            n=n,
            k=k,
            batch=self.batch,
            groups=self.groups,
            kernel_h=self.kernel[0],
            kernel_w=self.kernel[1],
            a_elements=self.a.numel(),
            b_elements=self.b.numel(),
            a=name,
            b=name,
            accumulator=name,
            output=name,
            macs=macs,
            pad_macs=macs - valid,
            zero_a_macs=zeros.zero_a_macs,
            zero_b_macs=zeros.zero_b_macs,
            zero_macs=zeros.zero_macs,
            nz_macs=valid - zeros.zero_macs,
            nnz_a=zeros.nnz_a,
            nnz_b=zeros.nnz_b,
            elements_read=self.a.numel() + self.b.numel(),
            elements_written=self.written,
        )


def _pass() -> Pass:
    # the autograd engine's task number is -1 outside a backward pass; torch.utils.module_tracker asks the same way
    return Pass.FWD if torch._C._current_graph_task_id() == -1 else Pass.OTHER


def _matmul(a: Tensor, b: Tensor) -> list[_Product]:
    *leading, m, k = a.shape
    n, groups = b.shape[-1], math.prod(leading)
    return [_Product("matmul", _pass(), (m, n, k), a, b, matmul_pairs, written=m * n * groups, groups=groups)]


@dataclass(frozen=True, slots=True)
class _Convolution:
    """The three passes of a convolution of x by weight to y; each takes the tensors it combines."""

    x: Tensor
    weight: Tensor
    y: Tensor
    geometry: Geometry

    def forward(self, pass_: Pass = Pass.FWD) -> _Product:
        shape = (self._pixels(self.y), self._outputs, self._inputs * self._taps)
        return self._product(pass_, shape, self.x, self.weight, self.geometry.forward_pairs, self.y, self._kernel)

    def dgrad(self, pass_: Pass = Pass.DGRAD) -> _Product:
        shape = (self._pixels(self.x), self._inputs, self._outputs * self._taps)
        return self._product(pass_, shape, self.y, self.weight, self.geometry.dgrad_pairs, self.x, self._kernel)

    def wgrad(self) -> _Product:
        shape = (self._outputs, self._inputs * self._taps, self._pixels(self.y))
        return self._product(Pass.WGRAD, shape, self.y, self.x, self.geometry.wgrad_pairs, self.weight)

    def _product(
        self,
        pass_: Pass,
        shape: tuple[int, int, int],
        a: Tensor,
        b: Tensor,
        pairs: Callable[[Tensor, Tensor], Tensor],
        result: Tensor,
        kernel: tuple[int, int] = (1, 1),
    ) -> _Product:
        groups = self.geometry.groups
        channel_pairs = groups * self._inputs * self._outputs
        valid_macs = len(self.x) * self.geometry.valid_positions() * channel_pairs
        return _Product("conv", pass_, shape, a, b, pairs, result.numel(), len(self.x), groups, kernel, valid_macs)

    @staticmethod
    def _pixels(tensor: Tensor) -> int:
        return tensor.shape[0] * math.prod(tensor.shape[2:])

    @property
    def _outputs(self) -> int:
        return self.weight.shape[0] // self.geometry.groups

    @property
    def _inputs(self) -> int:
        return self.weight.shape[1]

    @property
    def _taps(self) -> int:
        return math.prod(self.weight.shape[2:])

    @property
    def _kernel(self) -> tuple[int, int]:
        *higher, width = self.weight.shape[2:]
        return math.prod(higher), width


def _geometry(x: Tensor, weight: Tensor, options: Sequence[Any]) -> Geometry:
    stride, padding, dilation, _, _, groups = options
    return Geometry(
        x=tuple(x.shape[2:]),
        kernel=tuple(weight.shape[2:]),
        stride=tuple(stride),
        padding=tuple(padding),
        dilation=tuple(dilation),
        groups=groups,
    )


def _convolution(args: Sequence[Any], y: Tensor) -> list[_Product]:
    x, weight, _, *options = args
    if options[3]:  # transposed: the dgrad of the convolution that leads from y to x
        return [_Convolution(y, weight, x, _geometry(y, weight, options)).dgrad(Pass.FWD)]
    return [_Convolution(x, weight, y, _geometry(x, weight, options)).forward()]


def _convolution_backward(args: Sequence[Any], _: Any) -> list[_Product]:
    grad_y, x, weight, _, *options, needed = args
    if options[3]:
        convolution = _Convolution(grad_y, weight, x, _geometry(grad_y, weight, options))
        first = convolution.forward(Pass.DGRAD)
    else:
        convolution = _Convolution(x, weight, grad_y, _geometry(x, weight, options))
        first = convolution.dgrad()
    products = [first] if needed[0] else []
    return [*products, convolution.wgrad()] if needed[1] else products


_PRODUCTS: Final[MappingProxyType[Any, Callable[[Sequence[Any], Any], list[_Product]]]] = MappingProxyType(
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


def is_product(op: Any) -> bool:
    """Whether an op of torch (an OpOverloadPacket) multiplies matrices or convolves."""
    return op in _PRODUCTS


def float_records(op: Any, args: Sequence[Any], result: Any, *, look_for_zeros: bool) -> list[OpRecord]:
    """The records of one call of a product (see `is_product`); integer products give none.

    look_for_zeros: otherwise every mac off the padding counts as non-zero.
    """
    return [each.record(look_for_zeros) for each in _PRODUCTS[op](args, result) if each.a.dtype in _NAMES]
