"""Changes as marks on one axis: what edits and controls did, language by language."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mechsteer.plots.given import only, row_of, table_of
from mechsteer.plots.panels import INK, label, metric_of, panel, points, strokes, title
from mechsteer.plots.spots import owner, tell, within
from mechsteer.studies.changes import changes
from mechsteer.studies.conditions import names
from mechsteer.studies.findings import Study
from mechsteer.studies.places import Place, spoken
from mechsteer.studies.results import arms_of, of_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP, LETTER = 6, 5.0  # points between a mark and its name, and of a letter of it
LINE, AIR = 13 / 72, 0.16  # inches: from an arm to the next, whose names fit between; of a language
_NEEDED = ("language", "kind", "edit", "value", "low", "high")


def effects(
    table: pd.DataFrame | Study,
    *,
    metric: str = "retrieval_top1",
    place: Place = "best_layer",
    heading: str = "",
    limits: tuple[float, float] | None = None,
    measured: str = "change against no edit",
) -> Axes:
    """Change of a share against no edit: one row a steered language, edits and controls in it.

    Args:
        table: columns language, kind, edit, value, low, high (the interval, or the range of seeds);
            or the study.
        metric: of a study, what changed.
        place: of a study, where: ``best_layer``, ``last_block`` or ``final_norm``.
        heading: name of the panel.
        limits: ends of the value axis, to share one between panels; those of the table by
            default.
        measured: what the values are, for the axis.

    Raises:
        MechsteerError: no study and no such table; no such metric or place.
    """
    if isinstance(table, Study):
        table = _changed(table, metric, place)
        heading = heading or f"{metric_of(metric).title}, {spoken(place)}"
    table = table_of(table, "effects", _NEEDED)
    languages = list(dict.fromkeys(table["language"]))
    arms = names(arms_of(table))
    tall = AIR + LINE * len(arms)
    height = len(languages) * tall
    ax = panel(None, size=(4.4, height + 0.95), margins=(0.85, 0.55, 0.15, 0.4))
    ax.set(ylim=(len(languages) - 0.5, -0.5), xlim=limits or effect_limits([table]))
    ax.grid(axis="x", color=INK, alpha=0.18, linewidth=0.6)
    ax.axvline(0, color=INK, linewidth=0.9)
    drawn = strokes(arms)
    reach = LINE * (len(arms) - 1) / 2 / tall
    for offset, arm in zip(np.linspace(-reach, reach, len(arms)), arms, strict=True):
        rows = table[of_arm(table, arm)]
        colour, _, marker = drawn[arm]
        y = [languages.index(name) + offset for name in rows["language"]]
        own = owner(arms[arm])
        ax.hlines(y, rows["low"], rows["high"], color=colour, linewidth=2, alpha=0.5, gid=own)
        ax.plot(rows["value"], y, marker, color=colour, markersize=5, markeredgewidth=1.5, gid=own)
        tell(ax, rows["value"], y, _changes(rows, arms[arm]))
        _name_mark(ax, rows.iloc[0], y=y[0], name=arms[arm], colour=colour)
    ax.set_yticks(range(len(languages)), [label(name, width=13) for name in languages])
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.xaxis.set_major_formatter(FuncFormatter(points))
    ax.set_xlabel(f"{measured} (percentage points)")
    title(ax, label(heading, width=60))
    return ax


def _changed(study: Study, metric: str, place: str) -> pd.DataFrame:
    """What a study changed at one place, at the chosen doses."""
    rows = study.at_chosen
    only(rows, "metric", metric)
    steered = [code for code in rows["language"].unique() if code]
    table = changes(rows, steered, lambda _: study.places, metric=metric)
    return only(table, "layer", row_of(study, place)).drop_duplicates(["language", "kind", "edit"])


def effect_limits(tables: Iterable[pd.DataFrame]) -> tuple[float, float]:
    """Ends of an axis that holds zero and all values and intervals, with room for names."""
    parts = [table[["value", "low", "high"]].to_numpy(dtype=float).ravel() for table in tables]
    ends = np.concatenate([[0.0], *parts])
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    air = 0.28 * (high - low) or 0.01
    return low - air, high + air


def _changes(rows: pd.DataFrame, name: str) -> list[str]:
    """What each mark of a panel of effects says."""
    columns = ["language", "value", "low", "high"]
    return [
        f"{label(name)}, {label(language)}: {within(*map(points, change))} points"
        for language, *change in rows[columns].itertuples(index=False)
    ]


def _name_mark(ax: Axes, row: pd.Series[Any], *, y: float, name: str, colour: str) -> None:
    """Write what it is beside its first mark: away from the line at zero, where there is room."""
    ends = [end for end in (row["low"], row["value"], row["high"]) if np.isfinite(end)]
    right = row["value"] > 0 or _room_left(ax, min(ends)) < GAP + LETTER * len(label(name))
    ax.annotate(
        label(name),
        (max(ends) if right else min(ends), y),
        xytext=(GAP if right else -GAP, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center_baseline",
        fontsize=8.5,
        color=colour,
        gid=owner(name),
    )


def _room_left(ax: Axes, at: float) -> float:
    """Points (1/72 inch) between the left end of an axis and a value on it."""
    low, high = ax.get_xlim()
    return float((at - low) / (high - low) * ax.bbox.width * 72 / ax.figure.dpi)
