"""Three figures: every layer, the choice of k, and each change beside its controls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from experiments.new_embedding_spaces.studied import PLAIN
from experiments.new_embedding_spaces.tables import over_targets
from mechsteer.studies.places import ordered

COLOURS = {
    "none": "black",
    PLAIN: "#b3001b",
    "random": "0.6",
    "clamp at mean activations": "#e58a7b",
    "centring": "#00629b",
    "standardised": "#3a8f4d",
    "DiffMean": "#c47a00",
}
STYLE = {"svg.hashsalt": "mechsteer", "font.size": 9, "axes.spines.top": False}
STYLE |= {"axes.spines.right": False}


def draw_all(
    results: pd.DataFrame, sweep: pd.DataFrame, effects: pd.DataFrame, folder: Path, best: int
) -> None:
    """Write ``layers.svg``, ``sweep.svg`` and ``effects.svg``."""
    with mpl.rc_context(STYLE):
        _save(layers(results, best), folder / "layers.svg")
        _save(doses(sweep), folder / "sweep.svg")
        _save(changes(effects), folder / "effects.svg")


def layers(results: pd.DataFrame, best: int) -> plt.Figure:
    """Top-1, MEXA, margin and distance at every layer: means over targets, seeds as a band."""
    metrics = {
        "retrieval_top1": "top-1",
        "retrieval_margin": "top-1 by margin",
        "mexa": "MEXA",
        "distance_pairs": "1 − cosine of translations",
    }
    figure, panels = plt.subplots(1, len(metrics), figsize=(11, 3.2), layout="constrained")
    at = results[(results["source"] == "*") & (results["target"] == "*")]
    for axes, (metric, name) in zip(panels, metrics.items(), strict=True):
        rows = at[at["metric"] == metric]
        for edit, colour in COLOURS.items():
            if edit not in set(rows["edit"]):
                continue
            lines = rows[rows["edit"] == edit].groupby(["seed", "layer"])["value"].mean()
            each = lines.unstack("seed")
            mean = each.mean(axis=1)
            axes.plot(mean.index, mean, color=colour, label=edit, lw=1.4)
            axes.fill_between(
                mean.index, each.min(axis=1), each.max(axis=1), color=colour, alpha=0.25
            )
        axes.axvline(best, color="0.85", zorder=0)
        axes.set(title=name, xlabel="layer", ylim=(0, None))
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=len(names), frameon=False)
    return figure


def doses(sweep: pd.DataFrame) -> plt.Figure:
    """What k does on dev: retrieval, prediction, language; means over targets at λ = 1."""
    shown = {"top-1": ordered(sweep.columns), "bits per byte": ["bits_per_byte"]}
    shown["probability of the target language"] = ["language"]
    shown = {title: names for title, names in shown.items() if set(names) <= {*sweep.columns}}
    figure, panels = plt.subplots(1, len(shown), figsize=(3 * len(shown), 2.7), squeeze=False)
    moved, base = sweep[sweep["k"] > 0], sweep[sweep["k"] == 0]
    for axes, (title, columns) in zip(panels[0], shown.items(), strict=True):
        for column, line in zip(columns, ("-", "--", ":"), strict=False):
            axes.plot(
                moved["k"],
                moved[column],
                "o" + line,
                color=COLOURS[PLAIN],
                label=column.replace("_", " "),
            )
            axes.axhline(base[column].iloc[0], color="black", ls=line, lw=0.9)
        axes.set(title=title, xlabel="experts clamped (k)", xscale="log", ylim=(0, None))
        axes.set_xticks(moved["k"], [f"{k}" for k in moved["k"]])
        axes.xaxis.set_minor_locator(NullLocator())
    panels[0, 0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return figure


def changes(effects: pd.DataFrame) -> plt.Figure:
    """Change of top-1 from no edit, over all pairs and for the target's queries, with intervals."""
    rows = effects[effects["metric"] == "retrieval_top1.delta"]
    names = list(dict.fromkeys(rows["edit"]))[::-1]
    asked = rows[["pairs", "place"]].drop_duplicates()
    parts = [(pairs, place) for pairs in ("all", "query") for place in ordered(_of(asked, pairs))]
    size = (2.75 * len(parts), 0.6 + 0.34 * len(names))
    figure, panels = plt.subplots(1, len(parts), sharey=True, figsize=size)
    titles = {"all": "all pairs", "query": "target asks"}
    for axes, (pairs, place) in zip(panels, parts, strict=True):
        here = over_targets(rows[(rows["pairs"] == pairs) & (rows["place"] == place)])
        _bars(axes, here.set_index("edit"), names)
        axes.set_title(f"{titles[pairs]}, {place.replace('_', ' ')}", fontsize=9)
    figure.supxlabel("change of top-1 retrieval, points", fontsize=9)
    figure.tight_layout()
    return figure


def _of(asked: pd.DataFrame, pairs: str) -> pd.Series[str]:
    return asked.loc[asked["pairs"] == pairs, "place"]


def _bars(axes: Axes, rows: pd.DataFrame, names: Sequence[str]) -> None:
    rows = 100 * rows.loc[list(names), ["value", "ci_low", "ci_high"]]
    error = [rows["value"] - rows["ci_low"], rows["ci_high"] - rows["value"]]
    axes.errorbar(
        rows["value"], range(len(names)), xerr=error, fmt="o", ms=4, lw=1.2, color="black"
    )
    axes.axvline(0, color="0.6", lw=0.8)
    axes.set_yticks(range(len(names)), names)


def _save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
