"""The committed stub of the compiled core names what the core has, argument for argument."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from fxsim import _core

STUB = Path(inspect.getfile(_core)).parent / "_core.pyi"
if not STUB.exists():
    STUB = Path(__file__).parents[1] / "python" / "fxsim" / "_core.pyi"


def _arguments(node: ast.FunctionDef) -> list[str]:
    return [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]


def _stub() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for node in ast.parse(STUB.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = _arguments(node)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = []
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    found[f"{node.name}.{member.name}"] = _arguments(member)
    return found


def _signature(doc: str) -> list[str]:
    """The argument names of the first line that pybind11 writes into a docstring."""
    inside = doc.splitlines()[0].split(" -> ")[0].split("(", 1)[1].rsplit(")", 1)[0]
    flat, before = inside, ""
    while flat != before:  # from the innermost brackets outwards
        flat, before = re.sub(r"\[[^\[\]]*\]|\([^()]*\)", "", flat), flat
    names = [part.split(":")[0].split("=")[0].strip() for part in flat.split(",")]
    return [name for name in names if name and name != "*"]


def _core_names() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, thing in vars(_core).items():
        if name.startswith("__"):
            continue
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                if isinstance(value, property):
                    found[f"{name}.{member}"] = ["self"]
                elif member == "__init__" or not member.startswith("_"):
                    found[f"{name}.{member}"] = _signature(getattr(thing, member).__doc__)
        else:
            found[name] = [] if isinstance(thing, int) else _signature(thing.__doc__)
    return found


def test_the_stub_names_what_the_core_has() -> None:
    assert _stub() == _core_names()


def test_a_signature_is_read_as_pybind11_writes_it() -> None:
    doc = "f(a: collections.abc.Sequence[int], *, b: tuple[int, int] = (0, 1), c: str = 'x') -> None\n"
    assert _signature(doc) == ["a", "b", "c"]
    assert _signature("g(self: Events) -> Annotated[list[int], 'FixedSize(9)']\n") == ["self"]
