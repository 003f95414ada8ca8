"""The context that counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from fxsim.cost.counts import Counts
from fxsim.cost.watch import Watch
from fxsim.ops.details import Look
from fxsim.ops.records import listen_later


@contextmanager
def count(
    *,
    level: int = 0,
    group: tuple[int, int] = (1, 1),
    keep_order: bool = False,
    floats: bool = True,
    float_zeros: bool = False,
) -> Iterator[Counts]:
    """Count every op executed inside the block, forward and backward, on whichever thread.

    level: how closely the operands of integer products are looked at. 0: counts only. 1: also the non-zeros of each
        row and column, which arrays that skip zeros need. 2: also the pairs of non-zeros of each output, and
        histograms of needed and of set bits, for arrays that take a value's bits one by one. Levels 1 and 2 write the
        matrices out and keep what they find of every call: they are for a few batches, not for a training.
    group: at level 2, (rows, lanes) of the elements whose greatest number of bits counts together (see `Look`).
    keep_order: also keep each record, in the order of execution (`Counts.ordered`); grows with every op.
    floats: also watch torch's own float ops on this thread: products become records with format fp32, other
        arithmetic is listed in `Counts.uncounted`. Without it, only fxsim's ops are seen.
    float_zeros: count the zeros of torch's float products too, which takes about as long as the products;
        otherwise every mac off the padding counts as non-zero. The zeros of fxsim's integer ops are always counted.

    The counts may be read inside the block as well. Blocks nest; each counts everything inside it.

    Raises:
        ValueError: the level is none, a group is empty, or a surrounding block counts other groups.

    Example:
        with fx.count() as counts:
            loss = criterion(model(x), y)
            loss.backward()
        counts.by("layer", "pass_")["conv1", "fwd"].macs
    """
    counts = Counts(keep_order=keep_order)
    with ExitStack() as stack:
        stack.enter_context(listen_later(counts.note, Look(level, *group)))
        if floats:
            stack.enter_context(Watch(counts.add, counts.uncounted_sums, look_for_zeros=float_zeros))
        try:
            yield counts
        finally:
            counts.settle()
