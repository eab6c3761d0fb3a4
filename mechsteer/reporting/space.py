"""Pictures of the embedding space and of the dose: planes, hubs, dose and response."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from mechsteer import plots
from mechsteer.plots.panels import row_name
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.figures import Figure
from mechsteer.reporting.svg import inline
from mechsteer.reporting.tables import csv_text
from mechsteer.studies.conditions import Arm, names
from mechsteer.studies.results import of_arm

PANELS = 6  # planes: each holds hundreds of points
POINTS = 2400  # in all panels; the table beside the page has all


def projection_figure(data: ReportData) -> Figure | None:
    """Sentences before and after, in one plane."""
    table = data.projection
    if table is None or table.empty:
        return None
    named = zip(table["kind"], table["edit"], table["language"], strict=True)
    there = [(Arm(kind, edit), language) for kind, edit, language in dict.fromkeys(named)]
    fixed = [one for one in there if not one[1]]
    moved = [one for one in there if one[1]][: PANELS - len(fixed)]
    shown = sorted([*fixed, *moved], key=there.index)
    called = names([*data.arms, *(arm for arm, _ in there)])
    few = max(POINTS // (len(shown) * table["source"].nunique()), 5)
    table = table[table["sentence"] < few]
    panels = tuple(
        inline(
            plots.projection(table, arm, language=language),
            key=f"plane-{i}",
            alt=f"Sentences of {table['source'].nunique()} languages as points on two principal "
            f"components: {called[arm]} {language}".rstrip(),
        )
        for i, (arm, language) in enumerate(shown)
    )
    return Figure(
        key="plane",
        title=f"Sentences before and after, on one plane ({_row(data, table)}).",
        caption="The axes are the first two principal components of the model without an edit, "
        "fitted on dev, and are the same in every panel; points are the first "
        f"{table['sentence'].nunique()} test sentences of each language, which has a colour and a "
        "shape; names stand at its mean, that of languages whose means coincide.",
        panels=panels,
        data={"plane": csv_text(_wide(table, shown, called))},
        width="medium",
        languages=tuple(language for _, language in shown),
    )


def _row(data: ReportData, table: pd.DataFrame) -> str:
    """Where a table of one row of the residual stream was read."""
    return row_name(int(table["layer"].iloc[0]), data.n_layers)


def _wide(
    table: pd.DataFrame, shown: Sequence[tuple[Arm, str]], called: Mapping[Arm, str]
) -> pd.DataFrame:
    """One row a sentence, two columns a panel, to a thousandth of the plane (below a pixel)."""
    reach = float(table[["x", "y"]].abs().to_numpy().max()) or 1.0
    decimals = 3 - math.floor(math.log10(reach))
    columns = {}
    for arm, language in shown:
        here = table[of_arm(table, arm) & (table["language"] == language)]
        places = here.set_index(["source", "sentence"])[["x", "y"]].astype(float).round(decimals)
        for axis in ("x", "y"):
            columns[" ".join(part for part in (called[arm], language, axis) if part)] = places[axis]
    return pd.DataFrame(columns).reset_index()


def hubness_figure(data: ReportData) -> Figure | None:
    """Whether some sentences answer every query."""
    if data.hubness is None:
        return None
    table = data.hubness[data.at_dose(data.hubness)]
    panels = tuple(
        inline(
            plots.hubness(table, language=code),
            key=f"hubs-{i}",
            alt=f"Histogram of how often sentences are among the 10 nearest of a query, without an "
            f"edit, edited towards {code}, and under the controls.",
        )
        for i, code in enumerate(data.drawn)
    )
    columns = ["kind", "edit", "language", "seed", "occurrence", "count", "skewness"]
    drawn = table["language"].isin(["", *data.drawn])
    first = table.groupby(["kind", "edit", "language"], observed=True)["seed"].transform("min")
    return Figure(
        key="hubs",
        title="Hubs: how often a sentence is among the ten nearest of a query.",
        caption="The mean is 10 in every state; hubs make a long tail and a large skewness, and "
        "hide other sentences from retrieval. All ordered pairs of languages, "
        f"{_row(data, table)}; of random neurons the first seed.{data.undrawn}",
        panels=panels,
        data={"hubs": csv_text(table.loc[drawn & (table["seed"] == first), columns])},
        width="medium",
        languages=tuple(data.drawn),
    )


def dose_figure(data: ReportData) -> Figure | None:
    """How much is enough, and what it costs."""
    edit = data.edits[0]
    if data.doses is None or not of_arm(data.doses, Arm("edit", edit)).any():
        return None
    panels = tuple(
        inline(
            plots.dose_response(data.doses, edit=edit, language=code)[0],
            key=f"dose-{i}",
            alt=f"Top-1 retrieval on dev over the dose of {data.called(edit)} towards {code}.",
        )
        for i, code in enumerate(data.drawn)
    )
    costs = (data.doses["metric"] == plots.COST).any()
    columns = ["kind", "edit", "language", "k", "strength", "metric", "value", "ci_low", "ci_high"]
    cost = (
        " Below: bits per byte of text in the steered language, smaller is better." if costs else ""
    )
    return Figure(
        key="dose",
        title="Dose and response on dev.",
        caption=f"Mean over all ordered pairs, {_row(data, data.doses)}, with "
        f"{data.confidence:.0%} confidence intervals; the level line is no edit.{cost} The dose "
        f"for the test sentences was chosen here.{data.undrawn}",
        panels=panels,
        data={"dose": csv_text(data.doses[columns])},
        width="medium",
        languages=tuple(data.drawn),
    )
