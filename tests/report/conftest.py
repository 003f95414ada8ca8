"""A run folder without a run: lines such as training leaves, from a small generator of pseudo-random numbers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from fxsim.cost.counts import Counts
from fxsim.cost.windows import Window
from fxsim.ops.records import OpRecord, Pass
from fxsim.train.config import TrainConfig
from fxsim.train.environment import Environment
from fxsim.train.lines import SwitchLine, TestLine, TrainLine
from fxsim.train.recipe import recipe_for
from fxsim.train.runfolder import RunFolder
from fxsim.train.window import count_fields

LAYERS = ("conv1", "conv2", "conv3", "fc1", "fc2")
PER_EPOCH = 22


def config(epochs: int = 3) -> TrainConfig:
    return TrainConfig(
        model="lenet5",
        data="digits",
        recipes=(recipe_for("adapt", "lenet5"), recipe_for("float32", "lenet5")),
        environment=Environment("0.1.0", "3.11.2", "2.0", "2.13.0", "abc", "AVX512", 2),
        epochs=epochs,
    )


def records(formats: dict[str, tuple[int, int]], dice: random.Random) -> Counts:
    counts = Counts()
    for layer in LAYERS:
        text = "<{},{}>".format(*formats[layer]) if formats else "fp32"
        overflows = dice.randrange(40) if formats and layer != "fc2" else 0
        for pass_ in (Pass.FWD, Pass.DGRAD, Pass.WGRAD):
            exact = pass_ is Pass.FWD
            counts.add(
                OpRecord(
                    layer=layer,
                    pass_=pass_,
                    op="linear",
                    m=64,
                    n=10,
                    k=20,
                    batch=64,
                    a_elements=64 * 20,
                    b_elements=20 * 10,
                    a=text if exact else "fp32",
                    b=text if exact else "fp32",
                    accumulator="exact" if exact and formats else "fp32",
                    output="<20,8>" if exact and formats else "fp32",
                    macs=64 * 10 * 20,
                    pad_macs=12_000 if pass_ is Pass.DGRAD else 0,
                    zero_a_macs=100,
                    zero_macs=100,
                    nz_macs=64 * 10 * 20 - 100 - (12_000 if pass_ is Pass.DGRAD else 0),
                    output_overflows=overflows if exact else 0,
                    elements_written=640,
                )
            )
    counts.add_uncounted("aten.tanh", 640)
    return counts


@pytest.fixture
def made_up() -> Callable[..., RunFolder]:
    """`write`: a test module cannot import its neighbours."""
    return write


def write(path: Path, epochs: int = 3, *, finished: bool = True, seed: int = 0, steps: int | None = None) -> RunFolder:
    """A folder of a run of AdaPT and float32 on five layers."""
    folder = RunFolder.create(path, config(epochs))
    dice = random.Random(seed)
    formats = dict.fromkeys(LAYERS, (8, 4))
    due = {layer: dice.randrange(20, 50) for layer in LAYERS}
    totals = {"adapt": Counts(), "float32": Counts()}
    for step in range(1, (epochs * PER_EPOCH if steps is None else steps) + 1):
        epoch = (step - 1) // PER_EPOCH
        for run, words in (("adapt", formats), ("float32", {})):
            counts = records(words, dice)
            totals[run].merge(counts)
            folder.log_window(Window(step, 1, counts, run))
            folder.log_metrics(
                TrainLine(steps=1, learning_rate=0.03, **_common(run, epoch, step, words, dice), **count_fields(counts))
            )
        for layer in LAYERS:
            due[layer] -= 1
            if due[layer] == 0:
                due[layer] = dice.randrange(28, 60)
                fl = min(24, max(5, 9 + epoch // 4 + dice.randrange(-3, 6)))
                folder.log_switch(_switch(step, layer, formats[layer], (fl + 8, fl)))
                formats[layer] = (fl + 8, fl)
        if step % PER_EPOCH == 0:
            for run, words in (("adapt", formats), ("float32", {})):
                _test(folder, run, epoch, step, words, dice, finalized=False)
    if finished:
        step = epochs * PER_EPOCH
        for layer in LAYERS:
            folder.log_switch(_switch(step, layer, formats[layer], (19, 11)))
            formats[layer] = (19, 11)
        for run, words in (("adapt", formats), ("float32", {})):
            _test(folder, run, epochs - 1, step, words, dice, finalized=True)
            folder.log_window(Window(step, 0, records(words, dice), run))
        folder.write_counts(json.dumps({run: json.loads(each.to_json()) for run, each in totals.items()}))
    return folder


def _switch(step: int, layer: str, old: tuple[int, int], new: tuple[int, int]) -> SwitchLine:
    texts = ["<{},{}>".format(*each) for each in (old, new)]
    return SwitchLine(run="adapt", step=step, layer=layer, old=texts[0], new=texts[1], reason="made up", details={})


def _test(
    folder: RunFolder,
    run: str,
    epoch: int,
    step: int,
    words: dict[str, tuple[int, int]],
    dice: random.Random,
    *,
    finalized: bool,
) -> None:
    fields = _common(run, epoch, step, words, dice) | count_fields(records(words, dice))
    folder.log_metrics(TestLine(samples=360, finalized=finalized, **fields))


def _common(
    run: str, epoch: int, step: int, words: dict[str, tuple[int, int]], dice: random.Random
) -> dict[str, object]:
    share = 1 - 0.97**step
    mean = sum(wl for wl, _ in words.values()) / len(words) if words else 32.0
    sparsity = {layer: 0.02 * dice.random() if words else 0.0 for layer in LAYERS}
    return {
        "run": run,
        "epoch": epoch,
        "step": step,
        "seconds": 0.02,
        "loss": 2.3 * (1.02 - share) + 0.05 * dice.random(),
        "accuracy": 0.1 + 0.86 * share + 0.02 * dice.random(),
        "mean_word_length": mean,
        "mean_word_length_by_elements": mean,
        "word_lengths": dict(words),
        "sparsity": sum(sparsity.values()) / len(LAYERS),
        "sparsity_by_layer": sparsity,
    }
