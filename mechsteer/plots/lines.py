"""Figures: a tidy results table in, matplotlib axes out.

Each function draws one panel on ``ax`` (on a new transparent figure when none is given), returns
the axes and never shows anything; ``ax.figure`` displays it in a notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mechsteer.plots.given import named, only, table_of
from mechsteer.plots.panels import (
    INK,
    end_labels,
    label,
    layer_axis,
    metric_of,
    minus,
    panel,
    percent,
    points,
    row_name,
    strokes,
    title,
)
from mechsteer.plots.spots import owner, tell, within
from mechsteer.studies.conditions import names
from mechsteer.studies.findings import Study
from mechsteer.studies.results import COLUMNS, arms_of, distance_rows, each_series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DISTANCES = ("distance_pairs", "distance_medoid", "distance_target")
_WIDTH, _LEFT, _RIGHT = 4.25, 0.58, 1.34  # inches; at the right are names of lines
_NEEDED = tuple(name for name in COLUMNS if name != "n")


def curves(
    results: pd.DataFrame | Study,
    *,
    metric: str,
    language: str,
    ax: Axes | None = None,
    chance: float | None = None,
    chosen: int | None = None,
    source: str = "*",
    target: str = "*",
    heading: str = "",
    beside: Sequence[pd.DataFrame] = (),
) -> Axes:
    """One metric in every layer for one steered language: base, edits and controls.

    Bands are confidence intervals, or minimum to maximum where an edit has several seeds. The value
    axis spans all languages of ``results``, so panels of one table compare.

    Args:
        results: the tidy results table, filtered to one k and one strength, or the study.
        metric: a metric of the table; with ``.delta`` its difference from no edit.
        language: the steered language.
        ax: where to draw; a new figure by default.
        chance: level of the dotted line, if any.
        chosen: layer to mark: the one chosen on dev.
        source: rows to draw: ``*`` is the mean over all ordered pairs.
        target: likewise.
        heading: name of the panel; the language by default.
        beside: other tables whose values the axis holds too, so that their panels compare.

    Raises:
        MechsteerError: no study and no such table; no such language, metric or pair.
    """
    results = table_of(results, "results", _NEEDED)
    language = named(language, results["language"].unique())
    source, target = (
        end if end == "*" else named(end, results[column].unique())
        for column, end in (("source", source), ("target", target))
    )
    ax = panel(ax, size=(_WIDTH, 2.5), margins=(_LEFT, 0.42, _RIGHT, 0.32))
    rows = results[(results["source"] == source) & (results["target"] == target)]
    rows = only(rows, "metric", metric)
    name, is_share = metric_of(metric)
    is_change = metric.endswith(".delta")
    ax.set_ylim(
        *_span(pd.concat([rows, *beside]), floor=0.0 if is_share and not is_change else None)
    )
    n_layers = int(results["layer"].max()) - 1
    layer_axis(ax, n_layers)
    ax.grid(axis="y", color=INK, alpha=0.18, linewidth=0.6)
    if chosen is not None:
        ax.axvline(chosen, color=INK, alpha=0.35, linewidth=0.8)
    form = points if is_change else percent if is_share else _three
    words = partial(_words, form=form, n_layers=n_layers)
    where = {"language": language, "source": source, "target": target}
    ends = _lines(ax, rows, words, metric=metric, **where)
    if is_change:
        ax.axhline(0, color=INK, linewidth=0.9)
        ends.append((0.0, "none", INK))
    if chance is not None:
        ax.axhline(chance, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
        ends.append((chance, "chance", INK))
    end_labels(ax, ends)
    if is_share:
        ax.yaxis.set_major_formatter(FuncFormatter(form))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_ylabel(name)
    title(ax, label(heading or language, width=40))
    return ax


def _lines(
    ax: Axes,
    rows: pd.DataFrame,
    words: Callable[[pd.DataFrame, str], list[str]],
    **which: str,
) -> list[tuple[float, str, str]]:
    """Draw every arm's line and band; return where and how each line ends."""
    ends = []
    arms = names(arms_of(rows))
    drawn = strokes(arms)
    for arm, line in each_series(rows, **which).items():
        (colour, dashes, _), name = drawn[arm], arms[arm]
        own = owner(name)
        ax.fill_between(
            line["layer"], line["low"], line["high"], color=colour, alpha=0.16, linewidth=0, gid=own
        )
        ax.plot(
            line["layer"], line["value"], color=colour, linestyle=dashes, linewidth=1.5, gid=own
        )
        tell(ax, line["layer"], line["value"], words(line, name))
        ends.append((float(line["value"].iloc[-1]), name, colour))
    return ends


def _words(
    line: pd.DataFrame, name: str, *, form: Callable[[float], str], n_layers: int
) -> list[str]:
    """What each point of a line says."""
    return [
        f"{label(name)}, {row_name(row, n_layers)}: {within(form(value), form(low), form(high))}"
        for row, value, low, high in line[["layer", "value", "low", "high"]].itertuples(index=False)
    ]


def _three(value: float) -> str:
    return minus(value, ".3g")


def _span(rows: pd.DataFrame, *, floor: float | None) -> tuple[float, float]:
    """Limits that hold all values and intervals with a little air."""
    values = rows[["value", "ci_low", "ci_high"]].to_numpy(dtype=float)
    low, high = (np.nanmin(values), np.nanmax(values)) if np.isfinite(values).any() else (0.0, 1.0)
    low = low if floor is None else min(floor, low)
    air = 0.06 * (high - low) or 0.05
    return float(low if low == floor else low - air), float(high + air)


def distances(results: pd.DataFrame | Study, *, language: str) -> list[Axes]:
    """The paper's three cosine distances in every layer for one steered language, stacked.

    They are 1-cos between translations (mean over pairs and sentences), between language means and
    their medoid, and between the other languages' means and that of ``language``. Any constant
    offset of all embeddings shrinks all three. A distance that the table lacks has no panel: an
    edit that is the same for all languages has no target.

    Raises:
        MechsteerError: no study and no such table; no such language; none of the distances.
    """
    width, height = _WIDTH, 4.3
    figure = Figure(figsize=(width, height), facecolor="none")
    table = table_of(results, "results", _NEEDED)
    language = named(language, table["language"].unique())
    rows = distance_rows(table, language)
    measured = [metric for metric in DISTANCES if (rows["metric"] == metric).any()]
    drawn = []
    for place, metric in enumerate(measured or DISTANCES[:1]):
        wide = (width - _LEFT - _RIGHT) / width
        box = (_LEFT / width, (3.0 - 1.28 * place) / height, wide, 1.0 / height)
        ax = curves(rows, metric=metric, language=language, ax=figure.add_axes(box))
        ax.yaxis.set_major_locator(MaxNLocator(3))
        if place:
            title(ax, "")
        if metric != measured[-1]:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
        drawn.append(ax)
    return drawn
