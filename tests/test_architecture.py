"""The house stands: imports and includes go down, and files stay readable.

Each rule is a function from a tree to its breaches, and is shown to find them in a tree made to break it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Floors of python/fxsim, by file or folder name; "_core" is the compiled module, built from cpp/.
FLOORS = {
    **dict.fromkeys(
        ("formats", "rounding", "rng", "accumulator", "normalization", "numerics", "ranges", "tensor", "reference"), 0
    ),
    "_core": 3,
    **dict.fromkeys(("ops", "isa", "autograd"), 4),
    **dict.fromkeys(("nn", "models"), 5),
    "policies": 6,
    "cost": 7,
    **dict.fromkeys(("train", "data", "optim", "distributed"), 8),
    **dict.fromkeys(("report", "export", "bench"), 9),
    "cli": 10,
}
TOP = 11  # fxsim/__init__.py, which only re-exports

CPP_FLOORS = {"numbers": 0, "rounding": 1, "kernels": 2, "bindings": 3, "tests": 4, "bench": 4}

LONGEST_FILE = 500  # lines

HEAVY = ("click", "rich", "matplotlib", "jinja2", "sklearn", "tomli_w")  # `import fxsim` must not wait for these


def component(module: str) -> str:
    """The part of a fxsim module's name that decides its floor; "" for the package itself."""
    return [*module.split("."), ""][1]


def floor_of(module: str) -> int | None:
    return FLOORS.get(component(module)) if component(module) else TOP


def module_name(package: Path, file: Path) -> str:
    parts = [package.name, *file.relative_to(package).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full module name of everything imported; relative imports keep their dots."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from ((node.lineno, alias.name) for alias in node.names)
            case ast.ImportFrom(module="fxsim", level=0):
                for alias in node.names:
                    yield node.lineno, f"fxsim.{alias.name}" if alias.name in FLOORS else "fxsim"
            case ast.ImportFrom():
                yield node.lineno, "." * node.level + (node.module or "")


def import_breach(importer: str, imported: str) -> str | None:
    """Why `importer` may not import `imported`, or None if it may."""
    if imported.startswith("."):
        return f"imports {imported} relatively; write the absolute name"
    if imported.partition(".")[0] != "fxsim":
        return None
    own, other = floor_of(importer), floor_of(imported)
    if own is None:
        return f"{importer} has no floor; add its folder to FLOORS"
    if other is None:
        return f"imports {imported}, which has no floor; add its folder to FLOORS"
    if other > own:
        return f"is on floor {own} and imports {imported} from floor {other}"
    if imported.startswith("fxsim._core") and component(importer) != "ops":
        return "imports fxsim._core; only fxsim.ops may"
    if component(importer) == "policies" and other > 0 and component(imported) != "policies":
        return f"is a policy and imports {imported}; policies import floor 0 only"
    return None


def import_breaches(root: Path) -> list[str]:
    package = root / "python" / "fxsim"
    breaches = []
    for file in sorted(package.rglob("*.py")):
        importer = module_name(package, file)
        for line, imported in imports(ast.parse(file.read_text())):
            breach = import_breach(importer, imported)
            if breach:
                breaches.append(f"{file.relative_to(root)}:{line} {breach}")
    return breaches


def init_breaches(root: Path) -> list[str]:
    """Package files that do more than import, document themselves and list names."""

    def idle(node: ast.stmt) -> bool:
        match node:
            case ast.Import() | ast.ImportFrom():
                return True
            case ast.Expr(value=ast.Constant(value=str())):
                return True
            case ast.Assign(targets=[ast.Name(id="__all__" | "__version__")]):
                return True
        return False

    return [
        f"{file.relative_to(root)}:{node.lineno} works; __init__.py only imports"
        for file in sorted((root / "python" / "fxsim").rglob("__init__.py"))
        for node in ast.parse(file.read_text()).body
        if not idle(node)
    ]


def include_breach(folder: str, bracket: str, header: str) -> str | None:
    """Why a file in cpp/`folder` may not include `header`, or None if it may."""
    top = header.partition("/")[0]
    if top in {"torch", "ATen", "c10"}:
        return f"includes {header}; the core knows no torch"
    if top in {"pybind11", "Python.h", "numpy"} and folder != "bindings":
        return f"includes {header}; only bindings may"
    if bracket == "<" and top not in CPP_FLOORS:
        return None
    if bracket == "<":
        return f'includes <{header}>; our own headers are written "{header}"'
    if top == folder:
        return None
    if top not in CPP_FLOORS or "/" not in header:
        return f'includes "{header}"; write its path from cpp/, as in "numbers/format.hpp"'
    if CPP_FLOORS[top] > CPP_FLOORS[folder]:
        return f"is on floor {CPP_FLOORS[folder]} and includes {header} from floor {CPP_FLOORS[top]}"
    return None


def include_breaches(root: Path) -> list[str]:
    breaches = []
    for file in sorted((root / "cpp").rglob("*.[ch]pp")):
        folder = file.relative_to(root / "cpp").parts[0]
        if folder not in CPP_FLOORS:
            breaches.append(f"{file.relative_to(root)} has no floor; add its folder to CPP_FLOORS")
            continue
        for number, line in enumerate(file.read_text().splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', line)
            breach = found and include_breach(folder, found[1], found[2])
            if breach:
                breaches.append(f"{file.relative_to(root)}:{number} {breach}")
    return breaches


def size_breaches(root: Path) -> list[str]:
    breaches = []
    for folder in ("python", "cpp", "tests", "bench"):
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in {".py", ".cpp", ".hpp"}:
                lines = len(file.read_text().splitlines())
                if lines > LONGEST_FILE:
                    breaches.append(f"{file.relative_to(root)} has {lines} lines; split it below {LONGEST_FILE}")
    return breaches


RULES = [import_breaches, init_breaches, include_breaches, size_breaches]


@pytest.mark.parametrize("rule", RULES)
def test_the_tree_keeps_the_rule(rule: Callable[[Path], list[str]]) -> None:
    assert rule(ROOT) == []


def test_there_is_a_tree_to_look_at() -> None:
    assert len(list((ROOT / "python" / "fxsim").rglob("*.py"))) > 30
    assert {path.name for path in (ROOT / "cpp").iterdir()} >= {"numbers", "rounding", "kernels", "bindings"}


BREACHES = [
    (import_breaches, "python/fxsim/formats.py", "import fxsim.ops.linear", "floor 0 and imports fxsim.ops.linear"),
    (import_breaches, "python/fxsim/ops/a.py", "def f():\n    from fxsim.nn import Linear", "a.py:2 is on floor 4"),
    (import_breaches, "python/fxsim/ops/a.py", "from fxsim import nn", "imports fxsim.nn from floor 5"),
    (import_breaches, "python/fxsim/ops/a.py", "import fxsim as fx", "imports fxsim from floor 11"),
    (import_breaches, "python/fxsim/ops/a.py", "from fxsim import Format", "imports fxsim from floor 11"),
    (import_breaches, "python/fxsim/ops/a.py", "from . import b", "imports . relatively"),
    (import_breaches, "python/fxsim/ops/a.py", "from ..formats import Format", "imports ..formats relatively"),
    (import_breaches, "python/fxsim/nn/a.py", "from fxsim import _core", "only fxsim.ops may"),
    (import_breaches, "python/fxsim/isa.py", "from fxsim._core import isa_force", "only fxsim.ops may"),
    (import_breaches, "python/fxsim/policies/a.py", "from fxsim.nn import layers", "policies import floor 0 only"),
    (import_breaches, "python/fxsim/cost/a.py", "from fxsim.train import loop", "floor 7 and imports fxsim.train"),
    (import_breaches, "python/fxsim/extra/a.py", "from fxsim import formats", "fxsim.extra.a has no floor"),
    (import_breaches, "python/fxsim/ops/a.py", "import fxsim.extra", "fxsim.extra, which has no floor"),
    (init_breaches, "python/fxsim/ops/__init__.py", "TABLE = {}", "ops/__init__.py:1 works"),
    (init_breaches, "python/fxsim/__init__.py", '"""Doc."""\nimport os\nos.sync()', "__init__.py:3 works"),
    (include_breaches, "cpp/numbers/a.hpp", '#include "rounding/b.hpp"', "floor 0 and includes rounding/b.hpp"),
    (include_breaches, "cpp/kernels/isa/a.cpp", '#  include "bindings/b.hpp"', "floor 2 and includes bindings"),
    (include_breaches, "cpp/kernels/a.hpp", '#include "../numbers/b.hpp"', "write its path from cpp/"),
    (include_breaches, "cpp/kernels/a.hpp", '#include "b.hpp"', "write its path from cpp/"),
    (include_breaches, "cpp/kernels/a.hpp", "#include <numbers/b.hpp>", "our own headers are written"),
    (include_breaches, "cpp/rounding/a.hpp", "#include <pybind11/numpy.h>", "only bindings may"),
    (include_breaches, "cpp/bindings/a.cpp", "#include <torch/extension.h>", "the core knows no torch"),
    (include_breaches, "cpp/extra/a.cpp", "", "cpp/extra/a.cpp has no floor"),
    (size_breaches, "tests/long.py", "\n" * 501, "tests/long.py has 501 lines"),
]


@pytest.mark.parametrize(("rule", "path", "text", "breach"), BREACHES)
def test_each_rule_finds_its_breach(
    rule: Callable[[Path], list[str]], path: str, text: str, breach: str, tmp_path: Path
) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    (tmp_path / "cpp").mkdir(exist_ok=True)
    [found] = rule(tmp_path)
    assert breach in found


def test_what_the_rules_allow_is_not_reported(tmp_path: Path) -> None:
    files = {
        "python/fxsim/__init__.py": '"""Doc."""\nfrom fxsim.ops.a import f\n__all__ = ["f"]',
        "python/fxsim/ops/a.py": "import torch\nfrom fxsim import _core, formats\nfrom fxsim.ops.b import g",
        "python/fxsim/policies/a.py": "from fxsim.rng import Key\nfrom fxsim.policies.base import Policy",
        "python/fxsim/cli/main.py": "from fxsim.train import loop",
        "cpp/kernels/a.hpp": '#include <cstdint>\n#include "kernels/b.hpp"\n#include "rounding/c.hpp"',
        "cpp/bindings/a.cpp": "#include <pybind11/numpy.h>",
        "cpp/tests/a.cpp": '#include "kernels/a.hpp"\n#include "tests/catch.hpp"',
        "tests/a.py": "\n" * 500,
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert [breach for rule in RULES for breach in rule(tmp_path)] == []


def test_importing_fxsim_loads_nothing_heavy() -> None:
    program = f"import sys, fxsim; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
