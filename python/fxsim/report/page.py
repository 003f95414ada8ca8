"""One run as one HTML file that needs nothing else: no script, no font, no image from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final, final

import jinja2
from markupsafe import Markup

from fxsim.cost.accelerators import Accelerator
from fxsim.report import costs, figures, summary, tables
from fxsim.report.cost_section import section
from fxsim.report.load import RunData, RunLog, load
from fxsim.report.summary import Summary, summarize
from fxsim.report.tables import Table
from fxsim.report.text import percent_text
from fxsim.train.runfolder import RunFolder, write_atomically

_MODEL_NAMES: Final = {"lenet5": "LeNet-5", "alexnet": "AlexNet", "resnet20": "ResNet20"}
_FEW: Final = 2
"""Networks of a run that is about the first of them, with a baseline beside it."""

_POLICY_NAMES: Final = {"adapt": "AdaPT", "static": "a static format", "float32": "float32"}


@final
@dataclass(frozen=True, slots=True)
class Network:
    """The sections of a page about one network that is not floating point."""

    name: str
    word_lengths: Markup
    fractional_lengths: Markup
    sparsity: Markup
    overflows: Markup
    switches: Table
    cost_by_pass: Table
    cost_by_layer: Table
    uncounted: str
    analytic: Table | None
    sakr: Table | None


def write(folder: RunFolder) -> None:
    """Write report.html into the run folder.

    Raises:
        ValueError: the folder's files hold something else than a run leaves.
    """
    write_atomically(folder.report, render(load(folder), costs.accelerators(folder)))


def render(data: RunData, machines: Sequence[Accelerator] = ()) -> str:
    """The page of a run, finished or under way. machines: what its products are priced on."""
    source = resources.files("fxsim.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    summaries = {log.name: summarize(log) for log in data.logs}
    return environment.from_string(source).render(
        title=_title(data),
        data=data,
        sentence=_sentence(list(summaries.values())),
        palette=figures.colour_of(data),
        table=summary.table(data),
        accuracy=Markup(figures.accuracy(data)),
        loss=Markup(figures.loss(data)),
        mean_word_lengths=Markup(figures.mean_word_lengths(data)),
        cost_bars=Markup(figures.cost_bars(tables.cost_bars(data))),
        networks=[_network(log) for log in data.logs if log.train and log.train[-1].word_lengths],
        hardware=section(data, machines),
        backward_share=percent_text(tables.backward_share(data.logs[0]), 0),
        config=data.config.to_toml(),
    )


def _network(log: RunLog) -> Network:
    return Network(
        name=log.name,
        word_lengths=Markup(figures.word_lengths(log)),
        fractional_lengths=Markup(figures.fractional_lengths(log)),
        sparsity=Markup(figures.sparsity(log)),
        overflows=Markup(figures.overflows(log)),
        switches=tables.switches(log),
        cost_by_pass=tables.cost_by_pass(log),
        cost_by_layer=tables.cost_by_layer(log),
        uncounted=tables.uncounted(log),
        analytic=costs.analytic_table(log),
        sakr=costs.sakr_table(log),
    )


def _title(data: RunData) -> str:
    config = data.config
    if len(config.recipes) > _FEW:
        return f"{_MODEL_NAMES.get(config.model, config.model)} on {config.data} under {len(config.recipes)} policies"
    policy = config.recipes[0].policy
    return f"{_MODEL_NAMES.get(config.model, config.model)} on {config.data} under {_POLICY_NAMES.get(policy, policy)}"


def _sentence_of_many(summaries: list[Summary]) -> str:
    done = sorted((each for each in summaries if each.accuracy == each.accuracy), key=lambda each: each.accuracy)
    if not done:
        return "The run is not over; this page shows it as far as it has come."
    least, most = (f"{percent_text(each.accuracy, 2)} ({each.name})" for each in (done[0], done[-1]))
    return (
        f"Trained on the same batches, {len(done)} of {len(summaries)} networks tell between {least} and {most} of the "
        f"test data right."
    )


def _sentence(summaries: list[Summary]) -> str:
    """The result in a sentence."""
    if len(summaries) > _FEW:
        return _sentence_of_many(summaries)
    first = summaries[0]
    if first.accuracy != first.accuracy:
        return "The run is not over; this page shows it as far as it has come."
    text = f"{percent_text(first.accuracy, 2)} of the test data are told right"
    if first.word_length_final == first.word_length_final and first.word_length_final < 32:
        text += f", with weights of {first.word_length_final:.1f} bits on average"
    if len(summaries) > 1:
        other = summaries[1]
        text += f"; {other.name}, trained beside it on the same batches, reaches {percent_text(other.accuracy, 2)}"
    return text + "."
