"""What each distance between languages explains of the pairs, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mechsteer.crosslingual import Similarity
from mechsteer.crosslingual.similarities.found import LEVEL
from mechsteer.plots.pairs import given, measured, p_value, response_of
from mechsteer.plots.panels import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    label,
    panel,
    percent,
    title,
)
from mechsteer.plots.spots import tell, within
from mechsteer.studies.places import spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLACES = (VERMILLION, BLUE, GREEN, ORANGE, PURPLE, SKY)


def importance(
    found: Similarity,
    *,
    state: str = "none",
    metric: str = "retrieval_top1",
    ax: Axes | None = None,
) -> Axes:
    """The share of the variance over pairs that each distance explains, one bar a layer.

    Whiskers are 95 % intervals from leaving languages out. A filled bar holds beside the other
    distances (p at most 5 % after Holm over them), an empty one does not.

    Args:
        found: of ``ms.similarity``.
        state: what was done: ``none``, or ``clamp fra_Latn``, say.
        metric: what was measured.
        ax: where to draw; a new figure by default.

    Raises:
        MechsteerError: no such response.
    """
    response_of(given(found).effects, state, metric)
    rows = found.effects[(found.effects["state"] == state) & (found.effects["metric"] == metric)]
    layers = list(rows.drop_duplicates("layer")[["layer", "place"]].itertuples(index=False))
    names = list(dict.fromkeys(rows["predictor"]))
    height = 0.92 + len(names) * max(0.3, 0.11 * len(layers) + 0.09)
    ax = panel(ax, size=(4.1, height), margins=(1.02, 0.42, 0.12, 0.5))
    step = 0.78 / len(layers)
    for turn, (layer, _) in enumerate(layers):
        own = rows[rows["layer"] == layer].set_index("predictor").reindex(names)
        colour = PLACES[turn % len(PLACES)]
        at = np.arange(len(names)) - 0.39 + step * (turn + 0.5)
        _bars(ax, at, own, colour=colour, thick=0.8 * step)
        tell(ax, own["share"], at, _shares(own, layers[turn]))
    _key(ax, [place.replace("_", " ") or _row(layer) for layer, place in layers])
    ax.set_yticks(range(len(names)), [label(name, width=16) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(0, None)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_formatter(FuncFormatter(percent))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel("share of the variance over pairs")
    title(ax, label(measured(metric) if state == "none" else state, width=44), pad=18)
    return ax


def _row(layer: int) -> str:
    return "given" if layer < 0 else f"layer {layer}"


def _key(ax: Axes, names: Sequence[str]) -> None:
    """What the colours of bars mean, in a line between title and bars."""
    at = 0.0
    inch = 1 / (ax.bbox.width / ax.figure.dpi)
    for turn, name in enumerate(names):
        colour = PLACES[turn % len(PLACES)]
        ax.annotate(
            name, (at, 1), xytext=(0, 4), xycoords="axes fraction", textcoords="offset points",
            fontsize=8, color=colour,
        )  # fmt: skip
        at += (0.065 * len(name) + 0.14) * inch


def _bars(ax: Axes, at: np.ndarray, rows: pd.DataFrame, *, colour: str, thick: float) -> None:
    """Bars with whiskers; empty where nothing holds."""
    share = rows["share"].to_numpy(dtype=float)
    holds = (rows["p_holm"] <= LEVEL).to_numpy()
    ax.barh(
        at, share, height=thick, edgecolor=colour, linewidth=0.8,
        color=[colour if sure else "none" for sure in holds],
    )  # fmt: skip
    ends = rows[["low", "high"]].to_numpy(dtype=float)
    ax.hlines(at, ends[:, 0], ends[:, 1], color=INK, linewidth=0.8)


def _shares(rows: pd.DataFrame, where: tuple[int, str]) -> list[str]:
    """What each bar says."""
    place = spoken(where[1]) if where[1] else _row(where[0])
    columns = [rows[name].astype(float) for name in ("share", "low", "high", "p_holm")]
    return [
        f"{name} at {place}: {within(percent(share), percent(low), percent(high))}, "
        f"{p_value(p)} after Holm"
        for name, share, low, high, p in zip(rows.index, *columns, strict=True)
    ]
