"""Pages point at things that exist, and their examples run."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")] if path.exists())

_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
_PATH = re.compile(r"`((?:python|cpp|tests|docs|bench)/[^`\s]*)`")
_PLACEHOLDER = re.compile(r"NAME|\*|<")


def dangling(page: Path, root: Path) -> list[str]:
    """Links and back-quoted paths of a page that lead nowhere."""
    text = page.read_text()
    links = [link for link in _LINK.findall(text) if "://" not in link and not link.startswith("mailto:")]
    paths = [path for path in _PATH.findall(text) if not _PLACEHOLDER.search(path)]
    return [link for link in links if not (page.parent / link).exists()] + [
        path for path in paths if not (root / path).exists()
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    assert dangling(page, ROOT) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_give_what_they_show(page: Path) -> None:
    assert doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS).failed == 0


def test_dangling_links_and_paths_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](gone.md#part) [c](https://example.org/x) `cpp/gone.hpp` `docs/NAME.md` `there.md`"
    )
    assert dangling(page, tmp_path) == ["gone.md", "cpp/gone.hpp"]


def without_test(page: Path, root: Path) -> list[str]:
    """Tests that a table names, file and test, and that are not there."""
    rows = re.findall(r"\| `(tests/[\w/]+\.py)` \| `(test_\w+)` \|", page.read_text())
    return [name for file, name in rows if f"def {name}(" not in (root / file).read_text()]


def test_published_numbers_are_tested_where_the_page_says() -> None:
    page = ROOT / "docs" / "policies" / "published.md"
    assert page.read_text().count("| `test_") >= 35
    assert without_test(page, ROOT) == []


def test_a_row_without_its_test_is_found(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("def test_b() -> None: ...\n")
    page = tmp_path / "page.md"
    page.write_text("| x | `tests/test_a.py` | `test_b` |\n| y | `tests/test_a.py` | `test_bc` |\n")
    assert without_test(page, tmp_path) == ["test_bc"]
