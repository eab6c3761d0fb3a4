"""Pairs of languages beside their distances.

Functions take what ``ms.similarity`` found, and one response of it: what was done to the model
(``state``), what was measured (``metric``), and where (``layer``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mechsteer.crosslingual import Similarity
from mechsteer.errors import MechsteerError, shown
from mechsteer.plots.given import named, refuse
from mechsteer.plots.panels import (
    BLUE,
    INK,
    VERMILLION,
    label,
    metric_of,
    minus,
    panel,
    percent,
    points,
    title,
)
from mechsteer.plots.sentences import short_names
from mechsteer.plots.spots import tell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 7  # pairs that a scatter names: those farthest from its line
DRAWN = 1500  # pairs that are points of their own in a vector file and say what they are
_KEYS = ("state", "metric", "layer")


def response_of(
    table: pd.DataFrame, state: str, metric: str, layer: int | None = None
) -> pd.DataFrame:
    """Rows of one response; of several layers the best one on dev, else the first.

    Raises:
        MechsteerError: there is no such response; those that there are are named.
    """
    rows = table[(table["state"] == state) & (table["metric"] == metric)]
    if layer is None and not rows.empty:
        best = rows.loc[rows["place"] == "best_layer", "layer"]
        layer = int(best.iloc[0] if len(best) else rows["layer"].iloc[0])
    rows = rows[rows["layer"] == layer]
    if rows.empty:
        known = table[list(_KEYS)].drop_duplicates().itertuples(index=False, name=None)
        some = "; ".join(f"{s}, {m}, layer {row}" for s, m, row in list(known)[:4])
        raise MechsteerError(
            f"no response {shown(state)}, {shown(metric)}, layer {layer}: expected one of {some} …"
        )
    return rows


def pairs_of(
    found: Similarity, predictor: str, state: str, metric: str, layer: int | None = None
) -> pd.DataFrame:
    """The pairs of one response whose value and distance are known, as a scatter draws them.

    Columns source, target, distance, value.

    Raises:
        MechsteerError: no such response or distance.
    """
    rows = response_of(given(found).pairs, state, metric, layer)
    if predictor not in rows or predictor not in set(found.effects["predictor"]):
        known = ", ".join(dict.fromkeys(found.effects["predictor"]))
        raise MechsteerError(f"no distance {shown(predictor)}: expected one of {known}")
    kept = rows[["source", "target", predictor, "value"]].dropna()
    return kept.rename(columns={predictor: "distance"}).reset_index(drop=True)


def likeness(
    found: Similarity,
    predictor: str,
    *,
    state: str = "none",
    metric: str = "retrieval_top1",
    layer: int | None = None,
    language: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Every ordered pair of languages: how far apart they are, and what was measured of them.

    The line is the least-squares fit, r and p those of the Mantel test. Pairs farthest from the
    line have names: query first, then the language searched. Distances that are 0 or 1 are spread
    sideways, so that pairs do not hide each other.

    Args:
        found: of ``ms.similarity``.
        predictor: the distance, ``syntactic`` say.
        state: what was done: ``none``, or ``clamp fra_Latn``, say.
        metric: what was measured; of anything done, its gain (``retrieval_top1.delta``).
        layer: row of the residual stream; the best on dev by default.
        language: whose pairs are coloured, triangles to the right where it is the query, to the
            left where it is searched.
        ax: where to draw; a new figure by default.

    Raises:
        MechsteerError: no such response or distance.
    """
    rows = pairs_of(found, predictor, state, metric, layer)
    language = named(language, found.languages["language"]) if language else ""
    told = response_of(found.effects, state, metric, layer)
    r, p = told.loc[told["predictor"] == predictor, ["r", "p"]].to_numpy(dtype=float)[0]
    ax = panel(ax, size=(3.9, 3.3), margins=(0.62, 0.45, 0.12, 0.34))
    x, y = _spread(rows["distance"].to_numpy(dtype=float)), rows["value"].to_numpy(dtype=float)
    _points(ax, x, y, rows, language)
    if len(rows) <= DRAWN:
        tell(ax, x, y, texts_of(rows, predictor, metric))
    residual = _line(ax, rows["distance"].to_numpy(dtype=float), y)
    change = metric.endswith(".delta")
    ax.yaxis.set_major_formatter(FuncFormatter(points if change else percent))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    if _is_binary(rows["distance"]):
        ax.set_xticks([0, 1], ["the same", "another"])
    ax.set_xlabel(label(f"{predictor} distance", width=40))
    ax.set_ylabel(measured(metric) + (", points" if change else ""))
    fit = f"r = {_number(float(r))}, {p_value(float(p))}"
    title(ax, fit if state == "none" else f"{label(state, width=26)}: {fit}")
    _name(ax, x, y, residual, rows)
    return ax


def _points(ax: Axes, x: np.ndarray, y: np.ndarray, rows: pd.DataFrame, language: str) -> None:
    """Three kinds of pairs, a shape and colour each."""
    for name, chosen in kinds_of_pairs(rows, language).items():
        marker, colour, size = {
            "other": ("o", INK, 9), "query": (">", VERMILLION, 20), "target": ("<", BLUE, 20),
        }[name]  # fmt: skip
        ax.scatter(
            x[chosen], y[chosen], s=size, c=colour, marker=marker, alpha=0.6, linewidths=0,
            rasterized=len(rows) > DRAWN,
        )  # fmt: skip


def kinds_of_pairs(rows: pd.DataFrame, language: str) -> dict[str, np.ndarray]:
    """Which pairs have a language as the query, as the one searched, or not at all."""
    query, target = (rows[name].to_numpy() == language for name in ("source", "target"))
    return {"other": ~(query | target), "query": query, "target": target}


def texts_of(rows: pd.DataFrame, predictor: str, metric: str) -> list[str]:
    """What each pair says of itself: query, language searched, distance, what was measured."""
    form = points if metric.endswith(".delta") else percent
    unit = " points" if metric.endswith(".delta") else ""
    columns = (rows["distance"].astype(float), rows["value"].astype(float))
    return [
        f"{source} → {target}: {predictor} {distance:.3g}, {form(value)}{unit}"
        for source, target, distance, value in zip(
            rows["source"], rows["target"], *columns, strict=True
        )
    ]


def _line(ax: Axes, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Draw the least-squares line; how far each point is from it, in standard deviations."""
    slope, start = np.polyfit(x, y, 1) if np.ptp(x) else (0.0, float(y.mean()))
    ends = np.array([x.min(), x.max()])
    ax.plot(ends, start + slope * ends, color=INK, linewidth=1.2)
    residual = y - (start + slope * x)
    return np.asarray(residual / (residual.std() or 1.0))


def _spread(x: np.ndarray) -> np.ndarray:
    """Sideways places of points whose distances are but 0 and 1: by turns, the same every time."""
    if not _is_binary(x):
        return x
    return np.asarray(x + 0.5 * ((np.arange(len(x)) * 0.61803398875) % 1 - 0.5))


def _is_binary(values: Any) -> bool:
    return set(np.unique(values)) <= {0.0, 1.0}


def _name(ax: Axes, x: np.ndarray, y: np.ndarray, residual: np.ndarray, rows: pd.DataFrame) -> None:
    """Names of the pairs farthest from the line, those that would touch another left out."""
    codes = list(dict.fromkeys([*rows["source"], *rows["target"]]))
    short = dict(zip(codes, short_names(codes), strict=True))
    where = 72 / ax.figure.dpi * ax.transData.transform(np.column_stack([x, y]))
    right = 72 / ax.figure.dpi * ax.bbox.x1
    taken: list[tuple[float, float, float]] = []
    for at in np.argsort(-np.abs(residual), kind="stable")[: 6 * NAMED]:
        text = f"{short[rows['source'].iat[at]]}→{short[rows['target'].iat[at]]}"
        across, up, reach = float(where[at, 0]), float(where[at, 1]), 4.4 * len(text)
        left = across - reach - 4 if across + reach + 4 > right else across + 4
        free = all(abs(up - b) > 9 or left > a + c or left + reach < a for a, b, c in taken)
        if free and len(taken) < NAMED:
            taken.append((left, up, reach))
            ax.annotate(
                text, (left, up), xycoords="figure points", va="center", fontsize=7.5, color=INK
            )


def measured(metric: str) -> str:
    """What a measure of pairs is called on an axis."""
    known = {
        "retrieval_margin": "margin retrieval", "retrieval_margin.delta": "gain, margin retrieval",
        "retrieval_top1.delta": "gain, top-1 retrieval", "mexa.delta": "gain, MEXA",
        "transfer_accuracy": "transfer accuracy", "transfer_accuracy.delta": "gain, transfer",
    }  # fmt: skip
    return known.get(metric, metric_of(metric).title)


def _number(value: float) -> str:
    return minus(value, ".2f")


def p_value(p: float) -> str:
    """A p-value as it is written; a permutation test gives none below 1 / (permutations + 1).

    >>> p_value(0.001), p_value(0.04), p_value(0.7312)
    ('p = 0.001', 'p = 0.04', 'p = 0.731')
    """
    return f"p = {p:.3g}" if p < 0.1 else f"p = {p:.3f}".rstrip("0")


def given(found: Any) -> Similarity:
    """What ``ms.similarity`` found, or a refusal.

    Raises:
        MechsteerError: it is something else.
    """
    if not isinstance(found, Similarity):
        refuse(found, "what ms.similarity found")
    return found
