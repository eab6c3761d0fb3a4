"""Pictures of a comparison: a panel for every run, or for every two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from mechsteer import plots
from mechsteer.plots.marks import effect_limits
from mechsteer.reporting.data import HEADLINE
from mechsteer.reporting.figures import CURVES, Figure, as_drawn
from mechsteer.reporting.runs import Compared
from mechsteer.reporting.svg import inline
from mechsteer.reporting.tables import csv_text
from mechsteer.studies.conditions import Arm
from mechsteer.studies.places import ordered, spoken
from mechsteer.studies.results import of_arm

PANELS = 4  # languages that get curves and doses of their own


def effect_figures(tables: Mapping[str, pd.DataFrame]) -> Iterator[Figure]:
    """What each run changed, by its name: one figure a place, all on one scale."""
    limits = effect_limits(tables.values())
    for place in ordered(place for own in tables.values() for place in own["place"]):
        found = {name: own[own["place"] == place] for name, own in tables.items()}
        rows = {name: own for name, own in found.items() if len(own)}
        panels = tuple(
            inline(
                plots.effects(own, heading=name, limits=limits),
                key=f"beside-{place}-{i}",
                alt=f"{name}, at {spoken(place)}: change of top-1 retrieval against no edit.",
            )
            for i, (name, own) in enumerate(rows.items())
        )
        drawn = pd.concat([own.assign(run=name) for name, own in rows.items()])
        yield Figure(
            key=f"beside-{place}",
            title=f"Change of top-1 retrieval against no edit, at {spoken(place)}.",
            caption="Each run over all its own ordered pairs of languages, on one scale. Bars "
            "are confidence intervals; for random neurons, the range of seeds.",
            panels=panels,
            data={f"beside-{place}": csv_text(drawn)},
            width="wide",
            runs=tuple(rows),
        )


def forest(found: pd.DataFrame) -> Figure | None:
    """Differences of changes at the first place, one panel for every two runs."""
    rows = found[(found["of"] == "change") & (found["metric"] == HEADLINE)]
    if rows.empty:
        return None
    rows = rows[rows["place"] == ordered(rows["place"])[0]]
    rows = rows.assign(value=rows["difference"], language=rows["language"].replace("", "all"))
    panels: list[Markup] = []
    whose: list[str] = []
    for (run, against), own in rows.groupby(["run", "against"], sort=False):
        heading = f"{run} minus {against}"
        axes = plots.effects(own, heading=heading, measured="difference of changes")
        panels.append(inline(axes, key=f"forest-{len(panels)}", alt=f"{heading}, with intervals."))
        whose.append(str(run))
    return Figure(
        key="forest",
        title="Difference of what edits and baselines changed, at the best layer.",
        caption="Bars are 95% intervals: paired bootstraps over sentences where the test sentences "
        "are the same, of independent samples where not. Right of zero: more in the first named.",
        panels=tuple(panels),
        data={"forest": csv_text(rows)},
        width="wide",
        runs=tuple(whose),
    )


def curve_figures(runs: Sequence[Compared]) -> Iterator[Figure]:
    """Changes in every layer, one figure for each language that all runs steer."""
    metric = f"{HEADLINE}.delta"
    means = [_means(run, metric) for run in runs]
    for number, code in enumerate(_shared(runs)):
        panels = [
            inline(
                plots.curves(
                    run.data.shown,
                    metric=metric,
                    language=code,
                    chosen=run.data.chosen_layer.get(code),
                    heading=run.name,
                    beside=means,
                ),
                key=f"curve-{number}-{i}",
                alt=f"{run.name}, steered language {code}: change of retrieval in every layer.",
            )
            for i, run in enumerate(runs)
        ]
        yield _panels(
            f"curves-{number}",
            f"{CURVES[metric]} Steered: {code}.",
            "One scale for all runs. Vertical line: the best layer of each run on dev.",
            dict(zip([run.name for run in runs], panels, strict=True)),
            {run.name: as_drawn(run.data.shown, code, metric) for run in runs},
        )


def _means(run: Compared, metric: str) -> pd.DataFrame:
    """Rows of a metric over all pairs, whose values set the scale of its curves."""
    rows = run.data.shown
    return rows[(rows["metric"] == metric) & (rows["source"] == "*") & (rows["target"] == "*")]


def dose_figures(runs: Sequence[Compared]) -> Iterator[Figure]:
    """What doses gave on dev, one figure for each language that all runs steer."""
    edit = next((e for e in runs[0].data.edits if all(e in run.data.edits for run in runs)), None)
    for number, code in enumerate(_shared(runs) if edit else ()):
        drawn = {run.name: run.data.doses for run in runs if run.data.doses is not None}
        drawn = {
            name: doses
            for name, doses in drawn.items()
            if (of_arm(doses, Arm("edit", str(edit))) & (doses["language"] == code)).any()
        }
        if len(drawn) == len(runs):
            panels = [
                inline(
                    plots.dose_response(doses, edit=str(edit), language=code, heading=name)[0],
                    key=f"dose-{number}-{i}",
                    alt=f"{name}: top-1 retrieval on dev over the dose of {edit} towards {code}.",
                )
                for i, (name, doses) in enumerate(drawn.items())
            ]
            yield _panels(
                f"doses-{number}",
                f"Dose and response on dev. Steered: {code}.",
                "Each run on its own dev sentences and at its own best layer.",
                dict(zip(drawn, panels, strict=True)),
                {name: doses[doses["language"].isin([code, ""])] for name, doses in drawn.items()},
            )


def _panels(
    key: str,
    title: str,
    caption: str,
    panels: Mapping[str, Markup],
    tables: Mapping[str, pd.DataFrame],
) -> Figure:
    """A figure of one panel a run, and of its table, by its name."""
    rows = pd.concat([table.assign(run=name) for name, table in tables.items()])
    return Figure(
        key=key,
        title=title,
        caption=caption,
        panels=tuple(panels.values()),
        data={key: csv_text(rows)},
        width="medium",
        runs=tuple(panels),
    )


def _shared(runs: Sequence[Compared]) -> list[str]:
    """The first languages that every run steers."""
    every = [set(run.data.steered) for run in runs]
    return [code for code in runs[0].data.steered if all(code in one for one in every)][:PANELS]
