"""Executed products as plain matrices: a convolution or its gradient becomes the GEMM that it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fxsim.accumulator import Accumulator
from fxsim.formats import Format
from fxsim.ops import _bridge, _execution
from fxsim.ops._geometry import Axis, View, matrix
from fxsim.ops._operands import ONCE, operand
from fxsim.ops._plan import Asked, gemm_plan
from fxsim.ops._product import Product
from fxsim.ops._publish import Site, by_name, sort_macs
from fxsim.ops.executions import Execution
from fxsim.ops.records import OpCounts, Pass
from fxsim.rng import Key
from fxsim.rounding import Quantizer
from fxsim.tensor import FixedTensor


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Images that an operand of a convolution was unfolded from; `matrix` unfolds them.

    words: (n, y, x, c). pixels: (n, y, x) that rows of the matrix run through; taps: (y, x, c) that its columns run
    through, or (c, y, x) if `channel_major`. Element (pixel, tap) stands at position p along y, and likewise along x,
    with p * div = pixel * pixel_mul + tap * tap_mul + offset; it is 0 unless that is an integer and 0 <= p < size.
    y, x: (pixel_mul, tap_mul, offset, div, size). transposed: the operand is the matrix transposed.
    """

    words: FixedTensor
    pixels: tuple[int, int, int]
    taps: tuple[int, int, int]
    y: Axis
    x: Axis
    channel_major: bool
    transposed: bool

    def matrix(self) -> FixedTensor:
        """The words of every row's pixel at every k."""
        _, height, width, channels = self.words.shape
        strides = (height * width * channels, width * channels, channels, 1)
        data = self.words.raw.contiguous()
        view = View(data, self.words.format, self.pixels, self.taps, strides, self.y, self.x, self.channel_major)
        return FixedTensor._trusted(rows(view._replace(transposed=self.transposed)), self.words.format)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Gemm:
    """One GEMM of words, everything that decides its bits, and what came out.

    layer, pass_, op: where it was executed. group, groups: which of how many in that call.
    a: (M, K). b: (K, N). bias: (N,). Structural zeros of a convolution are words 0.
    a_image, b_image: what a, or b transposed, was unfolded from, where it was.
    accumulator: how products are summed. out: how the sum is rounded; None: not at all, unless a bias was added.
    key: where random bits come from; None where nothing draws any.
    index_base, index_row_stride: output (i, j) has the index `index_base + i * index_row_stride + j`.
    """

    layer: str
    pass_: Pass
    op: str
    group: int = 0
    groups: int = 1
    a: FixedTensor
    b: FixedTensor
    bias: FixedTensor | None = None
    a_image: Image | None = None
    b_image: Image | None = None
    accumulator: Accumulator
    out: Quantizer | None = None
    key: Key | None = None
    index_base: int = 0
    index_row_stride: int

    @property
    def asked(self) -> Asked:
        """What `gemm_plan` makes its plan of."""
        bias = None if self.bias is None else self.bias.format
        name = f"{self.layer}: {self.op}" if self.layer else self.op
        return Asked(name, self.accumulator, self.a.format, self.b.format, self.a.shape[1], bias, self.out)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a GEMM gives.

    accumulated: (M, N), the outermost accumulator after its last step: before an `after` bias and before `out`.
    output: (M, N).
    counts: those of a dense GEMM, in which structural zeros are zeros like any other.
    """

    accumulated: FixedTensor
    output: FixedTensor
    counts: OpCounts


def gemms(execution: Execution) -> Iterator[Gemm]:
    """The GEMMs of a call, group by group."""
    plan, site = execution.plan, execution.site
    asked = plan.asked
    for number, product in enumerate(execution.products):
        yield Gemm(
            layer=site.layer,
            pass_=site.pass_,
            op=site.op,
            group=number,
            groups=len(execution.products),
            a=FixedTensor._trusted(rows(product.a), asked.a),
            b=FixedTensor._trusted(rows(product.b).t(), asked.b),
            bias=_bias(product, asked.bias),
            a_image=_image(product.a),
            b_image=_image(product.b),
            accumulator=asked.accumulator,
            out=asked.out,
            key=Key(site.seed % 2**64, site.stream % 2**64) if plan.rounds_by_chance else None,
            index_base=product.base,
            index_row_stride=execution.row_stride,
        )


def run(gemm: Gemm) -> Outcome:
    """Execute a GEMM on the kernels in use; no record is published.

    Raises:
        OverflowError: an overflow under "error", or a sum beyond 64 bits in an exact accumulator.
    """
    asked = gemm.asked
    preloaded = asked.bias is not None and gemm.accumulator.bias == "preload"
    before = asked._replace(out=None, bias=asked.bias if preloaded else None)
    accumulated, _ = _execute(gemm, before, gemm.bias if preloaded else None)
    output, counts = _execute(gemm, asked, gemm.bias)
    return Outcome(accumulated=accumulated, output=output, counts=counts)


def _execute(gemm: Gemm, asked: Asked, bias: FixedTensor | None) -> tuple[FixedTensor, OpCounts]:
    plan = gemm_plan(*asked)
    key = gemm.key or Key(0)
    site = Site(gemm.layer, gemm.pass_, gemm.op, key.seed, key.stream)
    out = torch.empty((gemm.a.shape[0], gemm.b.shape[1]), dtype=plan.dtype)
    product = Product(
        matrix(gemm.a.raw, gemm.a.format),
        matrix(gemm.b.raw.t(), gemm.b.format),
        out,
        gemm.index_base,
        None if bias is None else bias.raw.to(torch.int64),
    )
    events = _execution.run(product, plan, site, gemm.index_row_stride, True)
    macs = _bridge.count_macs(operand(product.a), operand(product.b), ONCE)
    counts = OpCounts(
        **sort_macs(out.numel() * gemm.a.shape[1], macs),
        **by_name(events),
        nnz_a=int(torch.count_nonzero(gemm.a.raw)),
        nnz_b=int(torch.count_nonzero(gemm.b.raw)),
        elements_read=gemm.a.raw.numel() + gemm.b.raw.numel() + (0 if bias is None else bias.raw.numel()),
        elements_written=out.numel(),
    )
    return FixedTensor._trusted(out, plan.result), counts


def _bias(product: Product, form: Format | None) -> FixedTensor | None:
    if product.bias is None or form is None:
        return None
    return FixedTensor._trusted(product.bias.to(form.dtype), form)


def _image(view: View) -> Image | None:
    """The images of a view in which pixels and taps mix; None for other views, which are matrices as they stand."""
    if not (view.y[0] and view.y[1] and view.x[0] and view.x[1]):
        return None
    return Image(
        words=FixedTensor._trusted(view.data.permute(0, 2, 3, 1), view.format),
        pixels=view.pixels,
        taps=view.taps,
        y=view.y,
        x=view.x,
        channel_major=view.channel_major,
        transposed=view.transposed,
    )


def rows(view: View) -> Tensor:
    """A view as the matrix (rows, k) that it stands for, with 0 for structural zeros; contiguous, in its own dtype."""
    n, *pixels = (np.arange(size) for size in view.pixels)
    *taps, channels = (np.arange(size) for size in view.taps)
    y, y_valid = _positions(view.y, pixels[0], taps[0])
    x, x_valid = _positions(view.x, pixels[1], taps[1])
    # Axes: n, y, x of the pixel; y, x, c of the tap.
    offsets = (
        n[:, None, None, None, None, None] * view.strides[0]
        + y[None, :, None, :, None, None] * view.strides[1]
        + x[None, None, :, None, :, None] * view.strides[2]
        + channels * view.strides[3]
    )
    valid = np.broadcast_to(
        y_valid[None, :, None, :, None, None] & x_valid[None, None, :, None, :, None], offsets.shape
    )
    if view.channel_major:
        offsets, valid = np.moveaxis(offsets, 5, 3), np.moveaxis(valid, 5, 3)
    shape = (int(np.prod(view.pixels)), int(np.prod(view.taps)))
    at = torch.from_numpy(np.where(valid, offsets, 0).reshape(shape))
    found = _flat(view.data)[at]
    found[torch.from_numpy(~valid.reshape(shape))] = 0
    return found.t().contiguous() if view.transposed else found


def _positions(
    axis: Axis, pixel: npt.NDArray[np.int64], tap: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Where along an axis (pixel, tap) falls, 0 where it falls beside the image or between strides; and whether not."""
    pixel_mul, tap_mul, offset, div, size = axis
    scaled = pixel[:, None] * pixel_mul + tap[None, :] * tap_mul + offset
    position = scaled // div
    valid = (position * div == scaled) & (position >= 0) & (position < size)
    return np.where(valid, position, 0), valid


def _flat(data: Tensor) -> Tensor:
    """Every element that strides can reach from the first one, as one dimension."""
    reach = 1 + sum((size - 1) * stride for size, stride in zip(data.shape, data.stride(), strict=True))
    return data.as_strided((reach if data.numel() else 0,), (1,))
