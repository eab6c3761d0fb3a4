"""Figures of the measured models, of single languages and of rankings of sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.linguistic_similarity import figures
from mechsteer.plots.panels import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    VERMILLION,
    panel,
    percent,
    title,
)

LOOKS = {
    "script": (INK, (0, (5, 1)), "x"),
    "family": (VERMILLION, "solid", "o"),
    "family_size": (BLUE, (0, (4, 1.5)), "s"),
    "word_order": (GREEN, "solid", "^"),
    "tokens_per_sentence": (ORANGE, "solid", "P"),
    "trained": (PURPLE, (0, (1, 1)), "D"),
}


def draw(name: str, table: pd.DataFrame, path: Path) -> None:
    """The figure of a table."""
    drawn: dict[str, Callable[[pd.DataFrame, Path], None]] = {
        "own_layers": figures.layers,
        "own_pairs": shares,
        "characteristics": characteristics,
        "sources": sources,
    }
    drawn[name](table, path)


def characteristics(table: pd.DataFrame, path: Path) -> None:
    """One panel a model: what each characteristic explains beyond chance, by layer."""
    table = table[table["response"].str.startswith("layer ")]
    table = table.assign(layer=table["response"].str.removeprefix("layer ").astype(int))

    def draw(ax: Axes, own: pd.DataFrame) -> None:
        for name, (colour, dashes, marker) in LOOKS.items():
            line = own[own["characteristic"] == name].sort_values("layer")
            beyond = (line["r2"] - line["chance"]) / (1 - line["chance"])
            ax.plot(
                line["layer"], beyond, color=colour, linestyle=dashes, linewidth=1.3, label=name
            )
            sure = line["p_holm"] < 0.05
            ax.plot(line["layer"][sure], beyond[sure], marker, color=colour, markersize=3.5)
        ax.axhline(0, color=INK, linewidth=0.5)

    label = "variance of mean similarity explained, beyond chance"
    figures.by_model(table, draw, label, path)


def shares(table: pd.DataFrame, path: Path) -> None:
    """One panel a model and set of languages: shares of retrieval at the best layer."""
    table = table[(table["metric"] == "retrieval_top1") & (table["place"] == "best_layer")]
    table = table[table["state"] == "none"]
    panels = {
        f"{model}, {subset}": part
        for (model, subset), part in table.groupby(["model", "languages"], sort=False)
    }
    held = {name: part["p_holm"] < 0.05 for name, part in panels.items()}
    _rows_of(panels, held, "variance of top-1 over pairs explained (filled: Holm)", path)


def sources(table: pd.DataFrame, path: Path) -> None:
    """One panel a state: NDCG@3 of each ranking of sources, at the best layer."""
    table = table[(table["place"] == "best_layer") & (table["metric"] == "accuracy")]
    panels = {str(state): part for state, part in table.groupby("state", sort=False)}
    held = {name: part["lead_low"] > 0 for name, part in panels.items()}
    _rows_of(panels, held, "NDCG@3 over targets (filled: above a random order)", path)


def _rows_of(
    panels: dict[str, pd.DataFrame], held: dict[str, pd.Series], label: str, path: Path
) -> None:
    """Shares or NDCG with their intervals, one row a name; filled where it holds."""
    with mpl.rc_context(figures.STYLE):
        figure = Figure(figsize=(2.7 * len(panels) + 1, 3.2), facecolor="none")
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False).ravel()
        for ax, (name, part) in zip(axes, panels.items(), strict=True):
            panel(ax, size=(0, 0), margins=())
            rows = part.assign(sure=held[name]).iloc[::-1]
            rows = rows.rename(columns={"predictor": "name", "ranking": "name"})
            rows = rows.rename(columns={"share": "value", "ndcg": "value"})
            ax.hlines(rows["name"], rows["low"], rows["high"], color=BLUE, linewidth=1.5)
            for row in rows.itertuples():
                fill = BLUE if row.sure else "white"
                ax.plot(row.value, row.name, "o", color=BLUE, markerfacecolor=fill)
            title(ax, name)
            ax.xaxis.set_major_formatter(percent)
        figure.supxlabel(label, fontsize=8.5, color=INK)
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
