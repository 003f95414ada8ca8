"""A record as the cells of a table, for the terminal and for Markdown."""

from __future__ import annotations

from typing import Final, Literal

from fxsim.bench.measure import Row, Verdict
from fxsim.bench.suite import Record

HEADINGS: Final = ("what", "against", "ratio", "middle half", "must", "aim", "")

JUSTIFY: Final[tuple[Literal["left", "right"], ...]] = ("left", "left", "right", "right", "right", "right", "left")

LEGEND: Final = (
    "Ratios: the other's time over fxsim's, medians of the rounds' own ratios; above 1, fxsim is the faster. "
    "Must and aim hold for one thread on AVX-512 VNNI."
)

VERDICTS: Final[dict[Verdict | None, str]] = {"aim": "aim met", "must": "met", "below": "not met", None: ""}


def cells(row: Row) -> tuple[str, ...]:
    """A row's texts, one for each heading."""
    spread = "" if row.low is None or row.high is None else f"{figure(row.low)} to {figure(row.high)}"
    must, aim = (f"{figure(bound)}" if bound is not None else "" for bound in (row.must, row.aim))
    return (row.what, row.against, f"{figure(row.ratio)}", spread, must, aim, VERDICTS[row.verdict])


def figure(ratio: float) -> str:
    """Three digits or more: 0.418, 3.52, 61.3, 1024."""
    return f"{ratio:.0f}" if abs(ratio) >= 100 else f"{ratio:#.3g}"


def markdown(record: Record) -> str:
    """The record as it stands below a heading of bench/README.md."""
    headings = ("benchmark", *HEADINGS)
    lines = ["", f"{record.machine}.", "", LEGEND, "", *_line(headings), *_line(("---",) * len(headings))]
    for section in record.sections:
        for row in section.rows:
            lines += _line((section.name, *cells(row)))
    notes = [f"- {section.name}: {note.text}" for section in record.sections for note in section.notes]
    notes += [f"- {failure}" for failure in record.failures]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def _line(texts: tuple[str, ...]) -> list[str]:
    return ["| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"]
