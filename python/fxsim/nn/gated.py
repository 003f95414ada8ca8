"""fx.nn.GatedBlock: a block computed under several arithmetics, of which a gate chooses one for each sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fxsim.nn.conv2d import symmetric_padding
from fxsim.nn.ranged import Ranged, RangedConv2d
from fxsim.ranges import RangedNumerics

EMBEDDED = 32
HIDDEN = 16


class Gates(nn.Module):
    """The gates of a network: an embedding for each block, and one recurrent cell that all of them share.

    Args:
        channels: of each block's input, in the order in which blocks run.
        candidates: number of arithmetics to choose from.

    Source: Fu et al. 2020 (FracTrain), section 3.3; Wang et al. 2018 (SkipNet) for the shared cell.
    """

    def __init__(self, channels: Sequence[int], candidates: int) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(
            nn.Sequential(nn.Linear(each, EMBEDDED), nn.ReLU(), nn.Linear(EMBEDDED, HIDDEN)) for each in channels
        )
        self.cell = nn.LSTMCell(HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, candidates)
        self._hidden: tuple[Tensor, Tensor] | None = None
        self._choices: dict[int, Tensor] = {}

    def choose(self, number: int, pooled: Tensor, refused: Tensor | None = None) -> Tensor:
        """The choice for block `number` from the means (B, C) of its input's channels: one-hot rows (B, K).

        Block 0 begins a forward of the network: the cell forgets. The first of equal candidates wins. Gradients pass
        as if the probabilities themselves had been given. refused: bool (K,), candidates that this block cannot have.
        """
        if number == 0:
            self._hidden, self._choices = None, {}
        self._hidden = self.cell(self.embeddings[number](pooled), self._hidden)
        scores = self.head(self._hidden[0])
        if refused is not None:
            scores = scores.masked_fill(refused, -torch.inf)
        probabilities = F.softmax(scores, dim=1)
        hard = F.one_hot(probabilities.argmax(1), probabilities.shape[1]).to(probabilities.dtype)
        choice = hard - probabilities.detach() + probabilities
        self._choices[number] = choice
        return choice

    def mean_cost(self, costs: Sequence[float]) -> Tensor:
        """The mean, over blocks and samples of the latest forward, of what was chosen: a scalar; 0 before the first."""
        if not self._choices:
            return torch.zeros(())
        prices = next(iter(self._choices.values())).new_tensor(costs)
        return torch.stack([(choice @ prices).mean() for choice in self._choices.values()]).mean()

    def __getstate__(self) -> dict[str, object]:
        """For pickling and copying: what a forward left behind belongs to its own graph."""
        return {**self.__dict__, "_hidden": None, "_choices": {}}


class GatedBlock(nn.Module):
    """A block whose output is, sample by sample, that of one of several arithmetics.

    In training every candidate is computed, and the choice picks among the results; in evaluation those that no
    sample chose are left out.

    Args:
        block: takes one tensor (B, ...) and gives one.
        gates: shared by all blocks of a network; the first block owns them.
        number: of the block, from 0, in the order in which blocks run.
        candidates: the arithmetics of the block's ranged layers; None: the block is skipped, and gives its input. Gates
            of blocks that change the shape never choose that.
    """

    def __init__(
        self, block: nn.Module, gates: Gates, number: int, candidates: Sequence[RangedNumerics | None]
    ) -> None:
        super().__init__()
        self.block = block
        self.number = number
        self.candidates = tuple(candidates)
        skips = torch.tensor([each is None for each in candidates])
        self._refused = skips if bool(skips.any()) and not keeps_shape(block) else None
        if number == 0:
            self.gates = gates
        self._shared = [gates]  # in a list, so that only the first block's state holds it

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, (B, ...)."""
        choice = self._shared[0].choose(self.number, self._pooled(x), self._refused)
        layers = [layer for layer in self.block.modules() if isinstance(layer, Ranged)]
        kept = [layer.numerics for layer in layers]
        total: Tensor | None = None
        try:
            for column, numerics in zip(choice.unbind(1), self.candidates, strict=True):
                refused = numerics is None and self._refused is not None
                if refused or (not self.training and not bool(column.any())):
                    continue
                y = self._candidate(x, layers, numerics)
                part = y * column.view(-1, *[1] * (y.dim() - 1))
                total = part if total is None else total + part
        finally:
            for layer, numerics in zip(layers, kept, strict=True):
                layer.numerics = numerics
        if total is None:
            raise ValueError("GatedBlock: the batch is empty; give at least one sample")
        return total

    def _candidate(self, x: Tensor, layers: Sequence[Ranged], numerics: RangedNumerics | None) -> Tensor:
        if numerics is None:
            return x
        for layer in layers:
            layer.numerics = numerics
        y: Tensor = self.block(x)
        return y

    def _pooled(self, x: Tensor) -> Tensor:
        """The mean of every channel: channels are dimension 1 of images, else the last."""
        if x.dim() == 4:
            return x.mean((2, 3))
        return x.flatten(1, -2).mean(1) if x.dim() > 2 else x


def keeps_shape(block: nn.Module) -> bool:
    """Whether a block can be skipped: its ranged layers neither stride nor crop, and the last gives what it takes."""
    layers = [layer for layer in block.modules() if isinstance(layer, Ranged)]
    return layers[-1].weight.shape[0] == _channels(block) and all(
        all(
            stride == 1 and 2 * pad == dilation * (kernel - 1)
            for stride, pad, dilation, kernel in zip(
                layer.stride, symmetric_padding(layer), layer.dilation, layer.kernel_size, strict=True
            )
        )
        for layer in layers
        if isinstance(layer, RangedConv2d)
    )


def gate_blocks(model: nn.Module, candidates: Sequence[RangedNumerics | None]) -> list[str]:
    """Put gates around the blocks of a model that has ranged layers; the names of what was wrapped, in order.

    A block is an outermost module with two or more ranged layers that is neither the model nor a mere container
    (nn.Sequential, nn.ModuleList), as a residual block is; and each ranged layer outside such modules.

    Raises:
        ValueError: there is no block.
    """
    names = _blocks(model, "")
    if not names:
        raise ValueError("gate_blocks: the model has no ranged layer in a module of its own; give it one more layer")
    modules = dict(model.named_modules())
    gates = Gates([_channels(modules[name]) for name in names], len(candidates))
    for number, name in enumerate(names):
        parent, _, child = name.rpartition(".")
        setattr(modules[parent], child, GatedBlock(modules[name], gates, number, candidates))
    return names


def _blocks(module: nn.Module, path: str) -> list[str]:
    found = []
    for child_name, child in module.named_children():
        name = f"{path}.{child_name}" if path else child_name
        ranged = sum(isinstance(each, Ranged) for each in child.modules())
        if not ranged:
            continue
        is_container = isinstance(child, nn.Sequential | nn.ModuleList)
        if isinstance(child, Ranged) or (ranged > 1 and not is_container):
            found.append(name)
        else:
            found += _blocks(child, name)
    return found


def _channels(block: nn.Module) -> int:
    """Of a block's input: those of its first ranged layer."""
    first = next(each for each in block.modules() if isinstance(each, Ranged))
    return int(first.weight.shape[1] * getattr(first, "groups", 1))
