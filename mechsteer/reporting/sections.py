"""The sections of the page: one list, and what each of them is made from.

A new section is an entry of ``SECTIONS``, a function from the data to the names that its template
uses (None leaves the section out), and the template ``templates/sections/KEY.html``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mechsteer.reporting import experts, figures, matrices, space
from mechsteer.reporting.cards import CARDS_ON_PAGE, cards_of
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.effects import effects
from mechsteer.reporting.facts import facts, leaves
from mechsteer.reporting.likeness import likeness
from mechsteer.reporting.numbers import fitting, numbers, top_experts
from mechsteer.reporting.tables import table
from mechsteer.reporting.transfers import transfer
from mechsteer.reporting.verdict import sentences

Made = Mapping[str, Any] | None


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        key: its identifier, for links, and the name of its template.
        name: in the contents.
        heading: above it.
        made: what its template uses; None where there is nothing to show.
    """

    key: str
    name: str
    heading: str
    made: Callable[[ReportData], Made]


def _verdict(data: ReportData) -> Made:
    main, every = effects(data), numbers(data)
    shown = fitting(every)
    return {
        "verdict": sentences(data, main),
        "effect": figures.effect_figure(data, main),
        "numbers": table(shown.rename(columns={"layer": "layers passed"}), caption="All effects"),
        "left_out": len(every) - len(shown),
        "confidence": f"{data.confidence:.0%}",
    }


def _experts(data: ReportData) -> Made:
    makers = (experts.experts_figure, experts.ap_figure, experts.overlap_figure)
    return {
        "expert_figures": _drawn(data, *makers),
        "top_experts": top_experts(data),
        "survival": experts.survival_table(data),
        "alone": experts.alone(data),
        "data": data,
    }


def _cards(data: ReportData) -> Made:
    cards = cards_of(data)
    more = max(len(data.cards or ()) - CARDS_ON_PAGE, 0)
    return {"cards": cards, "undrawn_cards": more, "data": data} if cards else None


def _layers(data: ReportData) -> Made:
    measured = set(data.shown["metric"])
    curves = [
        figures.curves_figure(data, metric, title=title)
        for metric, title in figures.CURVES.items()
        if metric in measured
    ]
    return {"curves": curves}


def _dose(data: ReportData) -> Made:
    figure = space.dose_figure(data)
    return {"dose": figure} if figure else None


def _pairs(data: ReportData) -> Made:
    found = _drawn(data, matrices.base_figure, matrices.change_figure)
    return {"matrices": found} if found else None


def _space(data: ReportData) -> Made:
    found = _drawn(data, space.projection_figure, space.hubness_figure)
    return {"space": found} if found else None


def _distances(data: ReportData) -> Made:
    there = (data.shown["metric"] == "distance_pairs").any()
    return {"distances": figures.distances_figure(data)} if there else None


def _reproduce(data: ReportData) -> Made:
    return {
        "command": data.command,
        "tables": {name: quote(address) for name, address in data.tables.items()},
        "provenance": list(leaves(data.manifest)),
    }


SECTIONS = (
    Section("verdict", "Verdict", "What the edit did, compared with its controls", _verdict),
    Section("run", "What was run", "What was run", lambda data: {"facts": facts(data)}),
    Section("experts-section", "Experts", "The experts", _experts),
    Section("cards", "Neuron cards", "Neuron cards", _cards),
    Section("layers", "Layers", "Alignment and retrieval in every layer", _layers),
    Section("dose-section", "Dose", "How much is enough", _dose),
    Section("pairs", "Pairs", "Who is retrieved from whom", _pairs),
    Section("likeness-section", "Who profits", "Which languages profit, and why", likeness),
    Section("transfer-section", "Transfer", "What one language teaches of another", transfer),
    Section("space", "Embedding space", "The embedding space, before and after", _space),
    Section("distance-section", "Distances", "The paper's three distances", _distances),
    Section("definitions", "Definitions", "Definitions", lambda data: {"data": data}),
    Section("reproduce", "Reproduce", "Reproduce", _reproduce),
)


def _drawn(
    data: ReportData, *makers: Callable[[ReportData], figures.Figure | None]
) -> list[figures.Figure]:
    """The figures that there are data for."""
    return [figure for make in makers if (figure := make(data))]
