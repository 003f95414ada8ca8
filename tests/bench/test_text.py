from __future__ import annotations

import json

import pytest

from fxsim.bench import text
from fxsim.bench.machine import Machine
from fxsim.bench.measure import Note, Row
from fxsim.bench.suite import Record, Section

MACHINE = Machine("2026-01-02", "abc", "A CPU, model 7", "avx2", 1, "2.13.0", "AVX2", "3.11.2")
ROWS = (Row("s8 | wide", "torch", 3.517, 3.0, 3.6, 3.4, 3.71, 3.5, 0.001, 0.0035), Row("plain", "torch", 0.0418))
RECORD = Record(
    MACHINE, (Section("gemm", ROWS, (), 1.5), Section("peer", (), (Note("not installed"),), 0.0, "no bits"))
)


def test_a_record_as_markdown() -> None:
    assert text.markdown(RECORD) == (
        "\n2026-01-02, A CPU, model 7, avx2, one thread, torch 2.13.0 (AVX2), commit abc.\n\n"
        f"{text.LEGEND}\n\n"
        "| benchmark | what | against | ratio | middle half | must | aim |  |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| gemm | s8 \\| wide | torch | 3.52 | 3.40 to 3.71 | 3.00 | 3.60 | met |\n"
        "| gemm | plain | torch | 0.0418 |  |  |  |  |\n"
        "\n"
        "- peer: not installed\n"
        "- peer: no bits\n"
    )


def test_a_record_as_json() -> None:
    written = json.loads(RECORD.to_json())
    assert written["machine"]["isa"] == "avx2"
    first, second = written["sections"][0]["rows"]
    assert (first["ratio"], first["verdict"], first["seconds"]) == (3.517, "must", 0.001)
    assert (second["verdict"], second["low"]) == (None, None)
    assert written["sections"][1]["notes"] == [{"text": "not installed"}]


@pytest.mark.parametrize(
    ("ratio", "shown"), [(0.0418, "0.0418"), (0.9999, "1.00"), (3.517, "3.52"), (61.28, "61.3"), (1024.4, "1024")]
)
def test_figures_have_three_digits(ratio: float, shown: str) -> None:
    assert text.figure(ratio) == shown


def test_this_machine_is_named() -> None:
    machine = Machine.current()
    assert machine.cpu
    assert machine.isa in str(machine)
    assert machine.threads >= 1
