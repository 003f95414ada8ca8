"""README's commands are the ones that work, and its example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fxsim.cli.commands import fxsim

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def block(marker: str) -> str:
    """The one fenced block that follows the comment."""
    (found,) = re.findall(rf"<!-- command: {marker} -->\n```sh\n(.*?)\n```", README, re.DOTALL)
    return str(found)


def example() -> str:
    (found,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    return str(found)


def test_the_two_commands_stand_as_promised() -> None:
    assert block("demo") == (
        "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt '.[demo]' && .venv/bin/fxsim train"
    )
    assert block("test") == (
        "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[test]' && .venv/bin/pytest -n auto"
    )


def test_the_example_runs_and_is_ten_lines() -> None:
    assert len([line for line in example().splitlines() if line]) <= 10
    result = subprocess.run([sys.executable, "-c", example()], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert f"{416_520 * 4} MACs, " in result.stdout
    assert "conv1" in result.stdout
    assert "<12,10>" in result.stdout


@pytest.mark.parametrize("line", re.findall(r"^fxsim (.*?)(?:\s+#.*)?$", README, re.MULTILINE))
def test_every_option_named_exists(line: str) -> None:
    command, second, *_ = line.split()
    commands = [command, second] if isinstance(fxsim.commands.get(command), click.Group) else [command]
    help_text = CliRunner().invoke(fxsim, [*commands, "--help"]).output
    for option in re.findall(r"--[a-z-]+", line):
        assert option in help_text
