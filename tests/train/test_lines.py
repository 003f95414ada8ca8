from __future__ import annotations

import dataclasses
import json
import math

import pytest

from fxsim.formats import Format
from fxsim.policies import Switch
from fxsim.train.lines import SwitchLine, TestLine, TrainLine, metrics_from_json, switch_from_json, to_json

TRAIN = TrainLine(
    run="adapt",
    epoch=1,
    step=30,
    steps=2,
    seconds=0.25,
    loss=0.1 + 0.2,
    accuracy=1 / 3,
    learning_rate=1e-320,
    mean_word_length=19.5,
    mean_word_length_by_elements=18.25,
    word_lengths={"conv1": (20, 12), "fc": (19, 25)},
    sparsity=0.01,
    sparsity_by_layer={"conv1": 0.0, "fc": 0.02},
    macs=10**15,
    bit_operations=2**70,
    overflow_events=3,
    overflow_by_layer={"fc": 3},
    counts={"fwd": {"macs": 10**15}},
)
TEST = TestLine(
    run="float32",
    epoch=0,
    step=22,
    samples=360,
    finalized=True,
    seconds=0.1,
    loss=2.0,
    accuracy=0.5,
    mean_word_length=32.0,
    mean_word_length_by_elements=32.0,
    word_lengths={},
    sparsity=0.0,
    sparsity_by_layer={},
)


@pytest.mark.parametrize("line", [TRAIN, TEST], ids=["train", "test"])
def test_a_line_survives_its_text(line: TrainLine | TestLine) -> None:
    assert metrics_from_json(to_json(line)) == line
    assert "\n" not in to_json(line)


def test_a_line_names_its_run_and_split_first() -> None:
    assert list(json.loads(to_json(TRAIN)))[:2] == ["run", "split"]
    assert json.loads(to_json(TRAIN))["split"] == "train"
    assert json.loads(to_json(TEST))["split"] == "test"


def test_a_loss_that_is_not_a_number_is_null_in_json() -> None:
    line = dataclasses.replace(TEST, loss=math.nan)
    assert json.loads(to_json(line))["loss"] is None
    assert math.isnan(metrics_from_json(to_json(line)).loss)


def test_a_switch_survives_its_text() -> None:
    switch = Switch(4, "conv1", Format(8, 4), Format(19, 11), "lookback", {"diversity": 2.5})
    line = SwitchLine.of("adapt", switch, 5)
    assert switch_from_json(to_json(line)) == line
    assert (line.step, line.old, line.new) == (5, "<8,4>", "<19,11>")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"run": "a"}', "names neither split train nor test"),
        ("[1, 2]", "is not a JSON object"),
        ('{"split": "test", "run": "a"}', "not a line of TestLine: .*missing"),
        ('{"split": "train", "colour": 1}', "not a line of TrainLine: .*colour"),
    ],
)
def test_other_lines_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics_from_json(text)
