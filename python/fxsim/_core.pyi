"""Fixed-point kernels on NumPy arrays.

Floor 3: views in, exceptions out, the GIL released, nothing computed here and no torch needed. Results go into arrays
that the caller gives. Arguments are what `fxsim.accumulator.resolve` and `fxsim.rounding` yield with no default left.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[Any]
_Floats = npt.NDArray[np.float32]
_Reals = npt.NDArray[np.float32] | npt.NDArray[np.float64]
_Axis = tuple[int, int, int, int, int]

class Quantizer:
    """A format with its rounding and overflow mode; `random_bits` and `tail` matter to stochastic rounding only."""

    def __init__(
        self,
        wl: int,
        fl: int,
        signed: bool,
        rounding: str,
        overflow: str,
        random_bits: int = 16,
        tail: str = "truncate",
    ) -> None: ...

class Accumulator:
    """Product register, accumulator and outer accumulator; None is exact, chunk 0 is no chunk."""

    def __init__(
        self,
        *,
        product: Quantizer | None,
        inner: Quantizer | None,
        at_end: bool,
        lanes: int,
        chunk: int,
        outer: Quantizer | None,
        outer_at_end: bool,
        outer_lanes: int,
        preload: bool,
    ) -> None: ...

class View:
    """Which element of an array stands where in a matrix (rows x k) of integers: an index map, without the array.

    `pixels` (n, py, px) stand against `taps` (ty, tx, c); `strides` count elements for (n, y, x, c). On each axis,
    position * div = pixel * pixel_mul + tap * tap_mul + offset, given as (pixel_mul, tap_mul, offset, div, size); where
    that has no solution in [0, size) the element is a structural zero. Rows are pixels and k runs over taps, or the
    other way round where `transposed`. Taps run (ty, tx, c), or (c, ty, tx) where `channel_major`.
    """

    def __init__(
        self,
        wl: int,
        fl: int,
        signed: bool,
        pixels: tuple[int, int, int],
        taps: tuple[int, int, int],
        strides: tuple[int, int, int, int],
        y: _Axis = (0, 0, 0, 1, 1),
        x: _Axis = (0, 0, 0, 1, 1),
        channel_major: bool = False,
        transposed: bool = False,
    ) -> None: ...

class Operand:
    """An array seen as a matrix; the array is kept alive, nothing is copied. Position 0 is its first element.

    keep: the array will not change any more, so what kernels pack of it is kept with this object for the next call.
    """

    def __init__(self, data: _Array, view: View, keep: bool = False) -> None: ...
    @property
    def rows(self) -> int: ...
    @property
    def k(self) -> int: ...

class Events:
    """Exact counts of what happened in one call; a new one has none."""

    def __init__(self) -> None: ...
    def counts(self) -> list[int]:
        """Overflows of products, steps, outer steps, preloads, outputs; inexact; to zero; draws; inexact carriers."""

    @property
    def clipped(self) -> int: ...

class WordCounts:
    """How many words of an array (n, y, x, c) are not 0, along its images and its channels; `quantize` fills it."""

    def __init__(self, shape: Sequence[int]) -> None: ...
    @staticmethod
    def holds(shape: Sequence[int]) -> bool:
        """Whether the counts of such an array fit their types."""

class MacCounts:
    """Macs at no structural zero, and of them those whose operand a, b, or both are not 0; elements that are not 0.

    An operand's elements count once a product. A new one has no counts.
    """

    def __init__(self) -> None: ...
    @property
    def valid(self) -> int: ...
    @property
    def a_met(self) -> int: ...
    @property
    def b_met(self) -> int: ...
    @property
    def both_met(self) -> int: ...
    @property
    def nnz_a(self) -> int: ...
    @property
    def nnz_b(self) -> int: ...

def gemm(
    a: Operand,
    b: Operand,
    out: _Array,
    accumulator: Accumulator,
    *,
    bias: npt.NDArray[np.int64] | None,
    bias_fl: int,
    output: Quantizer,
    output_rounds: bool,
    seed: int,
    stream: int,
    index_base: int,
    index_row_stride: int,
    count: bool,
    name: str = "gemm",
) -> Events:
    """out[m, n] = output(accumulate over k of a[m, k] * b[n, k], with bias[n]).

    `out` has shape (a.rows, b.rows), any strides, and an integer dtype, or float32 or float64 for raw * 2^-fl. With
    `output_rounds` False the accumulator's integer is the result, in output's format. Element (m, n) draws random bits
    as number index_base + m * index_row_stride + n. Product and step events are counted only with `count`.

    Raises OverflowError where an `error` mode meets a value it refuses, or an exact result does not fit its format;
    `out` then holds no result.
    """

def quantize(
    x: _Array,
    out: _Array,
    clipped: npt.NDArray[np.bool_] | None,
    quantizer: Quantizer,
    *,
    seed: int,
    stream: int,
    index_offset: int = 0,
    channels_last: bool = False,
    count: bool = True,
    words: WordCounts | None = None,
    name: str = "quantize",
) -> Events:
    """Quantizes a float32 or float64 array, element numbers in its own C order.

    `out` (integers, or floats for carriers) and `clipped` (True where the rounded integer lay outside the range) are
    C-contiguous arrays of x's shape. `channels_last` says that x's axes are (n, spatial..., c), for messages only. Without
    `count` no event is counted but random draws and, where there is a mask, `clipped`. `words`, new and of as many
    elements, is filled with the counts of `out`, which holds integers then.

    Raises ValueError for NaN, OverflowError for what the overflow mode refuses; the arrays then hold no result.
    """

class Product:
    """Products that are alike, but for their arrays; `gemm` says what each part means.

    columns: elements of the result from one row of the first product to the next.
    repeat: the number of products, and how many elements further than its predecessor each finds a, b, out, its
    indices and its bias. What lies there in a and b must be the caller's.
    """

    def __init__(
        self,
        a: View,
        accumulator: Accumulator,
        bias_fl: int,
        output: Quantizer,
        output_rounds: bool,
        columns: int,
        repeat: Sequence[int],
    ) -> None: ...

_Mask = npt.NDArray[np.uint8]
"""A bit an element, in whole words of 64: bit i % 8 of byte i / 8 tells of element i."""

def multiply(
    product: Product,
    a: Operand,
    b: Operand,
    out: _Array,
    bias: npt.NDArray[np.int64] | None,
    seed: int,
    stream: int,
    index_base: int,
    count: bool,
    clear: _Mask | None,
    name: str,
) -> Events:
    """`gemm` of products whose result `out` is: it fills memory with rows, whatever its shape.

    `bias` is that of all columns. `clear`: where `out`, the floats of a single product, becomes 0.
    """

def quantize_gemms(
    x: _Array,
    words: _Array | np.dtype[Any],
    clipped: _Mask | None,
    quantizer: Quantizer,
    seed: int,
    stream: int,
    index_offset: int,
    channels_last: bool,
    count: bool,
    counts: WordCounts | None,
    name: str,
    products: Sequence[
        tuple[
            Product, Operand, WordCounts | None, _Array, npt.NDArray[np.int64] | None, int, int, _Mask | None, str
        ]
    ],
) -> tuple[Events, list[tuple[Events, MacCounts]]]:
    """`quantize` of x into integer `words`, then `multiply` of each product, whose operand a is these words.

    The same as one call after the other, but products may take words while they are in the cache. With
    `channels_last`, x, `words` and `clipped` are given as (n, c, spatial...), and elements are numbered as
    (n, spatial..., c). `words` and `clipped` stand in memory as elements are numbered; blocks of `clipped` are zeros.
    Words that nobody wants are told by their dtype alone; nothing can be counted then.

    products: each with operand b, counts of b if they are known, out, bias, stream, index base, clear and name.
    Returns the events of the quantization; those of each product, and its macs as of `count_macs` if `count`.

    Raises as both do; arrays then hold no result.
    """

def requantize(
    raw: _Array,
    fl: int,
    out: _Array,
    clipped: npt.NDArray[np.bool_] | None,
    quantizer: Quantizer,
    *,
    seed: int,
    stream: int,
    index_offset: int = 0,
    channels_last: bool = False,
    count: bool = True,
    name: str = "requantize",
) -> Events:
    """`quantize` for an integer array of raws with fractional length `fl`."""

def batch_norm_relu(
    x: _Floats,
    weight: _Floats | None,
    bias: _Floats | None,
    residual: _Floats | None,
    statistics: _Floats,
    *,
    running_mean: _Floats | None,
    running_variance: _Floats | None,
    measure: bool,
    momentum: float,
    eps: float,
    relu: bool,
    out: _Floats,
) -> None:
    """out = (x - mean) * weight / sqrt(variance + eps) + bias + residual, and under `relu` 0 where that is negative.

    Everything is float32. Images have shape (n, c, h, w) and memory that runs (n, h, w, c). `statistics` (2, c) are mean
    and variance: given, or with `measure` those of x, two pixels or more, which are written there; then the running
    ones, both or neither, move in place by `momentum` towards the mean and the unbiased variance.
    """

def batch_norm_relu_backward(
    grad: _Floats,
    x: _Floats,
    y: _Floats | None,
    statistics: _Floats,
    weight: _Floats | None,
    bias: _Floats | None,
    *,
    eps: float,
    relu: bool,
    measured: bool,
    grad_x: _Floats,
    grad_residual: _Floats | None,
    grad_weight: _Floats,
    grad_bias: _Floats,
) -> None:
    """The gradients of that; `measured` says that the statistics are x's own, not constants.

    `y`, the result, and `grad_residual` are given together where there is a residual and a ReLU. Otherwise the
    residual's gradient is `grad`.
    """

def clear_where(values: _Reals, mask: _Mask) -> None:
    """values[i] <- 0 where mask bit i is set; values fill memory, and i counts them as they do."""

def clear(values: _Reals, mask: npt.NDArray[np.bool_]) -> None:
    """values[i] = 0 where mask[i]. Both C-contiguous and of one shape; values float32 or float64."""

def count_macs(
    a: Operand,
    b: Operand,
    repeat: tuple[int, int, int, int, int, int],
    of_a: WordCounts | None = None,
    of_b: WordCounts | None = None,
) -> MacCounts:
    """Macs of the products that `gemm` makes of these, by what their operands are.

    of_a, of_b: counts of the words of a and b; used for one product of all of them as they stand in memory.
    """

def philox_fill(
    seed: int, stream: int, start: int, bits: int, site: int, ordinal: int, out: npt.NDArray[np.uint32]
) -> None:
    """The random integers of elements start, start + 1, ... at one site and ordinal."""

def isa_available() -> list[str]: ...
def isa_active() -> str: ...
def isa_used() -> list[str]:
    """The paths that have run a kernel in this process."""

def isa_force(name: str | None) -> None:
    """Makes the named path run, None the best one; ValueError where it is not available."""

def use_torch_pool(library: str) -> bool:
    """Runs on the thread pool of the loaded libtorch_cpu at this path; False where it has none (torch < 2.10)."""

def set_num_threads(count: int) -> None:
    """Number of own threads, where no torch pool is used."""
