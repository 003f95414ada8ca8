"""The torch library `fxsim` and the one way an op enters it.

An op defined here is one node to torch: compile and export keep it whole, dispatch modes see it, and its fake
kernel answers for shapes. (`torch.library.custom_op` does the same at three times the cost a call; a plain
autograd.Function over the core breaks compile and export.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from fxsim.ops._straight import hidden, straight, unseen

LIBRARY: Final = torch.library.Library("fxsim", "DEF")  # type: ignore[no-untyped-call]

_WORD: Final = 1 << 64


class Op(NamedTuple):
    """An op as this package calls it.

    overload: torch's. direct: the same without a way through the dispatcher, for tensors that go `straight`; a number
    of a call may be an int there.
    """

    overload: Callable[..., Any]
    direct: Callable[..., Any]

    def way(self, direct: bool) -> Callable[..., Any]:
        """What to call."""
        return self.direct if direct else self.overload

    def at(self, x: Tensor, call: Tensor | int) -> tuple[Callable[..., Any], Tensor | int]:
        """What to call on x, and the number of the call as that takes it."""
        if isinstance(call, int) and straight(x):
            return self.direct, call
        return self.overload, as_tensor(call)


def define(
    schema: str,
    kernel: Callable[..., Any],
    fake: Callable[..., Any],
    *,
    setup_context: Callable[..., None] | None = None,
    backward: Callable[..., Any] | None = None,
) -> Op:
    """Add an op: its schema, CPU kernel, fake kernel, and the formula of its gradient if it has one."""
    name = schema.partition("(")[0]
    LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))  # type: ignore[no-untyped-call]
    LIBRARY.impl(name, kernel, "CPU")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"fxsim::{name}", fake, lib=LIBRARY)
    overload = getattr(torch.ops.fxsim, name).default
    if backward is None:
        return Op(overload, unseen(kernel))
    differentiable, direct = _differentiable(overload, kernel, setup_context, backward)
    LIBRARY.impl(name, differentiable, "Autograd", with_keyset=True)  # type: ignore[no-untyped-call]
    return Op(overload, direct)


def _differentiable(
    overload: Any,
    kernel: Callable[..., Any],
    setup_context: Callable[..., None] | None,
    backward: Callable[..., Any],
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The kernel between autograd and the op, as `torch.library.register_autograd` makes it; and for direct calls.

    That one looks up every argument's default at every call, a quarter of a millisecond for an op of fifteen
    arguments; ops of this library have no defaults.
    """

    directly = unseen(kernel)

    def below(keyset: Any, arguments: tuple[Any, ...]) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            if keyset is None:
                return directly(*arguments)
            rest = keyset & torch._C._after_autograd_keyset
            if rest.highestPriorityTypeId() == torch._C.DispatchKey.CPU:
                return kernel(*arguments)  # nobody between: spares a way through the dispatcher
            return overload.redispatch(rest, *arguments)

    class Differentiable(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, keyset: Any, *arguments: Any) -> Any:
            output = below(keyset, arguments)
            if setup_context is not None:
                setup_context(ctx, arguments, output)
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return (None, *backward(ctx, *grads))

    def differentiable(keyset: Any, *arguments: Any) -> Any:
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*arguments):
            return Differentiable.apply(keyset, *arguments)  # type: ignore[no-untyped-call]
        return below(keyset, arguments)

    # Function.apply itself looks for functorch's dead wrappers in every argument, and what goes straight has none.
    apply = super(torch.autograd.Function, Differentiable).apply

    def direct(*arguments: Any) -> Any:
        if torch.is_grad_enabled() and torch._C._any_requires_grad(*arguments):
            return apply(None, *arguments)  # type: ignore[no-untyped-call]
        return below(None, arguments)

    return differentiable, direct


def refuse_second_derivative(ctx: Any, *grads: object) -> None:
    """The gradient of a gradient op: there is none, and silence would be a wrong answer.

    Raises:
        NotImplementedError: always.
    """
    raise NotImplementedError(
        "fxsim: the gradient of a fixed-point layer's gradient is not defined; call backward without create_graph"
    )


def signed64(word: int) -> int:
    """A 64-bit word as the signed integer of the same bits: what an op's `int` can hold."""
    return word - _WORD if word >= _WORD >> 1 else word


def as_tensor(call: Tensor | int) -> Tensor:
    """The number of a call as an op's overload takes it, int64 (); no mode sees it made."""
    if isinstance(call, Tensor):
        return call
    return torch.tensor(call) if torch.compiler.is_compiling() else _hidden_tensor(call)


@hidden
def _hidden_tensor(number: int) -> Tensor:
    return torch.tensor(number)
