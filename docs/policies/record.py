"""Put the table and the plots of a finished comparison into these pages.

    fxsim compare --model lenet5 --data mnist --data-dir DATA --policies all --out OUT
    python docs/policies/record.py OUT

The table goes between the two markers of README.md, each plot to plots/NAME.svg. Nothing there is typed by hand.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from fxsim.cli.comparing import PLOT, TABLE
from fxsim.report import comparison
from fxsim.report.comparison import Compared

HERE = Path(__file__).parent
BEGIN, END = "<!-- table: written by record.py -->\n", "<!-- end of the table -->\n"


def markdown(about: dict[str, str], rows: tuple[Compared, ...]) -> str:
    """The table, and what it is true of."""
    head = ["Policy", *comparison.HEADINGS[1:]]
    lines = [head, ["---", *["--:"] * (len(head) - 1)]]
    lines += [[f"[{cells[0]}]({cells[0]}.md)", *cells[1:]] for cells in comparison.rows(rows)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    failures = "".join(f"\n{each.policy} failed: {each.failure}\n" for each in rows if each.failure)
    return f"\n    {about['command']}\n\n{about['machine']}.\n\n{table}\n\n{comparison.LEGEND}\n{failures}\n"


def recorded(page: str, table: str) -> str:
    """A page with another table between its markers."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + table + END + after


def main(out: Path) -> None:
    """Write the table, and copy the plots."""
    about, rows = comparison.from_json((out / TABLE).read_text(encoding="utf-8"))
    page = HERE / "README.md"
    page.write_text(recorded(page.read_text(encoding="utf-8"), markdown(about, rows)), encoding="utf-8")
    (HERE / "plots").mkdir(exist_ok=True)
    for each in rows:
        if (out / each.policy / PLOT).is_file():
            shutil.copyfile(out / each.policy / PLOT, HERE / "plots" / f"{each.policy}.svg")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
