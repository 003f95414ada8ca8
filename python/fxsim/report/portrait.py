"""One network beside the baseline in one drawing that stands by itself, for a page of documentation."""

from __future__ import annotations

import math
from typing import Final

from fxsim.report import curves, svg
from fxsim.report.curves import Point, Series
from fxsim.report.load import RunLog
from fxsim.report.text import percent_text

_GAP: Final = 20.0
_HEAD: Final = 30.0
WIDTH: Final = 2 * curves.HALF_WIDTH + _GAP
HEIGHT: Final = curves.HEIGHT + _HEAD

AVERAGED: Final = 40
"""Points of a curve of accuracy; each is a mean over equally many lines."""

_FONT: Final = 'system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif'
_STYLE: Final = (
    "<style>svg{--ink:#16191d;--soft:#5b6470;--rule:#dfe3e8;--axis:#9aa3ad;--one:#2563c9;--other:#d2691e}"
    "@media(prefers-color-scheme:dark){svg{--ink:#e7eaee;--soft:#9aa4b0;--rule:#2c323a;--axis:#616b77;--one:#6ea8fe;"
    "--other:#f0995a}}"
    f".label{{fill:var(--soft);font:12px {_FONT}}}.name{{fill:var(--ink)}}.grid{{stroke:var(--rule)}}"
    ".axis{stroke:var(--axis)}.curve{fill:none;stroke-width:2.2;stroke-linejoin:round}"
    ".faint{stroke-width:1.1;opacity:.45}</style>"
)
_ONE: Final = "var(--one)"
_OTHER: Final = "var(--other)"


def portrait(log: RunLog, baseline: RunLog) -> str:
    """An SVG file: left the accuracy on training batches of a network and of the baseline, right the bits of weights.

    Of the weights' bits the mean over the layers is drawn, and each layer faintly.
    """
    steps = max(log.steps, baseline.steps, 1)
    accuracy = curves.plot(
        [
            Series(baseline.name, _averaged(baseline), _OTHER),
            *([] if log.name == baseline.name else [Series(log.name, _averaged(log), _ONE)]),
        ],
        steps=steps,
        label="Accuracy over steps",
        format_y=lambda value: f"{100 * value:.0f} %",
        lo=0.0,
        hi=1.0,
    )
    layers = _bits(log, _OTHER if log.name == baseline.name else _ONE)
    bits = curves.plot(
        layers,
        steps=steps,
        label="Bits of weights over steps",
        format_y=lambda value: f"{value:.0f}",
        lo=0.0,
        hi=_scale(max((wl for each in layers for _, wl in each.points), default=32.0)),
    )
    right = curves.HALF_WIDTH + _GAP
    content = [
        _STYLE,
        *_keys(log, baseline),
        svg.text(right + 52, 18, "bits of the weights: mean over layers; faint: each layer", "label name"),
        svg.placed(accuracy, 0, _HEAD, curves.HALF_WIDTH, curves.HEIGHT),
        svg.placed(bits, right, _HEAD, curves.HALF_WIDTH, curves.HEIGHT),
    ]
    drawing = svg.svg(WIDTH, HEIGHT, content, f"{log.name} beside {baseline.name}")
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _keys(log: RunLog, baseline: RunLog) -> list[str]:
    content, x = [], 52.0
    for each, colour in ((log, _ONE), (baseline, _OTHER)) if log.name != baseline.name else ((baseline, _OTHER),):
        tested = each.finalized.accuracy if each.finalized else math.nan
        content.append(svg.rect(x, 8, 11, 11, fill=colour))
        content.append(svg.text(x + 17, 18, f"{each.name}: test {percent_text(tested, 2)}", "label name"))
        x += 210.0
    return content


def _scale(bits: float) -> float:
    """The least of 4, 8, 16 ... that holds as many bits."""
    return max(4.0, 2.0 ** math.ceil(math.log2(bits)))


def _averaged(log: RunLog) -> tuple[Point, ...]:
    size = max(1, math.ceil(len(log.train) / AVERAGED))
    groups = [log.train[start : start + size] for start in range(0, len(log.train), size)]
    return tuple((group[-1].step, sum(line.accuracy for line in group) / len(group)) for group in groups)


def _bits(log: RunLog, colour: str) -> list[Series]:
    mean = Series(log.name, tuple((line.step, line.mean_word_length) for line in log.train), colour)
    layers = []
    for name, spans in log.spans().items():
        held = [span for span in spans if span.last >= span.first]  # a switch before the first step ends none
        ends = [point for span in held for point in ((span.first, span.format.wl), (span.last, span.format.wl))]
        layers.append(Series(name, tuple((float(step), float(wl)) for step, wl in ends), colour, faint=True))
    return [*layers, mean]
