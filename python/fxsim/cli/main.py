"""Entry point of the `fxsim` command."""

from __future__ import annotations

import sys
from typing import Final

from fxsim.cli.memory import keep_freed_memory

PACKAGES: Final = frozenset({"click", "rich", "jinja2", "markupsafe", "tomli_w"})
"""What the command line needs beyond the library: the `cli` extra."""


def main() -> None:
    """Run the command line; without the packages it needs, say how to get them."""
    try:
        from fxsim.cli.commands import fxsim
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in PACKAGES:
            raise
        sys.exit(
            f"fxsim: the command line needs the package {error.name}, which is not installed; "
            f"install it with: pip install 'fxsim[cli]'  (or 'fxsim[demo]', which brings the digits data too)"
        )
    keep_freed_memory()
    fxsim()
