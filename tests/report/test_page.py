from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fxsim.report import colours, page
from fxsim.report.load import RunData, load
from fxsim.train.lines import TrainLine
from fxsim.train.runfolder import RunFolder

MakeUp = Callable[..., RunFolder]

VOID = {"meta", "br", "rect", "line", "polyline"}


class Checker(HTMLParser):
    """Collects what a page refers to, and whether every element that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID or (tag == "rect" and not self.get_starttag_text().endswith("/>")):  # type: ignore[union-attr]
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


@pytest.fixture
def data(made_up: MakeUp, tmp_path: Path) -> RunData:
    return load(made_up(tmp_path / "run"))


def test_the_page_is_well_formed_and_refers_to_nothing_outside(data: RunData) -> None:
    text = page.render(data)
    checker = Checker(text)
    assert checker.open == []
    assert not checker.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "use"}
    referring = {"src", "href", "xlink:href", "srcset", "action", "data", "background", "poster"}
    assert [each for each in checker.attributes if each[1] in referring or each[1].startswith("on")] == []
    assert not re.search(r"https?:|//[a-z]|url\(|@import|@font-face", text)


def test_the_page_has_every_section(data: RunData) -> None:
    text = page.render(data)
    headings = re.findall(r"<h2>(.*?)</h2>", text)
    assert headings == [
        "Learning",
        "Word lengths: adapt",
        "Zero weights: adapt",
        "Overflow events: adapt",
        "Mean word length",
        "Cost relative to float32",
        "How to repeat this run",
    ]
    labels = re.findall(r'aria-label="(.*?)"', text)
    assert labels == [
        "Accuracy over steps",
        "Loss over steps",
        "Word length of each layer over time",
        "Fractional length of each layer over time",
        "Zero weights of each layer over time",
        "Overflow events a step of each layer over time",
        "Mean word length over steps",
        "Bit-operations relative to float32",
    ]
    assert "<title>LeNet-5 on digits under AdaPT</title>" in text


def test_the_page_carries_the_configuration(data: RunData) -> None:
    text = page.render(data)
    assert "fxsim train --config config.toml --out NEW_FOLDER" in text
    assert "learning_rate = 0.03" in text
    assert "torch_build = &#34;abc&#34;" in text


def test_a_format_that_holds_is_one_cell(data: RunData) -> None:
    text = page.render(data)
    (drawing,) = re.findall(r'aria-label="Word length of each layer over time">(.*?)</svg>', text, re.DOTALL)
    titles = re.findall(r"<title>(.*?)</title>", drawing)
    spans = data.logs[0].spans()
    expected = [
        f"{layer}: {span.format}, steps {span.first:,}–{span.last:,}".replace("<", "&lt;").replace(">", "&gt;")
        for layer, row in spans.items()
        for span in row
    ]
    assert [title for title in titles if "steps" in title] == expected


def test_an_unfinished_run_has_a_page(made_up: MakeUp, tmp_path: Path) -> None:
    text = page.render(load(made_up(tmp_path / "run", finished=False)))
    assert Checker(text).open == []
    assert "finalized</text>" not in text


def test_a_run_of_no_steps_has_a_page(made_up: MakeUp, tmp_path: Path) -> None:
    text = page.render(load(made_up(tmp_path / "run", 1, finished=False, steps=0)))
    assert "The run is not over" in text
    assert Checker(text).open == []


def test_a_run_without_overflow_says_so(data: RunData) -> None:
    calm = tuple(dataclasses.replace(line, overflow_by_layer={}, overflow_events=0) for line in data.logs[0].train)
    log = dataclasses.replace(data.logs[0], train=calm)
    assert "None: no value of the run left the range" in page.render(dataclasses.replace(data, logs=(log,)))


def test_a_run_that_did_not_count_has_no_costs(data: RunData) -> None:
    def silent(line: TrainLine) -> TrainLine:
        return dataclasses.replace(
            line, macs=None, bit_operations=None, overflow_events=None, overflow_by_layer={}, counts={}
        )

    log = dataclasses.replace(data.logs[0], train=tuple(map(silent, data.logs[0].train)), counts=None)
    config = dataclasses.replace(data.config, count=False)
    text = page.render(dataclasses.replace(data, logs=(log,), config=config))
    assert "Cost relative to float32" not in text
    assert "The run did not count." in text


def test_names_are_escaped(data: RunData) -> None:
    def renamed(line: TrainLine) -> TrainLine:
        return dataclasses.replace(
            line,
            word_lengths={"<script>": (8, 4)},
            sparsity_by_layer={"<script>": 0.5},
            overflow_by_layer={"<script>": 2},
        )

    log = dataclasses.replace(data.logs[0], train=tuple(map(renamed, data.logs[0].train)), switches=(), test=())
    text = page.render(dataclasses.replace(data, logs=(log,)))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_the_page_is_the_same_each_time(made_up: MakeUp, tmp_path: Path) -> None:
    folder = made_up(tmp_path / "run")
    page.write(folder)
    first = folder.report.read_bytes()
    page.write(folder)
    assert folder.report.read_bytes() == first


def test_a_page_of_many_networks_is_about_all_of_them(data: RunData) -> None:
    adapt, plain = data.logs
    names = ("a", "b", "c", "d", "e")
    logs = tuple(
        dataclasses.replace(adapt if name != "e" else plain, recipe=dataclasses.replace(adapt.recipe, name=name))
        for name in names
    )
    unfinished = dataclasses.replace(logs[0], test=())
    config = dataclasses.replace(data.config, recipes=tuple(log.recipe for log in logs))
    text = page.render(RunData(config, (unfinished, *logs[1:])))
    assert "<h1>LeNet-5 on digits under 5 policies</h1>" in text
    assert "4 of 5 networks tell between" in text
    assert set(re.findall(r"background:(hsl[^\"]*)", text)) == set(colours.series(5))
    assert len(set(colours.series(16))) == 16
    nothing = tuple(dataclasses.replace(log, test=()) for log in logs)
    assert "The run is not over" in page.render(RunData(config, nothing))
