"""Which pictures the page shows, each with its caption and its data as drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from mechsteer import plots
from mechsteer.plots.marks import effect_limits
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.svg import inline
from mechsteer.reporting.tables import csv_text
from mechsteer.studies.conditions import names
from mechsteer.studies.places import ordered, spoken
from mechsteer.studies.results import arms_of, chance, distance_rows, each_series

CURVES = {
    "retrieval_top1": "Top-1 retrieval, mean over all ordered language pairs.",
    "retrieval_top1.delta": "Change of top-1 retrieval against no edit.",
    "mexa": "MEXA alignment, mean over all ordered language pairs.",
    "mexa.delta": "Change of MEXA against no edit.",
}


@dataclass(frozen=True)
class Figure:
    """Panels side by side, what they show, and what they draw as CSV, by name."""

    key: str
    title: str
    caption: str
    panels: tuple[Markup, ...]
    data: Mapping[str, str]
    width: str  # narrow | medium | wide | matrix: what a panel asks for
    languages: tuple[str, ...] = ()  # whose each panel is, where panels are of languages
    runs: tuple[str, ...] = ()  # whose each panel is, where panels are of runs
    metric: str = ""  # what it draws, where it is one metric


def effect_figure(data: ReportData, effects: pd.DataFrame) -> Figure | None:
    """Change at the best layer, the last block and the final norm: one row a steered language."""
    if effects.empty:
        return None
    headings = {place: f"At {spoken(place)}" for place in ordered(effects["place"])}
    limits = effect_limits([effects])
    panels = tuple(
        inline(
            plots.effects(effects[effects["place"] == place], heading=heading, limits=limits),
            key=f"effect-{place}",
            alt=f"{heading}: change of top-1 retrieval against no edit, "
            f"for {len(data.steered)} steered languages and every edit.",
        )
        for place, heading in headings.items()
    )
    seeds = int(effects["seeds"].max())
    return Figure(
        key="effect",
        title="Change of top-1 retrieval against no edit, mean over all ordered language pairs.",
        caption=f"Bars are {data.confidence:.0%} confidence intervals; for random neurons, the "
        f"range of seeds. {_by_luck(seeds)}",
        panels=panels,
        data={"effect": csv_text(effects)},
        width="wide",
    )


def _by_luck(seeds: int) -> str:
    """How little a range of few seeds proves: one more draw leaves it with chance 2/(seeds+1)."""
    if seeds < 2:
        return ""
    return (
        f"One more random draw would itself fall outside the range of {seeds} seeds "
        f"{2 / (seeds + 1):.0%} of the time."
    )


def curves_figure(data: ReportData, metric: str, *, title: str) -> Figure:
    """One metric in every layer: base, edits and controls, one panel a steered language."""
    level = chance(metric, data.n_sentences)
    dotted = " Dotted: chance." if level is not None else ""
    panels = tuple(
        inline(
            plots.curves(
                data.shown,
                metric=metric,
                language=code,
                chance=level,
                chosen=data.chosen_layer.get(code),
            ),
            key=f"{metric}-{i}",
            alt=f"{title} Steered language {code}: no edit, edits and controls in every layer.",
        )
        for i, code in enumerate(data.drawn)
    )
    return Figure(
        key=metric,
        title=title,
        caption=f"Bands: {data.confidence:.0%} confidence intervals; for random neurons, mean and "
        f"range of seeds.{dotted} Vertical line: the best layer on dev.{data.undrawn}",
        panels=panels,
        data={metric: csv_text(pd.concat([as_drawn(data.shown, c, metric) for c in data.drawn]))},
        width="medium",
        languages=tuple(data.drawn),
        metric=metric.removesuffix(".delta"),
    )


def distances_figure(data: ReportData) -> Figure:
    """The paper's three distances, stacked, one panel a steered language."""
    panels, tables = [], []
    for i, code in enumerate(data.drawn):
        rows = distance_rows(data.shown, code)
        axes = plots.distances(data.shown, language=code)
        alt = f"Three cosine distances in every layer, steered language {code}."
        panels.append(inline(axes[0], key=f"distance-{i}", alt=alt))
        tables += [as_drawn(rows, code, metric) for metric in plots.DISTANCES]
    title = "The three cosine distances of the paper: 1 − cos, smaller is closer."
    return Figure(
        key="distances",
        title=title,
        caption="Between translations, mean over pairs of languages; between language means and "
        f"their medoid; between the other languages' means and the steered one's.{data.undrawn}",
        panels=tuple(panels),
        data={"distances": csv_text(pd.concat(tables))},
        width="medium",
        languages=tuple(data.drawn),
        metric="distances",
    )


def as_drawn(results: pd.DataFrame, language: str, metric: str) -> pd.DataFrame:
    """Values and bands of one panel of curves: one row a layer, three columns an edit."""
    called = names(arms_of(results))
    lines = {
        called[arm]: line.set_index("layer")
        for arm, line in each_series(results, language=language, metric=metric).items()
    }
    wide = pd.DataFrame(
        {
            name if part == "value" else f"{name} {part}": line[part]
            for name, line in lines.items()
            for part in ("value", "low", "high")
            if line[part].notna().any()
        }
    )
    keys = {"language": language, "metric": metric, "layer": wide.index}
    return pd.concat(
        [pd.DataFrame(keys).reset_index(drop=True), wide.reset_index(drop=True)], axis=1
    )
