"""fx.nn.RangeBatchNorm2d: the reference on quantized floats, running statistics, state, and a net that learns."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import fxsim as fx
from fxsim import reference
from fxsim.formats import Format
from fxsim.normalization import GUARD_BITS, chunk_count, range_constant
from fxsim.numerics import Numerics
from fxsim.ops import records
from fxsim.ops.records import Pass
from fxsim.reference import Normalization
from fxsim.rng import Key, Role, stream
from fxsim.rounding import Quantizer

SEED, LAYER, CALL, STEP, FIRST = 2**63 + 5, 3, 4, 6, 2

PLAIN = Numerics("<6,3>", "<6,3>", "<9,4>", grad_output="<7,5>", grad_weight="<12,6>", grad_input="<9,5>")
CHANCE = Numerics(
    "<6,3>,stochastic",
    "u<5,2>,stochastic(8,half)",
    "<9,3>,stochastic(20,nearest_even)",
    "<7,2>,stochastic",
    grad_output="<7,5>,stochastic",
    grad_weight="<12,5>,stochastic",
    grad_input="<9,4>,stochastic",
    ste="pass",
)
FLOAT = Numerics("<8,4>", "<8,4>", "<10,6>")

pytestmark = pytest.mark.filterwarnings("ignore:.*each range is taken of")


def floats(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2


def built(numerics: Numerics, channels: int = 3, **settings: Any) -> fx.nn.RangeBatchNorm2d:
    module = fx.nn.RangeBatchNorm2d(channels, numerics=numerics, layer_id=LAYER, seed=SEED, **settings)
    with torch.no_grad():
        module.weight.copy_(floats(channels, seed=1))
        module.bias.copy_(floats(channels, seed=2))
    module.calls.fill_(CALL)
    module.step = STEP
    return module


def key(role: Role, call: int = CALL, *, evaluation: bool = False) -> Key:
    return Key(SEED, stream(LAYER, role, call, evaluation=evaluation))


def words(x: Tensor, q: Quantizer, k: Key, offset: int = 0, order: str = "c") -> np.ndarray[Any, Any]:
    return reference.quantize(x.detach().numpy(), q, k, offset, order)[0]


def outside(x: Tensor, q: Quantizer, k: Key, offset: int = 0, order: str = "c") -> np.ndarray[Any, Any]:
    raw = words(x, Quantizer(Format(60, q.format.fl), q.rounding), k, offset, order)
    return (raw < q.format.raw_min) | (raw > q.format.raw_max)


def carried(raw: np.ndarray[Any, Any], form: Format) -> list[Any]:
    values: list[Any] = (raw.astype(np.float64) * 2.0**-form.fl).tolist()
    return values


def rules_of(numerics: Numerics) -> Normalization:
    return Normalization(numerics.activation.format, numerics.weight.format, numerics.bias_quantizer.format)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("numerics", [PLAIN, CHANCE, replace(PLAIN, ste="pass")], ids=["plain", "chance", "pass"])
def test_forward_and_integer_gradients(numerics: Numerics, training: bool) -> None:
    module, x = built(numerics).train(training), floats(2, 3, 4, 5).requires_grad_()
    module.set_statistics(floats(3, seed=8), floats(3, seed=9).abs())
    offset, rules, place = FIRST * x[0].numel(), rules_of(numerics), {"evaluation": not training}
    raw_x = words(x, numerics.activation, key(Role.INPUT, **place), offset, "channels_last")
    raw_w = words(module.weight, numerics.weight, key(Role.WEIGHT, STEP))
    raw_b = words(module.bias, numerics.bias_quantizer, key(Role.BIAS, STEP))
    known = {"mean": module.mean_words.tolist(), "sigma": module.sigma_words.tolist()}
    if training:
        known = dict(zip(known, reference.range_statistics(raw_x, rules), strict=True))
    assert numerics.output is not None
    assert numerics.grad_output is not None
    with fx.shard(FIRST):
        y = module(x)
    out_key = key(Role.OUTPUT, **place)
    expected, _ = reference.range_norm(
        raw_x, raw_w, raw_b, rules, numerics.output, **known, key=out_key, index_offset=offset
    )
    assert y.tolist() == carried(expected, numerics.output.format)
    assert y.is_contiguous(memory_format=torch.channels_last)

    grad = floats(*y.shape, seed=5) / 4
    y.backward(grad)
    raw_g = words(grad, numerics.grad_output, key(Role.GRAD_OUTPUT), offset, "channels_last")
    gradients = reference.range_norm_backward(
        raw_g, numerics.grad_output.format, raw_x, raw_w, rules, numerics.grad_input, numerics.grad_weight,
        **known, running=not training, index_offset=offset,
        keys=(key(Role.GRAD_INPUT), key(Role.GRAD_WEIGHT), key(Role.GRAD_BIAS)),
    )  # fmt: skip
    masks = (
        outside(x, numerics.activation, key(Role.INPUT, **place), offset, "channels_last"),
        outside(module.weight, numerics.weight, key(Role.WEIGHT, STEP)),
        outside(module.bias, numerics.bias_quantizer, key(Role.BIAS, STEP)),
    )
    formats = (numerics.grad_input.format, numerics.grad_weight.format, numerics.grad_weight.format)
    got = (x.grad, module.weight.grad, module.bias.grad)
    for gradient, (raw, _), form, mask in zip(got, gradients, formats, masks, strict=True):
        assert gradient.tolist() == carried(np.where(mask & (numerics.ste == "clipped"), 0, raw), form)


def formula(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Range BN as the paper's code has it, for torch to differentiate."""
    channels, count = x.shape[1], x.numel() // x.shape[1]
    chunks = x.transpose(0, 1).reshape(channels, chunk_count(count), -1)
    constant = range_constant(chunks.shape[2], "reference") / 2**16
    sigma = (chunks.max(2)[0].mean(1) - chunks.min(2)[0].mean(1)) * constant
    over = (None, slice(None), None, None)
    normal = (x - chunks.mean((1, 2))[over]) / (sigma + eps)[over]
    return normal * weight[over] + bias[over]


def test_float_gradients_are_those_of_the_formula() -> None:
    module = built(FLOAT, eps=2.0**-12).double()
    x = (floats(4, 3, 4, 4) * 16).round().div(16).clamp(-7, 7).double().requires_grad_()
    y = module(x)
    leaves = [x.detach().clone(), module.weight_carrier().detach(), module.bias_carrier().detach()]
    z = formula(*[leaf.requires_grad_() for leaf in leaves], eps=2.0**-12)
    assert (y - z).abs().max() < 2.0**-6  # a step of the output, and what its statistics were rounded by
    grad = floats(*y.shape, seed=5).double()
    y.backward(grad)
    z.backward(grad)
    torch.testing.assert_close(module.weight.grad, leaves[1].grad, rtol=2e-3, atol=2e-2)
    torch.testing.assert_close(module.bias.grad, leaves[2].grad)
    # the statistics that divide are rounded to 2^-12
    torch.testing.assert_close(x.grad, leaves[0].grad, rtol=2e-3, atol=2e-3)


def test_float_gradients_are_rounded_where_numerics_says_so() -> None:
    module = built(replace(FLOAT, grad_input="<8,4>", grad_weight="<12,3>"))
    x = floats(4, 3, 4, 4).requires_grad_()
    module(x).square().sum().backward()
    for gradient, steps in ((x.grad, 16), (module.weight.grad, 8), (module.bias.grad, 8)):
        assert gradient is not None
        assert torch.equal(gradient * steps, (gradient * steps).round())
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("momentum", [0.1, 0.5, 0.9, 0.0, 1.0])
def test_running_statistics_are_integers_of_their_own_rule(momentum: float) -> None:
    module, rules = built(PLAIN, momentum=momentum), rules_of(PLAIN)
    share = Fraction(round(Fraction(momentum) * 2**16), 2**16)
    running: list[list[int]] = []
    for batch in range(4):
        x = floats(2, 3, 4, 4, seed=batch) + batch
        new = reference.range_statistics(words(x, PLAIN.activation, key(Role.INPUT), 0, "channels_last"), rules)
        if batch == 0:
            running = [list(each) for each in new]
        else:
            running = [
                [old + round(share * (value - old)) for old, value in zip(olds, values, strict=True)]
                for olds, values in zip(running, new, strict=True)
            ]
        module(x)
        assert [module.mean_words.tolist(), module.sigma_words.tolist()] == running
    assert int(module.num_batches_tracked) == 4
    assert module.running_mean.tolist() == [raw / 2**11 for raw in running[0]]
    assert module.running_sigma.tolist() == [raw / 2**11 for raw in running[1]]


def test_statistics_before_the_first_batch() -> None:
    module = built(PLAIN).eval()
    assert module.running_mean.tolist() == [0.0, 0.0, 0.0]
    assert module.running_sigma.tolist() == [1.0, 1.0, 1.0]
    before = module.mean_words.clone()
    module(floats(2, 3, 4, 4))
    assert torch.equal(module.mean_words, before)


def test_statistics_move_to_the_grid_of_a_new_format() -> None:
    module = built(PLAIN)
    module(floats(2, 3, 4, 4))
    sigma = module.sigma_words.tolist()
    module.numerics = replace(PLAIN, activation=Quantizer.parse("<8,5>"))
    assert module.sigma_words.tolist() == [4 * raw for raw in sigma]
    assert module.statistics_format.fl == 5 + GUARD_BITS
    module.numerics = replace(PLAIN, activation=Quantizer.parse("<8,1>"))
    assert module.sigma_words.tolist() == [round(Fraction(raw, 4)) for raw in sigma]


def test_state_continues_the_same_bits() -> None:
    x = floats(2, 3, 4, 4)
    module = built(replace(CHANCE, activation=Quantizer.parse("<7,4>,stochastic")))
    module(x)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = fx.nn.RangeBatchNorm2d(3, numerics=PLAIN)
    other.load_state_dict(torch.load(file))
    assert other.mean_words.tolist() == module.mean_words.tolist()
    assert other.statistics_format == module.statistics_format
    for copied in (other, copy.deepcopy(module)):
        twin = copy.deepcopy(module)
        assert torch.equal(copied(x), twin(x))
        assert torch.equal(copied.eval()(x), twin.eval()(x))


def test_int_state_holds_both_vectors() -> None:
    model = nn.Sequential(built(PLAIN))
    state = fx.int_state_dict(model)
    assert {name: words.format for name, words in state.items()} == {
        "0.weight": Format(6, 3), "0.bias": Format(6, 3),
    }  # fmt: skip


def test_compiled_as_one_graph() -> None:
    module, x = built(CHANCE), floats(2, 3, 4, 4)
    twin = copy.deepcopy(module)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    for _ in range(2):
        one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, z = compiled(one), twin(other)
        assert torch.equal(y, z)
        y.sum().backward()
        z.sum().backward()
        assert torch.equal(one.grad, other.grad)
    assert torch.equal(module.mean_words, twin.mean_words)
    assert int(module.num_batches_tracked) == 2


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_recomputation_is_no_second_batch(reentrant: bool) -> None:
    module, x = built(CHANCE), floats(2, 3, 4, 4)
    twin = copy.deepcopy(module)
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    checkpoint(module, one, use_reentrant=reentrant).sum().backward()
    twin(other).sum().backward()
    assert torch.equal(one.grad, other.grad)
    assert torch.equal(module.mean_words, twin.mean_words)
    assert int(module.num_batches_tracked) == 1


def test_records_of_a_step() -> None:
    module, x, heard = built(PLAIN), floats(2, 3, 4, 4).requires_grad_(), []
    module.name = "body.norm"
    with records.listen(heard.append):
        module(x).sum().backward()
    assert [(r.pass_, r.op, r.m, r.a, r.b) for r in heard if r.pass_ is not Pass.QUANTIZE] == [
        (Pass.FWD, "range_norm", 96, "<6,3>", "<6,3>"),
        (Pass.DGRAD, "range_norm", 96, "<7,5>", "<6,3>"),
        (Pass.WGRAD, "range_norm", 3, "<7,5>", "<6,3>"),
        (Pass.WGRAD, "bias_grad", 3, "<7,5>", ""),
    ]
    assert {record.layer for record in heard} == {"body.norm"}
    with fx.count() as counts:
        module(x).sum().backward()
    counts.check()


@pytest.mark.parametrize(
    ("numerics", "text"),
    [
        (
            replace(PLAIN, output=None),
            "^there: range_norm: output is None: a quotient has no exact format; name the one",
        ),
        (replace(PLAIN, grad_input=None), "^there: range_norm: grad_input is None"),
        (replace(PLAIN, grad_weight=None), "^there: range_norm: grad_weight is None"),
        (
            replace(PLAIN, output=Quantizer.parse("<8,4>,floor,error")),
            "output is <8,4>,floor,error: .* it must saturate",
        ),
        (replace(PLAIN, activation=Quantizer.parse("<33,4>")), "activation is <33,4>: accepted are 1 to 32 bits"),
        (replace(PLAIN, grad_output=Quantizer.parse("<33,4>")), "grad_output is <33,4>: accepted are 1 to 32 bits"),
    ],
)
def test_numerics_that_leave_a_quotient_unrounded(numerics: Numerics, text: str) -> None:
    module = built(numerics)
    module.name = "there"
    with pytest.raises(ValueError, match=text):
        module(floats(2, 3, 4, 4))
    assert int(module.num_batches_tracked) == 0


def test_refusals() -> None:
    for arguments, text in (
        ((0,), "num_features = 0: accepted are 1 or more"),
        ((3, -1.0), "eps = -1.0: accepted are finite numbers of 0 or more"),
        ((3, 1e-5, 1.5), "momentum = 1.5: accepted are 0 to 1"),
        ((3, 1e-5, 0.1, "?"), "constant = '\\?': accepted are reference, paper, gauss"),
    ):
        with pytest.raises(ValueError, match=f"^RangeBatchNorm2d: {text}"):
            fx.nn.RangeBatchNorm2d(*arguments, numerics=PLAIN)
    with pytest.raises(ValueError, match=r"range_norm: x has shape \(2, 3, 4\): accepted is \(N, 3, H, W\)"):
        built(PLAIN)(floats(2, 3, 4))
    with pytest.raises(
        ValueError, match="in training every channel needs 2 values or more; enlarge the batch, or call"
    ):
        built(PLAIN)(floats(1, 3, 1, 1))
    with pytest.raises(TypeError, match="float32 does not carry the output format <30,4> exactly"):
        built(replace(PLAIN, output=Quantizer.parse("<30,4>")))(floats(2, 3, 4, 4))
    assert built(PLAIN).eval()(floats(1, 3, 1, 1)).shape == (1, 3, 1, 1)


@pytest.mark.filterwarnings("error")
def test_small_chunks_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="^RangeBatchNorm2d: each range is taken of 18 values, and of fewer than 64"):
        built(PLAIN)(floats(2, 3, 6, 6))
    built(PLAIN)(floats(4, 3, 16, 16))
    built(PLAIN).eval()(floats(2, 3, 6, 6))


class Block(nn.Module):
    """Convolution, norm and ReLU twice, with a shortcut."""

    def __init__(self, numerics: Numerics) -> None:
        super().__init__()
        self.conv1, self.conv2 = (fx.nn.Conv2d(8, 8, 3, padding=1, bias=False, numerics=numerics) for _ in range(2))
        self.norm1, self.norm2 = (fx.nn.RangeBatchNorm2d(8, numerics=numerics) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))) + x)


def residual_net(numerics: Numerics) -> nn.Module:
    """4 classes of 8x8 images; every layer in integers."""
    torch.manual_seed(0)
    stem = fx.nn.Conv2d(1, 8, 3, padding=1, bias=False, numerics=numerics)
    norm = fx.nn.RangeBatchNorm2d(8, numerics=numerics)
    model = nn.Sequential(
        stem, norm, nn.ReLU(), Block(numerics), nn.AvgPool2d(8), nn.Flatten(), fx.nn.Linear(8, 4, numerics=numerics)
    )
    return fx.convert(model, numerics, inplace=True)


def stripes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy stripes in four directions."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (count,), generator=generator)
    y, x = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    waves = torch.stack([torch.sin(way * 1.6) for way in (x, y, x + y, x - y)])
    return (waves[labels] + 0.5 * torch.randn(count, 8, 8, generator=generator))[:, None], labels


def trained(numerics: Numerics, steps: int) -> Iterator[float]:
    """The training accuracy of each step."""
    model = residual_net(numerics)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step in range(steps):
        x, labels = stripes(32, step)
        logits = model(x)
        optimizer.zero_grad()
        (F.cross_entropy(logits, labels) * 64).backward()
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.grad /= 64
        optimizer.step()
        yield (logits.argmax(1) == labels).float().mean().item()
    model.eval()
    x, labels = stripes(200, 10**6)
    yield (model(x).argmax(1) == labels).float().mean().item()


def test_a_small_residual_net_learns_in_integers() -> None:
    numerics = Numerics(
        "<8,6>", "<8,4>", "<12,6>",
        grad_output="<8,5>,stochastic", grad_weight="<20,8>,stochastic", grad_input="<12,7>,stochastic",
    )  # fmt: skip
    *_, accuracy = trained(numerics, 60)
    assert accuracy > 0.9
