"""fx.summary: which layers compute how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import nn

from fxsim.nn._layer import Layer, fields_of
from fxsim.nn.quantized import Quantized

FLOAT = "float"


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One module: dotted name, type, its own parameters, and its formats as (name, text); none where it is float."""

    name: str
    kind: str
    parameters: int
    formats: tuple[tuple[str, str], ...]


@final
@dataclass(frozen=True, slots=True)
class Summary:
    """A model's fxsim modules, and the modules with parameters that still compute in float, in order."""

    rows: tuple[Row, ...]

    @property
    def float_rows(self) -> tuple[Row, ...]:
        """The modules with parameters that compute in float."""
        return tuple(row for row in self.rows if not row.formats)

    def __str__(self) -> str:
        table = [("name", "type", "parameters", "formats")]
        table += [(row.name, row.kind, str(row.parameters), _text(row)) for row in self.rows]
        widths = [max(len(line[column]) for line in table) for column in range(3)]
        return "\n".join(
            f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {count:>{widths[2]}}  {formats}"
            for name, kind, count, formats in table
        )


def summary(model: nn.Module) -> Summary:
    """The table of a model; `str()` prints it."""
    return Summary(tuple(_row(name, module) for name, module in model.named_modules() if _listed(module)))


def _listed(module: nn.Module) -> bool:
    return isinstance(module, Layer) or next(module.parameters(recurse=False), None) is not None


def _row(name: str, module: nn.Module) -> Row:
    parameters = sum(parameter.numel() for parameter in module.parameters(recurse=False))
    kind = type(module).__name__
    if isinstance(module, Quantized):
        kind = f"{kind}({type(module.module).__name__})"
    formats = tuple(fields_of(module.numerics)) if isinstance(module, Layer) else ()
    return Row(name, kind, parameters, formats)


def _text(row: Row) -> str:
    return ", ".join(f"{name}={text}" for name, text in row.formats) or FLOAT
