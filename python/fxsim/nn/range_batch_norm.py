"""fx.nn.RangeBatchNorm2d."""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import Any, Final

import torch
from torch import Tensor

from fxsim.formats import Format
from fxsim.nn._calls import in_backward
from fxsim.nn._slab import first_sample
from fxsim.nn._weighted import Weighted
from fxsim.normalization import GUARD_BITS, check_constant, check_eps, chunk_count
from fxsim.numerics import Numerics
from fxsim.ops import quantize, range_norm_ops, requantize
from fxsim.tensor import FixedTensor

_MOMENTUM_BITS: Final = 16
_STATISTIC_BITS: Final = 63
_FEW: Final = 64


class RangeBatchNorm2d(Weighted):
    """Batch normalization in integers: every channel is divided by a multiple of its range, not by its deviation.

    Floats in, (N, C, H, W), and floats out, which carry the output format; channels last in memory. In training the
    statistics are the batch's, exact sums and extremes; in evaluation running ones, kept as integers.

    Args:
        num_features: C.
        eps: added to the deviation, at least one step of its grid.
        momentum: how much of a running statistic is new, as in `torch.nn.BatchNorm2d`; kept with 16 fractional bits.
            The first batch is taken whole.
        constant: what the range is multiplied with: "reference", "paper" or "gauss".
        device, dtype: torch's.
        numerics: `weight` and `bias` of the two vectors, `activation` of the input, `output`, which is needed: a
            quotient has no exact format; and with `grad_output` `grad_input` and `grad_weight`, for the same reason.
            These three must saturate. Accumulators are not used: sums are exact.
        layer_id: the layer of its random streams; `convert` numbers layers itself.
        seed: the seed of the run.

    Attributes:
        mean_words, sigma_words: running mean and deviation, int64 (C,), of `statistics_format`.
        num_batches_tracked: batches they were made of, int64 ().

    Raises:
        TypeError: `numerics` is no Numerics. In a forward: x is not float32 or float64, or a dtype is too narrow.
        ValueError: an argument outside its range. In a forward: a Numerics as above does not have what is needed; x has
            another shape, or in training fewer than 2 values a channel.

    Source: Banner et al., "Scalable methods for 8-bit training of neural networks", NeurIPS 2018, section 3.
    """

    bias: Tensor
    mean_words: Tensor
    sigma_words: Tensor
    num_batches_tracked: Tensor

    LEADS = False

    _OWN_STATE = (*Weighted._OWN_STATE, "mean_words", "sigma_words")

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        constant: str = "reference",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        numerics: Numerics,
        layer_id: int = 0,
        seed: int = 0,
    ) -> None:
        torch.nn.Module.__init__(self)
        if num_features < 1:
            raise ValueError(f"RangeBatchNorm2d: num_features = {num_features}: accepted are 1 or more")
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"RangeBatchNorm2d: momentum = {momentum}: accepted are 0 to 1")
        check_constant("RangeBatchNorm2d", constant)
        self.num_features, self.constant, self.momentum = num_features, constant, momentum
        self.eps = check_eps("RangeBatchNorm2d", eps)
        self.weight = torch.nn.Parameter(torch.ones(num_features, device=device, dtype=dtype))
        self.bias = torch.nn.Parameter(torch.zeros(num_features, device=device, dtype=dtype))
        self._fl: int | None = None
        self._enroll(numerics, layer_id, seed)
        words = torch.zeros(num_features, dtype=torch.int64, device="cpu")
        self.register_buffer("mean_words", words)
        self.register_buffer("sigma_words", words.clone())
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64, device="cpu"))
        self.set_statistics(torch.zeros(num_features), torch.ones(num_features))

    @property
    def statistics_format(self) -> Format:
        """The format of the running statistics: 8 fractional bits more than the input has."""
        return Format(_STATISTIC_BITS, self.numerics.activation.format.fl + GUARD_BITS)

    @property
    def running_mean(self) -> Tensor:
        """The running mean, float64 (C,)."""
        return self.mean_words.double() * self.statistics_format.step

    @property
    def running_sigma(self) -> Tensor:
        """The running deviation, float64 (C,), without eps."""
        return self.sigma_words.double() * self.statistics_format.step

    def set_statistics(self, mean: Tensor, sigma: Tensor) -> None:
        """Take floats (C,) as the running mean and deviation, rounded to their grid."""
        for words, values in ((self.mean_words, mean), (self.sigma_words, sigma)):
            words.copy_(quantize(values.detach().cpu(), self.statistics_format).raw)

    def forward(self, x: Tensor) -> Tensor:
        """y = (x - mean) / (sigma + eps) * weight + bias."""
        words = self._words(training=self.training)
        compiling = torch.compiler.is_compiling()
        if self.training and not compiling:
            self._warn_of_few(x)
        run, call = range_norm_ops.FORWARD.at(x, self._number(x))
        y, _, _, mean, sigma = run(
            x,
            self.weight,
            self.bias,
            words.weight,
            words.weight_clipped,
            words.bias,
            words.bias_clipped,
            self.mean_words,
            self.sigma_words,
            not self.training,
            self.constant,
            self.eps,
            self._numerics_text,
            self._signed_seed,
            self._layer_id,
            call,
            not self.training,
            first_sample(),
            self.name,
            self._clips_input(x),
        )
        if self.training and (compiling or not in_backward()):  # a recomputation is no second batch
            self._track(mean, sigma)
        return y  # type: ignore[no-any-return]

    def _track(self, mean: Tensor, sigma: Tensor) -> None:
        """running += momentum * (new - running), to the nearest step, ties to even; the first batch whole."""
        share = round(Fraction(self.momentum) * (1 << _MOMENTUM_BITS))
        factor = torch.where(self.num_batches_tracked == 0, 1 << _MOMENTUM_BITS, share)
        for running, new in ((self.mean_words, mean), (self.sigma_words, sigma)):
            change = (new - running) * factor
            odd = (change >> _MOMENTUM_BITS) & 1
            running.add_((change + odd + ((1 << (_MOMENTUM_BITS - 1)) - 1)) >> _MOMENTUM_BITS)
        self.num_batches_tracked.add_(1)

    def _warn_of_few(self, x: Tensor) -> None:
        count = x.numel() // self.num_features
        size = count // chunk_count(count)
        if 2 <= size < _FEW:
            warnings.warn(
                f"{self.name or 'RangeBatchNorm2d'}: each range is taken of {size} values, and of fewer than {_FEW} it "
                f"says little about the deviation; enlarge the batch",
                stacklevel=3,
            )

    def _settle(self, numerics: Numerics) -> None:
        """Running statistics move to the grid of a new activation format."""
        before = self._fl
        super()._settle(numerics)
        self._fl = numerics.activation.format.fl + GUARD_BITS
        if before not in (None, self._fl):
            for words in (self.mean_words, self.sigma_words):
                moved = requantize(FixedTensor(words, Format(_STATISTIC_BITS, before)), self.statistics_format)
                words.copy_(moved.raw)

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take back what `get_extra_state` gave; running statistics just loaded are on the grid it names."""
        self._fl = Numerics.from_text(state["numerics"]).activation.format.fl + GUARD_BITS
        super().set_extra_state(state)

    def extra_repr(self) -> str:
        """The sizes, then the formats."""
        sizes = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, constant={self.constant}"
        return f"{sizes}, {super().extra_repr()}"
