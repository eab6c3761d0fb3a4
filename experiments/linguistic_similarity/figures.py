"""Figures: what explains each layer of each model; what explains alignment in xlanalysis5k."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mechsteer.plots.panels import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    panel,
    percent,
    title,
)

STYLE = {"svg.hashsalt": "mechsteer", "svg.fonttype": "none", "font.size": 9}
LOOKS = {
    "genetic": (VERMILLION, "solid", "o"),
    "geographic": (BLUE, (0, (4, 1.5)), "s"),
    "syntactic": (GREEN, "solid", "^"),
    "phonological": (SKY, (0, (3, 1, 1, 1)), "v"),
    "inventory": (PURPLE, (0, (1, 1)), "D"),
    "lexical": (ORANGE, "solid", "P"),
    "script": (INK, (0, (5, 1)), "x"),
}


def layers(table: pd.DataFrame, path: Path) -> None:
    """One panel a model: share of the variance over pairs that each distance explains, by layer."""

    def draw(ax: Axes, own: pd.DataFrame) -> None:
        for kind, (colour, dashes, marker) in LOOKS.items():
            line = own[own["predictor"] == kind].sort_values("layer")
            ax.plot(
                line["layer"], line["share"], color=colour, linestyle=dashes, marker=marker,
                markersize=3.5, linewidth=1.3, label=kind,
            )  # fmt: skip
            ax.fill_between(
                line["layer"], line["low"], line["high"], color=colour, alpha=0.12, linewidth=0
            )

    by_model(table[table["definition"] == "cosine"], draw, "variance over pairs explained", path)


def by_model(
    table: pd.DataFrame, draw: Callable[[Axes, pd.DataFrame], None], label: str, path: Path
) -> None:
    """Lines by layer: one panel a model, three in a row, and one legend below them."""
    models = list(dict.fromkeys(table["model"]))
    columns = min(3, len(models))
    rows = -(-len(models) // columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * columns, 2.6 * rows + 0.5), facecolor="none")
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for ax, model in zip(axes, models, strict=False):
            panel(ax, size=(0, 0), margins=())
            draw(ax, table[table["model"] == model])
            title(ax, model)
            ax.set_xlabel("layer (0: embedding)")
            ax.yaxis.set_major_formatter(percent)
        for ax in axes[len(models) :]:
            ax.set_axis_off()
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(
            handles, names, ncols=len(names), loc="lower center", frameon=False, labelcolor=INK,
            fontsize=8.5,
        )  # fmt: skip
        figure.supylabel(label, fontsize=8.5, color=INK)
        figure.tight_layout(rect=(0, 0.06, 1, 1))
        figure.savefig(path, metadata={"Date": None})


def alignment(table: pd.DataFrame, path: Path) -> None:
    """One panel a model of xlanalysis5k: shares of F1 with intervals; open: not beyond chance."""
    table = table[(table["response"] == "F1-score") & (table["texts"] != "as published")]
    models = list(dict.fromkeys(table["model"]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.4), facecolor="none")
        axes = figure.subplots(1, len(models), sharey=True, squeeze=False).ravel()
        for ax, model in zip(axes, models, strict=True):
            panel(ax, size=(0, 0), margins=())
            own = table[table["model"] == model].iloc[::-1]
            ax.hlines(own["predictor"], own["low"], own["high"], color=BLUE, linewidth=1.5)
            for row in own.itertuples():
                fill = BLUE if row.p_holm < 0.05 else "white"
                ax.plot(row.share, row.predictor, "o", color=BLUE, markerfacecolor=fill)
            title(ax, model)
            ax.xaxis.set_major_formatter(percent)
            ax.set_xlim(left=0)
        figure.supxlabel(
            "variance of F1 over pairs explained (filled: p < 0.05 after Holm)",
            fontsize=8.5, color=INK,
        )  # fmt: skip
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
