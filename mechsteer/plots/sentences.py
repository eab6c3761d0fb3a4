"""Sentences in the embedding space: one plane for every state, and who is everybody's neighbour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count, cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mechsteer.errors import MechsteerError
from mechsteer.plots.given import arm_of, named, only, table_of
from mechsteer.plots.panels import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    VERMILLION,
    label,
    minus,
    panel,
    percent,
    strokes,
    title,
)
from mechsteer.plots.spots import owner, tell
from mechsteer.studies.conditions import Arm, names
from mechsteer.studies.findings import Study
from mechsteer.studies.results import NO_EDIT, arms_of, of_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

_PLANE = ("kind", "edit", "language", "source", "x", "y", "x_share", "y_share")
_HUBS = ("kind", "edit", "language", "seed", "occurrence", "count", "skewness")
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, INK)
MARKERS = "os^Dv"
BINS = 24
LINE = 8.5  # points: what names need between them
TOGETHER = 2  # languages that are named where their means lie on one another


def projection(
    table: pd.DataFrame | Study,
    arm: Arm | str = NO_EDIT,
    *,
    language: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Sentences of every language on the base's first two principal components: one arm's.

    The axes are those of the untouched model, and the limits hold all of the table, so
    panels of one table compare: clusters that merge were moved by the edit, not by the picture.
    Points are pixels even in a vector file; each language is named at its mean, languages whose
    means lie on one another together.

    Args:
        table: columns kind, edit, language (steered), source (the sentence's language), x, y and
            the shares of variance x_share and y_share; or the study.
        arm: what to draw, as figures call it: ``none``, ``clamp``, ``centring``, say.
        language: its steered language, drawn in the colour of the edit.
        ax: where to draw; a new figure by default.

    Raises:
        MechsteerError: no study and no such table; no such arm or language.
    """
    table = table_of(table, "projection", _PLANE)
    arm = arm_of(table, arm)
    language = named(language, table["language"].unique()) if language else ""
    ax = panel(ax, size=(3.9, 3.3), margins=(0.5, 0.42, 0.1, 0.32))
    rows = table[of_arm(table, arm)]
    rows = only(rows, "language", language if language in set(rows["language"]) else "")
    looks = dict(zip(table["source"].unique(), cycle(zip(COLOURS * 5, MARKERS * 6, strict=True))))
    for source, here in rows.groupby("source", sort=False, observed=True):
        colour, marker = (VERMILLION, "o") if source == language else looks[source]
        ax.scatter(
            here["x"], here["y"], s=7, c=colour, marker=marker, alpha=0.55, linewidths=0,
            rasterized=True,
        )  # fmt: skip
        told = [f"{label(source)}, sentence {number}" for number in _numbers(here)]
        tell(ax, here["x"], here["y"], told)
    for name, limits in (("x", ax.set_xlim), ("y", ax.set_ylim)):
        low, high = table[name].min(), table[name].max()
        limits(low - 0.05 * (high - low), high + 0.05 * (high - low))
    _name_clusters(ax, rows, language)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4))
    shares = table[["x_share", "y_share"]].iloc[0]
    ax.set(xlabel=f"first component ({shares.iat[0]:.0%})")
    ax.set(ylabel=f"second component ({shares.iat[1]:.0%})")
    name = names(arms_of(table))[arm]
    title(ax, label(f"{name}: {language}" if language else name, width=40))
    return ax


def _name_clusters(ax: Axes, rows: pd.DataFrame, steered: str) -> None:
    """Write each language at the mean of its sentences.

    Languages whose means lie on one another share a name there. A name that would touch another is
    moved up or down, and a thin line leads from it to its mean.
    """
    means = rows.groupby("source", sort=False, observed=True)[["x", "y"]].mean().sort_values("y")
    names = dict(zip(means.index, short_names(means.index.astype(str)), strict=True))
    points = 72 / ax.figure.dpi * ax.transData.transform(means.to_numpy())
    placed: list[tuple[float, float, float]] = []
    for (x, y), codes in _together(dict(zip(means.index, points, strict=True))):
        few = len(codes) <= TOGETHER
        name = ", ".join(names[code] for code in codes) if few else f"{len(codes)} languages"
        reach = 2.3 * len(name) + 1.5
        near = [b for a, b, other in placed if abs(x - a) < reach + other]
        moves = (sign * step for step in count() for sign in (1, -1))
        free = next(y + move for move in moves if all(abs(y + move - b) >= LINE for b in near))
        placed.append((x, free, reach))
        own = steered in codes and few
        if abs(free - y) >= LINE:
            ax.annotate(
                "", (x, y), (x, free), xycoords="figure points", textcoords="figure points",
                arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.6},
            )  # fmt: skip
        ax.annotate(
            name, (x, free), xycoords="figure points", ha="center", va="center", fontsize=8,
            color=VERMILLION if own else INK, fontweight="bold" if own else "normal",
            bbox={"boxstyle": "square,pad=0.1", "facecolor": PAPER, "alpha": 0.8, "linewidth": 0},
        )  # fmt: skip


def _together(
    places: Mapping[str, np.ndarray],
) -> list[tuple[tuple[float, float], list[str]]]:
    """Languages whose means lie within one line of the first of them, at their common mean."""
    groups: list[list[str]] = []
    for code, place in places.items():
        near = (g for g in groups if np.hypot(*(places[g[0]] - place)) < LINE)
        group = next(near, None)
        if group is None:
            groups.append([code])
        else:
            group.append(code)
    centres = [np.mean([places[code] for code in group], axis=0) for group in groups]
    return [((float(c[0]), float(c[1])), g) for c, g in zip(centres, groups, strict=True)]


def _numbers(rows: pd.DataFrame) -> list[int]:
    """Sentences by their number, or by their order where a table has none."""
    return [int(n) for n in (rows["sentence"] if "sentence" in rows else range(len(rows)))]


def _beside(ax: Axes, line: int, words: str, colour: str) -> Text:
    """Write a line right of a panel."""
    return ax.text(
        1.03, 0.98 - 0.115 * line, words, color=colour, fontsize=8.5, va="top",
        transform=ax.transAxes,
    )  # fmt: skip


def _bins(name: str, edges: np.ndarray, share: np.ndarray) -> list[str]:
    """What each bin of a histogram of neighbours says."""
    told = zip(edges[:-1], edges[1:], share, strict=True)
    return [f"{label(name)}, {a:.0f} to {b:.0f} queries: {part:.2%}" for a, b, part in told]


def short_names(codes: Iterable[str]) -> list[str]:
    """Languages without their script, where that leaves them distinct.

    >>> short_names(["fra_Latn", "zho_Hans", "zho_Hant"])
    ['fra', 'zho_Hans', 'zho_Hant']
    """
    whole = [label(code, width=9) for code in codes]
    stems = [code.partition("_")[0] for code in whole]
    return [s if stems.count(s) == 1 else w for s, w in zip(stems, whole, strict=True)]


def hubness(table: pd.DataFrame | Study, *, language: str = "", ax: Axes | None = None) -> Axes:
    """How often a sentence is among the 10 nearest of a query: the base, edits and controls.

    The share of sentences (logarithmic) in bins of equal width. The mean is 10 under every
    condition; a long tail to the right is hubs, and the skewness beside each name says how long. Of
    several seeds the first is drawn.

    Args:
        table: columns kind, edit, language (steered), seed, occurrence, count and skewness,
            filtered to one k and one strength; or the study.
        language: the steered language; what has none stands in for every language.
        ax: where to draw; a new figure by default.

    Raises:
        MechsteerError: no study and no such table; no such language; several doses.
    """
    table = table_of(table, "hubness", _HUBS)
    language = named(language, table["language"].unique()) if language else ""
    ax = panel(ax, size=(4.5, 2.5), margins=(0.58, 0.42, 1.55, 0.32))
    rows = table[table["language"].isin(["", language])]
    if rows.duplicated(["kind", "edit", "language", "seed", "occurrence"]).any():
        raise MechsteerError("several doses: filter to one k and one strength first")
    edges = np.linspace(0, max(int(rows["occurrence"].max()) + 1, BINS), BINS + 1)
    arms = names(arms_of(rows))
    drawn = strokes(arms)
    for place, (arm, name) in enumerate(arms.items()):
        here = rows[of_arm(rows, arm)]
        here = here[here["seed"] == here["seed"].min()]
        counts, _ = np.histogram(here["occurrence"], edges, weights=here["count"])
        colour, dashes, _ = drawn[arm]
        share = counts / counts.sum()
        own = owner(name)
        ax.stairs(share, edges, color=colour, linestyle=dashes, linewidth=1.4, gid=own)
        tell(
            ax,
            (edges[1:] + edges[:-1]) / 2,
            np.where(share > 0, share, np.nan),
            _bins(name, edges, share),
        )
        skew = here["skewness"].iat[0]
        words = label(name) + ("" if pd.isna(skew) else f" {minus(skew, '.1f')}")
        _beside(ax, place + 1, words, colour).set_gid(own)
    _beside(ax, 0, "skewness", INK)
    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(percent))
    ax.yaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    ax.tick_params(which="minor", length=0)
    ax.set(xlabel="queries that have it among their 10 nearest", ylabel="sentences", xlim=(0, None))
    title(ax, label(language))
    return ax
