"""Every op is whole: in the table, with its reference, kernel, integer face and module; and sound to torch."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import fxsim as fx
from fxsim import _core, ops, reference
from fxsim.ops import _library
from fxsim.ops.registry import OPS, Op

CASES = [pytest.param(op, arguments, id=f"{op.name}-{i}") for op in OPS for i, arguments in enumerate(op.samples())]


def test_every_op_of_the_library_is_in_the_table() -> None:
    assert {f"fxsim::{op.name}" for op in OPS} == set(_library.LIBRARY._op_defs)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_what_the_table_names_exists(op: Op) -> None:
    assert all(hasattr(reference, name) for name in op.reference)
    assert all(hasattr(ops, name) for name in op.integer)
    assert op.kernel == "" or hasattr(_core, op.kernel)
    assert op.module == "" or hasattr(fx.nn, op.module)
    assert op.counts in ("", "elementwise", "product", "float")
    assert (op.counts == "") == (op.reference == ())


@pytest.mark.parametrize(("op", "arguments"), CASES)
def test_opcheck(op: Op, arguments: tuple[object, ...]) -> None:
    overload = getattr(torch.ops.fxsim, op.name).default
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # opcheck compiles, and compiling warns of things that are not ours
        result = torch.library.opcheck(overload, arguments)
    assert set(result.values()) == {"SUCCESS"}


@pytest.mark.parametrize(("op", "arguments"), [case for case in CASES if case.values[0].differentiable])
def test_a_gradient_reaches_every_float_input(op: Op, arguments: tuple[object, ...]) -> None:
    floats = [each for each in arguments if isinstance(each, torch.Tensor) and each.requires_grad]
    output = getattr(torch.ops.fxsim, op.name)(*arguments)
    first = output if isinstance(output, torch.Tensor) else output[0]
    gradients = torch.autograd.grad(first.sum(), floats, allow_unused=True)
    assert [None if each is None else each.shape for each in gradients] == [each.shape for each in floats]


@pytest.mark.parametrize("name", ["linear", "conv2d"])
def test_a_second_derivative_is_refused(name: str) -> None:
    arguments = next(case.values[1] for case in CASES if case.values[0].name == name)
    y = getattr(torch.ops.fxsim, name)(*arguments)[0]
    (gradient,) = torch.autograd.grad(y.square().sum(), arguments[0], create_graph=True)
    with pytest.raises(NotImplementedError, match="gradient of a fixed-point layer's gradient is not defined"):
        gradient.sum().backward()


def test_tools_that_watch_torch_see_each_op_once_and_whole() -> None:
    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            seen.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    seen: list[str] = []
    module = fx.nn.Linear(3, 2, numerics=fx.Numerics("<8,4>", "<8,4>"))
    with Watch():
        module(torch.ones(1, 3)).sum().backward()
    assert [name for name in seen if hasattr(torch.ops.fxsim, name)] == [
        "quantize_raw", "quantize_raw", "linear", "linear_backward",
    ]  # fmt: skip
    assert not {"mm", "masked_fill_"} & set(seen)


def test_words_of_64_bits_pass_through_signed_ints() -> None:
    for word in (0, 1, 2**63 - 1, 2**63, 2**64 - 1):
        assert ops.signed64(word) % 2**64 == word
        assert -(2**63) <= ops.signed64(word) < 2**63
