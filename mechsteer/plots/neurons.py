"""One neuron as a detector of one language: its activations, and precision against recall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mechsteer.analysis.detection import activation_histogram
from mechsteer.analysis.detection import precision_recall as curve_of
from mechsteer.cards import Cards
from mechsteer.experts import NeuronScores
from mechsteer.experts.chosen import Expert
from mechsteer.plots.given import named
from mechsteer.plots.one_neuron import (
    card_language,
    card_table,
    detected,
    detector_table,
    every_score,
)
from mechsteer.plots.panels import BLUE, INK, VERMILLION, bars, label, panel, percent, title
from mechsteer.plots.spots import tell
from mechsteer.recording import Recording

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def activations(
    table: pd.DataFrame | Recording | Cards,
    *,
    neuron: Expert | int | None = None,
    language: str = "",
    clamp: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Distribution of a neuron's pooled activations: sentences of a language, and all others.

    Args:
        table: what ``mechsteer.analysis.detection.activation_histogram`` gave; or a recording, or
            one card.
        neuron: of a recording: an expert (``experts[0]``), or its flat number.
        language: the positives; an expert's or a card's own by default.
        clamp: the value an edit holds the neuron at, marked by a line.
        ax: where to draw; a new figure by default.

    Raises:
        MechsteerError: none of these, several cards, no such neuron or language.
    """
    if isinstance(table, Recording):
        values, positive, language = detected(table, neuron, language)
        table = activation_histogram(values, positive)
    if isinstance(table, Cards):
        language = language or card_language(table)
        table = card_table(table, "histograms")
    table = detector_table(table, "histograms", ("low", "high", "positives", "negatives"))
    ax = panel(ax, size=(3.3, 2.0), margins=(0.5, 0.42, 0.1, 0.32))
    width = table["high"] - table["low"]
    for name, colour in (("negatives", INK), ("positives", VERMILLION)):
        bars(ax, table["low"], table[name], width=width, color=colour, alpha=0.55)
    top = float(table[["positives", "negatives"]].to_numpy().max())
    room = 1.3 if clamp is None else 1.6  # for the names above the bars and the line
    ax.set(ylim=(0, room * top), xlabel="pooled activation", ylabel="sentences")
    _tell_bins(ax, table, label(language) or "positives")
    low, high = float(table["low"].min()), float(table["high"].max())
    if clamp is not None:
        low, high = min(low, clamp), max(high, clamp)
        ax.plot([clamp] * 2, [0, top], color=BLUE, linewidth=1.2, linestyle=(0, (4, 1.5)))
    ax.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
    notes = [(label(language) or "positives", VERMILLION), ("all others", INK)]
    notes += [] if clamp is None else [(f"held at {clamp:.3g} at each token", BLUE)]
    for place, (words, colour) in enumerate(notes):
        ax.text(
            0.98, 0.99 - 0.12 * place, words, color=colour, fontsize=8.5, ha="right", va="top",
            transform=ax.transAxes,
        )  # fmt: skip
    ax.yaxis.set_major_formatter(FuncFormatter(percent))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    title(ax, "activations")
    return ax


def _tell_bins(ax: Axes, table: pd.DataFrame, language: str) -> None:
    """Say what each bin holds."""
    columns = ["low", "high", "positives", "negatives"]
    texts = [
        f"{low:.3g} to {high:.3g}: {own:.1%} of {language}, {others:.1%} of all others"
        for low, high, own, others in table[columns].itertuples(index=False)
    ]
    tell(
        ax,
        (table["low"] + table["high"]) / 2,
        table[["positives", "negatives"]].max(axis=1) / 2,
        texts,
    )


def precision_recall(
    table: pd.DataFrame | Recording | Cards,
    *,
    neuron: Expert | int | None = None,
    language: str = "",
    chance: float | None = None,
    ap: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Precision against recall of one neuron as the threshold falls; dotted: chance.

    Args:
        table: what ``mechsteer.analysis.detection.precision_recall`` gave; or a recording, or one
            card.
        neuron: of a recording: an expert (``experts[0]``), or its flat number.
        language: of a recording, the positives; an expert's own by default.
        chance: of a table, the prevalence of the positives; without it no line.
        ap: of a table, the average precision, which is the area under the steps.
        ax: where to draw; a new figure by default.

    Raises:
        MechsteerError: none of these, several cards, no such neuron or language.
    """
    if isinstance(table, Recording):
        values, positive, _ = detected(table, neuron, language)
        whole = curve_of(values, positive, points=len(values))
        ap = float((whole["recall"].diff().fillna(whole["recall"]) * whole["precision"]).sum())
        table, chance = curve_of(values, positive), float(positive.mean())
    if isinstance(table, Cards):
        own = card_table(table, "scores").set_index("language").loc[card_language(table)]
        chance, ap = map(float, own[["prevalence", "ap"]])
        table = card_table(table, "curves")
    table = detector_table(table, "curves", ("recall", "precision"))
    ax = panel(ax, size=(3.3, 2.0), margins=(0.5, 0.42, 0.1, 0.32))
    recall = np.append(0.0, table["recall"].to_numpy())
    precision = table["precision"].to_numpy()
    precision = np.append(precision[:1], precision)
    ax.plot(recall, precision, drawstyle="steps-pre", color=VERMILLION, linewidth=1.5)
    if chance is not None:
        ax.axhline(chance, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
        ax.text(0.01, chance + 0.02, "chance", color=INK, fontsize=8.5)
    ax.set(xlim=(0, 1.01), ylim=(0, 1.04), xlabel="recall", ylabel="precision")
    told = zip(recall, precision, strict=True)
    tell(ax, recall, precision, [f"recall {r:.1%}, precision {p:.1%}" for r, p in told])
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(FuncFormatter(percent))
        axis.set_major_locator(MaxNLocator(4))
    title(ax, "precision and recall" if ap is None else f"average precision {ap:.3f}")
    return ax


def language_scores(
    table: pd.DataFrame | NeuronScores | Cards,
    *,
    neuron: Expert | int | None = None,
    language: str = "",
    kind: str = "language",
    ax: Axes | None = None,
) -> Axes:
    """A neuron's average precision as a detector of each language, best first; dotted: chance.

    Args:
        table: columns language, ap and prevalence; or scores, or one card.
        neuron: of scores: an expert (``experts[0]``), or its flat number.
        language: the one to draw in the colour of the positives; an expert's or a card's own by
            default.
        kind: what these are called, where they are no languages.
        ax: where to draw; a new figure by default.

    Raises:
        MechsteerError: none of these, several cards, no such neuron or language.
    """
    if isinstance(table, NeuronScores):
        kind, language = table.kind, language or getattr(neuron, "language", "")
        table = every_score(table, neuron)
    if isinstance(table, Cards):
        language = language or card_language(table)
        table = card_table(table, "scores")
    table = detector_table(table, "scores", ("language", "ap", "prevalence"))
    language = named(language, table["language"].unique()) if language else ""
    rows = table.sort_values("ap", ascending=False, kind="stable")
    names = [str(code) for code in rows["language"]]
    ax = panel(ax, size=(3.3, 2.0), margins=(0.5, 0.7, 0.1, 0.32))
    places = np.arange(len(rows))
    for own, colour, alpha in ((True, VERMILLION, 1.0), (False, INK, 0.55)):
        here = (rows["language"] == language).to_numpy() == own
        if here.any():
            height = rows["ap"].to_numpy()[here]
            bars(ax, places[here] - 0.4, height, width=0.8, color=colour, alpha=alpha)
    told = rows[["language", "ap", "prevalence"]].itertuples(index=False)
    texts = [f"{label(code)}: {ap:.3f}, chance {chance:.3f}" for code, ap, chance in told]
    tell(ax, places, rows["ap"] / 2, texts)
    ends = np.append(places, len(places)) - 0.5
    ax.stairs(rows["prevalence"], ends, baseline=None, color=INK, linestyle=(0, (1, 2)))
    ax.set_xticks(places, [label(name, width=9) for name in names], rotation=60, ha="right")
    for text in ax.get_xticklabels():
        text.set(rotation_mode="anchor", fontsize=7.5 if len(names) < 16 else 6)
        if text.get_text() == label(language, width=9):
            text.set(color=VERMILLION, fontweight="bold")
    ax.tick_params(axis="x", length=0)
    ax.set(ylim=(0, 1.04), xlim=(-0.6, len(rows) - 0.4))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    title(ax, f"AP for every {kind}")
    return ax
