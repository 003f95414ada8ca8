"""Counts over training time: one window of steps after the other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self, final

from fxsim.cost.counts import Counts


@final
@dataclass(frozen=True, slots=True)
class Window:
    """What `steps` optimizer steps executed, the last of them being number `step`, counted from 1.

    run: the network's name.
    """

    step: int
    steps: int
    counts: Counts
    run: str = ""

    def to_json(self) -> str:
        """One line of JSON, without its line break; `from_json` gives an equal window."""
        head = {"run": self.run, "step": self.step, "steps": self.steps}
        return json.dumps(head | {"counts": json.loads(self.counts.to_json())}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The window that `to_json` wrote.

        Raises:
            ValueError: the text is no such line.
        """
        try:
            content = json.loads(text)
            return cls(
                step=content["step"],
                steps=content["steps"],
                counts=Counts.from_json(json.dumps(content["counts"])),
                run=content["run"],
            )
        except (KeyError, TypeError):
            raise ValueError(f"this is not a line of counts over time: {text[:80]}") from None
