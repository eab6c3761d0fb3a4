"""The page of a run that was scored and not studied: experts and cards, whatever labels mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mechsteer.artifacts.atomic import write_bytes
from mechsteer.artifacts.files import write_table
from mechsteer.cards import Cards
from mechsteer.display import count, number
from mechsteer.experts.scores import NeuronScores
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.facts import name_of, spelled
from mechsteer.reporting.names import brief
from mechsteer.reporting.page import assemble, fill
from mechsteer.reporting.sections import SECTIONS
from mechsteer.reporting.settled import compacted
from mechsteer.studies.detail_tables import expert_overlap, experts_per_layer
from mechsteer.studies.results import COLUMNS

K = 100  # experts of each label on the page, and at most a tenth of all neurons
SHOWN = ("experts-section", "cards", "definitions", "reproduce")
_MOST = 40  # labels that are listed with the number of their sentences


def scored_report(
    scores: NeuronScores,
    path: str | Path,
    *,
    command: str = "ms.reporting.scored_report(scores, path)",
    manifest: Mapping[str, Any] | None = None,
    cards: Cards | None = None,
    survival: pd.DataFrame | None = None,
) -> Path:
    """Write the page of some scores: one HTML file that opens from disk and loads nothing.

    The full tables lie beside the page as Parquet, ``PAGE.TABLE.parquet``, and the page links them.

    Args:
        scores: of every neuron.
        path: the file to write; replaced in one step.
        command: what to type to get the same numbers again.
        manifest: provenance to show whole.
        cards: of some neurons, see ``mechsteer.cards``.
        survival: the table of ``ms.experts.survival``.
    """
    path = Path(path)
    data = _data(scores, manifest or {}, command, cards, survival)
    beside = cards.tables if cards else {}
    frames = {"experts": data.experts, "counts": data.counts} | {
        f"cards.{name}": frame for name, frame in beside.items()
    }
    links = {name: f"{path.stem}.{name}.parquet" for name in frames}
    for name, frame in frames.items():
        write_table(path.parent / links[name], frame.rename(columns={"language": data.kind}))
    write_bytes(path, _render(scores, compacted(data, tables=links)).encode())
    return path


def said(scores: NeuronScores) -> str:
    """The best neurons of all, in one sentence.

    Chance is that of one neuron; the best of many is better by chance alone, so their number is
    said beside it.
    """
    best = [float(scores.ap[scores.row(name)].max()) for name in scores.languages]
    chance = [scores.prevalence(name) for name in scores.languages]
    one = "each" if len(best) > 1 else scores.languages[0]
    first = f"The best of {scores.site.n_neurons:,} neurons of {one} has AP {_span(best)}"
    return f"{first}; one has {_span(chance)} by chance"


def _data(
    scores: NeuronScores,
    manifest: Mapping[str, Any],
    command: str,
    cards: Cards | None,
    survival: pd.DataFrame | None,
) -> ReportData:
    k = max(1, min(K, scores.site.n_neurons // 10))
    tops = [
        scores.top(name, k).table().assign(prevalence=scores.prevalence(name))
        for name in scores.languages
    ]
    experts = pd.concat(tops, ignore_index=True)
    return ReportData(
        manifest=manifest,
        results=pd.DataFrame(columns=[*COLUMNS]),
        experts=experts,
        counts=experts_per_layer(scores, k),
        chosen_layer={},
        n_layers=_layers(scores),
        n_sentences=scores.n_sentences,
        command=command,
        overlap=expert_overlap(scores, k),
        cards=cards,
        survival=survival,
        label=scores.label,
    )


def _layers(scores: NeuronScores) -> int:
    """How many layers the site reaches up to, of both stacks together."""
    last: dict[str, int] = {}
    for point in scores.site.points:
        last[point.stack] = max(last.get(point.stack, 0), point.layer + 1)
    return sum(last.values())


def _render(scores: NeuronScores, data: ReportData) -> str:
    about = scores.label or "languages"
    model = brief(name_of(scores.model.name if scores.model else "a model"))
    run = next(section for section in SECTIONS if section.key == "run")
    shown = [(section, section.made(data)) for section in SECTIONS if section.key in SHOWN]
    return assemble(
        title=f"{model}: experts of {brief(about)}",
        headline=said(scores),
        n_layers=data.n_layers,
        kinds=data.kinds.capitalize(),
        measure=f"Average precision over {scores.n_sentences:,} sentences, each {data.kind} told "
        "from all others.",
        sections=[
            (run, fill("sections/run.html", facts=_facts(scores, data))),
            *(
                (section, fill(f"sections/{section.key}.html", **made))
                for section, made in shown
                if made is not None
            ),
        ],
    )


def _facts(scores: NeuronScores, data: ReportData) -> dict[str, str]:
    """What was run, in the words a reader asks for it."""
    named = str if scores.label else spelled
    points = [(point.stack, point.layer) for point in scores.site.points]
    counted = zip(scores.languages, scores.counts, strict=True)
    listed = [f"{brief(named(name))} ({count:,})" for name, count in counted]
    more = [f"{len(listed) - _MOST} more"] if len(listed) > _MOST else []
    return {
        "Model": scores.model.name if scores.model else "–",
        **({"Label": scores.label} if scores.label else {}),
        f"{data.kinds.capitalize()} (sentences)": ", ".join([*listed[:_MOST], *more]),
        "Sentences": f"{scores.n_sentences:,}",
        "Neurons": f"{scores.site.n_neurons:,} of site {scores.site.name} in "
        f"{count(len(set(points)), 'layer')}, {scores.pooling}-pooled",
        "Study": "none was run: no edit was measured",
    }


def _span(shares: list[float]) -> str:
    ends = dict.fromkeys(number(share, ".2f") for share in (min(shares), max(shares)))
    return " to ".join(ends)
