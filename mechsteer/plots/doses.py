"""How much is enough and what it costs: retrieval above, bits per byte below, over the dose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mechsteer.errors import MechsteerError
from mechsteer.plots.given import arm_of, named, only, row_of, table_of
from mechsteer.plots.panels import (
    INK,
    end_labels,
    label,
    metric_of,
    panel,
    percent,
    strokes,
    title,
)
from mechsteer.plots.spots import tell, within
from mechsteer.studies.conditions import Arm
from mechsteer.studies.findings import Study
from mechsteer.studies.places import Place
from mechsteer.studies.results import COLUMNS, NO_EDIT, of_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COST = "bits_per_byte"
_NEEDED = (*COLUMNS[:5], "metric", "value", "ci_low", "ci_high")
WIDTHS = (0.8, 1.3, 1.8, 2.3)  # weakest to strongest


def dose_response(
    doses: pd.DataFrame | Study,
    *,
    edit: str,
    language: str,
    metric: str = "retrieval_top1",
    place: Place = "best_layer",
    heading: str = "",
) -> list[Axes]:
    """What each dose of an edit gives, and below it what it costs in bits per byte.

    The dose is k on a logarithmic axis with one line a strength (the stronger the thicker), or the
    strength where there is but one k. Bars are confidence intervals; the horizontal line is the
    model without an edit. The lower panel is there where the table has ``bits_per_byte``.

    Args:
        doses: columns kind, edit, language, k, strength, metric, value, ci_low, ci_high,
            filtered to one layer; or the study.
        edit: whose doses.
        language: the steered language.
        metric: what the upper panel shows.
        place: of a study, where: ``best_layer``, ``last_block`` or ``final_norm``.
        heading: name of the panel; the language by default.

    Raises:
        MechsteerError: no study and no such table; no such edit, language, metric or place;
            several layers.
    """
    if isinstance(doses, Study):
        doses = only(doses.doses, "layer", row_of(doses, place))
    doses = table_of(doses, "doses", _NEEDED)
    arm, language = arm_of(doses, Arm("edit", edit)), named(language, doses["language"].unique())
    _one_each(only(doses[of_arm(doses, arm)], "metric", metric))
    rows = doses[doses["language"].isin(["", language])]
    rows = rows[of_arm(rows, arm) | of_arm(rows, NO_EDIT)]
    metrics = [name for name in (metric, COST) if (rows["metric"] == name).any()]
    width, height = 3.9, 0.75 + 1.6 * len(metrics)
    figure = Figure(figsize=(width, height), facecolor="none")
    drawn = []
    for number, name in enumerate(metrics):
        bottom = 0.42 + 1.6 * (len(metrics) - 1 - number)
        box = (0.62 / width, bottom / height, (width - 1.34) / width, 1.42 / height)
        ax = panel(figure.add_axes(box), size=(width, height), margins=(0, 0, 0, 0))
        shown = metric_of(name)
        form = percent if shown.percent else "{:.4g}".format
        _dose_lines(ax, rows[rows["metric"] == name], arm, form)
        if shown.percent:
            ax.yaxis.set_major_formatter(FuncFormatter(percent))
        ax.set_ylabel(shown.title)
        if number + 1 < len(metrics):
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
        drawn.append(ax)
    title(drawn[0], label(heading or language, width=40))
    return drawn


def _one_each(rows: pd.DataFrame) -> None:
    """Refuse several values of one dose."""
    if rows.duplicated(["language", "k", "strength"]).any():
        raise MechsteerError("several values of one dose: filter the doses to one layer first")


def _dose_lines(ax: Axes, rows: pd.DataFrame, arm: Arm, form: Callable[[float], str]) -> None:
    """Lines of one metric over the dose, named at their ends, and the level without an edit."""
    moved, base = rows[of_arm(rows, arm)], rows[of_arm(rows, NO_EDIT)]
    along, across = ("k", "strength") if moved["k"].nunique() > 1 else ("strength", "k")
    colour = strokes([arm])[arm].colour
    ends = [(float(value), "none", INK) for value in base["value"]]
    for value in base["value"]:
        ax.axhline(value, color=INK, linewidth=0.9)
    for place, (level, line) in enumerate(moved.sort_values(along).groupby(across)):
        broad = WIDTHS[min(place, len(WIDTHS) - 1)]
        ax.vlines(line[along], line["ci_low"], line["ci_high"], color=colour, alpha=0.4)
        ax.plot(line[along], line["value"], "o-", color=colour, linewidth=broad, markersize=3.5)
        name = f"λ = {level:g}" if across == "strength" else f"k = {level}"
        ends_of = line[[along, "value", "ci_low", "ci_high"]].itertuples(index=False)
        start = "k" if along == "k" else "λ"
        told = [
            f"{start} = {dose:g}, {name}: {within(*map(form, (value, low, high)))}"
            for dose, value, low, high in ends_of
        ]
        tell(ax, line[along], line["value"], told)
        ends.append((float(line["value"].to_numpy()[-1]), name, colour))
    if along == "k":
        ax.set_xscale("log")
        ax.set_xticks(sorted(moved["k"].unique()), [str(k) for k in sorted(moved["k"].unique())])
        ax.xaxis.set_minor_locator(MaxNLocator(1))
        ax.tick_params(which="minor", length=0, labelbottom=False)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.grid(axis="y", color=INK, alpha=0.18, linewidth=0.6)
    ax.set_xlabel("experts moved (k)" if along == "k" else "strength (λ)")
    end_labels(ax, ends)
