"""Nothing is half there: what one place names, the others must know.

Each rule is a function from what is named to what is missing, and is shown to miss something that is not there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from fxsim import ops, reference
from fxsim.cost.accelerators import PRESETS
from fxsim.cost.accelerators.engines import ENGINES
from fxsim.cost.counting import count
from fxsim.cost.detail import Detail, GroupHistogram
from fxsim.cost.work import Work
from fxsim.formats import Format
from fxsim.ops.records import FLOAT32, OpRecord
from fxsim.ops.registry import OPS, Op
from fxsim.policies.table import POLICIES
from fxsim.reference import overflow_raw, round_real
from fxsim.rounding import OVERFLOWS, ROUNDINGS, TAILS, Stochastic

ROOT = Path(__file__).parents[1]

INTEGER_FUNCTIONS = ("quantize", "requantize", "matmul", "linear", "conv2d")
WITHOUT_MODULE = ("quantize",)  # it serves gradients and users; modules call quantize_layer


def spec_rows(root: Path) -> set[str]:
    """Names in the first column of the tables of the specification."""
    pages = (root / "docs" / "spec").rglob("*.md")
    return {name for page in pages for name in re.findall(r"^\|\s*`(\w+)`", page.read_text(), re.MULTILINE)}


def without_row(names: Iterable[str], root: Path = ROOT) -> list[str]:
    return sorted(set(names) - spec_rows(root))


def type_list(header: Path, alias: str, member: str = "name") -> list[str]:
    """A member's text for each type of a C++ type list, repetitions left out; types without it are skipped."""
    text = header.read_text()
    types = re.search(rf"using {alias} = std::tuple<([^;]*)>;", text)
    assert types, f"{header} has no type list {alias}"
    found: list[str] = []
    for name in re.findall(r"\w+", types[1]):
        body = re.search(rf"struct {name}\b.*?^}};", text, re.DOTALL | re.MULTILINE)
        assert body, f"{header} has no struct {name}"
        value = re.search(rf'{member} = "(\w+)"', body[0])
        if value and value[1] not in found:
            found.append(value[1])
    return found


def without_reference(roundings: Iterable[str], overflows: Iterable[str]) -> list[str]:
    missing = []
    for name in roundings:
        try:
            round_real(Fraction(1, 4), name, u=0)
        except (AssertionError, ValueError):
            missing.append(name)
    for name in overflows:
        try:
            overflow_raw(1000, Format(8, 0), name)
        except (AssertionError, ValueError):
            missing.append(name)
        except OverflowError:
            pass
    return missing


def without_page(folder: str, names: Iterable[str], root: Path = ROOT) -> list[str]:
    return [name for name in names if not (root / "docs" / folder / f"{name}.md").is_file()]


def unspecified(names: Iterable[str], root: Path = ROOT) -> list[str]:
    """Ops that no page of the ops' specification names in code type."""
    text = "".join(page.read_text() for page in (root / "docs" / "spec" / "ops").glob("*.md"))
    return sorted(name for name in set(names) if not re.search(rf"`(fx\.|fxsim::|torch\.ops\.fxsim\.)?{name}\b", text))


def published(op: Op) -> list[OpRecord]:
    """What an op's samples publish."""
    with count(keep_order=True, floats=False) as counts:
        for arguments in op.samples():
            ops_before = len(counts.ordered)
            with torch.no_grad():
                getattr(torch.ops.fxsim, op.name)(*arguments)
            assert (len(counts.ordered) > ops_before) == bool(op.counts), f"{op.name} publishes against its count rule"
    counts.check()
    return list(counts.ordered)


def accelerator_rows(root: Path = ROOT) -> dict[str, tuple[str, int]]:
    """Engine and check value of each preset that the page of accelerators has a row for."""
    page = root / "docs" / "hardware" / "accelerators.md"
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|.*\| (\d+) \|$", page.read_text(), re.MULTILINE)
    return {name: (kind, int(cycles)) for name, kind, cycles in rows}


def check_work() -> Work:
    """The GEMM of the page's check values: no zeros, every value of 8 bits, 7 of them set."""
    m, n, k = 100, 300, 200
    groups = -(-m // 16) * -(-k // 16)
    bits, ones = (GroupHistogram(16, 16, groups * np.eye(65, dtype=np.int64)[[each]]) for each in (8, 7))
    detail = Detail(a_row_nnz=np.full(m, k), a_needed_bits=bits, a_set_bits=ones)
    return dataclasses.replace(Work.dense(m, n, k), detail=detail)


def unlisted_units(root: Path = ROOT) -> set[str]:
    """Instruction sets with a translation unit but no row in the table, or the other way round."""
    folder = root / "cpp" / "kernels" / "isa"
    rows = re.findall(r'Isa\{"(\w+)", &\w+, &\w+\}', (folder / "list.hpp").read_text())
    assert rows, "isa/list.hpp has no table kIsas"
    return set(rows) ^ {unit.stem for unit in folder.glob("*.cpp")}


def test_every_rounding_and_overflow_mode_has_a_row_in_the_specification() -> None:
    assert without_row([*ROUNDINGS, *OVERFLOWS, *TAILS]) == []


def test_every_rounding_and_overflow_mode_has_a_reference() -> None:
    assert without_reference(ROUNDINGS, OVERFLOWS) == []
    assert [round_real(Fraction(1, 4), Stochastic(8, tail), u=0) for tail in TAILS] == [0, 0, 0]


def test_every_rounding_and_overflow_mode_has_a_functor_in_the_same_order() -> None:
    roundings = ROOT / "cpp" / "rounding" / "roundings.hpp"
    assert tuple(type_list(roundings, "Roundings")) == ROUNDINGS
    assert tuple(type_list(roundings, "Roundings", "tail")) == TAILS
    assert tuple(type_list(ROOT / "cpp" / "rounding" / "overflows.hpp", "Overflows")) == OVERFLOWS


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_op_has_a_page(op: Op) -> None:
    assert unspecified([op.name, *op.integer]) == []


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_op_has_samples_a_module_a_reference_and_an_integer_face(op: Op) -> None:
    assert list(op.samples())
    assert op.module or op.name in WITHOUT_MODULE
    if op.counts:
        assert op.kernel
        assert [name for name in op.reference if not hasattr(reference, name)] == []
        assert op.reference
        assert [name for name in op.integer if not hasattr(ops, name)] == []
        assert bool(op.integer) == (op.counts != "float")


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_op_publishes_what_its_count_rule_says(op: Op) -> None:
    for record in published(op):
        assert record.elements_written > 0
        if op.counts == "elementwise":
            assert (record.k, record.macs, record.elements_written) == (0, 0, record.m)
        if op.counts == "float":
            assert (record.k, record.macs, record.a, record.output) == (0, 0, FLOAT32, FLOAT32)
    if op.counts == "product":
        assert any(record.macs for record in published(op))


def test_every_integer_function_has_a_page() -> None:
    assert unspecified(INTEGER_FUNCTIONS) == []


def test_every_policy_has_a_page() -> None:
    assert without_page("policies", POLICIES) == []


def without_run(names: Iterable[str], root: Path = ROOT) -> list[str]:
    """Policies without a row in the table of runs, without a plot, or whose page does not show it."""
    folder = root / "docs" / "policies"
    rows = set(re.findall(r"^\| \[(\w+)\]", (folder / "README.md").read_text(), re.MULTILINE))
    pages = {name: (folder / f"{name}.md").read_text() for name in names}
    shown = {name for name, page in pages.items() if f"(plots/{name}.svg)" in page}
    return [name for name in pages if not (name in rows & shown and (folder / "plots" / f"{name}.svg").is_file())]


def test_every_policy_has_a_row_in_the_table_of_runs_and_shows_its_plot() -> None:
    assert without_run(POLICIES) == []


def test_a_policy_without_a_run_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "docs" / "policies"
    (folder / "plots").mkdir(parents=True)
    (folder / "README.md").write_text("| [a](a.md) | 1 |\n| [c](c.md) | 1 |\n| [d](d.md) | 1 |\n")
    for name in "abcd":
        (folder / f"{name}.md").write_text("" if name == "c" else f"![run](plots/{name}.svg)")
    for name in "abc":
        (folder / "plots" / f"{name}.svg").touch()
    assert without_run("abcd", tmp_path) == ["b", "c", "d"]


@pytest.mark.parametrize("name", PRESETS)
def test_every_accelerator_preset_has_a_row_sources_and_a_check_value(name: str) -> None:
    machine = PRESETS[name].build()
    assert accelerator_rows().get(name) == (machine.engine.kind, machine.price(check_work()).row(0).cycles)
    assert {"engine", "memory"} <= dict(machine.sources).keys()
    assert PRESETS[name].summary


def test_every_kind_of_engine_has_a_preset() -> None:
    assert set(ENGINES) == {preset.build().engine.kind for preset in PRESETS.values()}


def test_every_instruction_set_is_in_the_table() -> None:
    assert unlisted_units() == set()


def test_an_op_that_no_page_names_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs" / "spec" / "ops").mkdir(parents=True)
    (tmp_path / "docs" / "spec" / "ops" / "a.md").write_text("# `linear`, `fx.conv2d(x, w)`\nmatmul, `linear_dgrad`")
    names = ["linear", "conv2d", "matmul", "linear_wgrad", "linear_dgrad"]
    assert unspecified(names, tmp_path) == ["linear_wgrad", "matmul"]


def test_an_op_that_breaks_its_count_rule_is_found() -> None:
    silent = dataclasses.replace(next(op for op in OPS if op.counts), counts="")
    with pytest.raises(AssertionError, match="publishes against its count rule"):
        published(silent)


def test_the_rules_miss_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "docs" / "spec").mkdir(parents=True)
    (tmp_path / "docs" / "spec" / "a.md").write_text("| `floor` | never |\n`ceil` and | x | `wrap` |\n")
    assert without_row(["floor", "ceil", "wrap"], tmp_path) == ["ceil", "wrap"]
    assert without_reference(["floor", "sideways"], ["wrap", "explode"]) == ["sideways", "explode"]
    assert without_page("spec", ["a", "b"], tmp_path) == ["b"]


def test_an_accelerator_without_a_row_is_found(tmp_path: Path) -> None:
    (tmp_path / "docs" / "hardware").mkdir(parents=True)
    page = tmp_path / "docs" / "hardware" / "accelerators.md"
    page.write_text("| `tpu` | `systolic` | big | us | 7 |\n| `unpu` | no number |\nskipping\n")
    assert accelerator_rows(tmp_path) == {"tpu": ("systolic", 7)}


def test_type_lists_are_read_as_they_are_written(tmp_path: Path) -> None:
    header = tmp_path / "list.hpp"
    header.write_text(
        'struct A {\n  name = "a";\n};\nstruct B {\n  name = "b";\n  tail = "t";\n};\nstruct C {\n  name = "c";\n};\n'
        "using List = std::tuple<B,\n    A>;\n"
    )
    assert type_list(header, "List") == ["b", "a"]
    assert type_list(header, "List", "tail") == ["t"]
    with pytest.raises(AssertionError, match="no type list Other"):
        type_list(header, "Other")


def test_an_instruction_set_without_a_row_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "cpp" / "kernels" / "isa"
    folder.mkdir(parents=True)
    (folder / "list.hpp").write_text(
        'std::array kIsas{Isa{"portable", &always, &kPortable}, Isa{"neon", &has_neon, &kNeon}};'
    )
    for unit in ("portable", "avx2"):
        (folder / f"{unit}.cpp").write_text("")
    assert unlisted_units(tmp_path) == {"neon", "avx2"}
