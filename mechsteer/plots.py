"""Figures: a tidy results table in, matplotlib axes out.

Each function draws one panel on ``ax`` (on a new transparent figure when none is given), returns
the axes and never shows anything; ``ax.figure`` displays it in a notebook. Text and axes are one
neutral grey that reads on white and on black; colours are Okabe and Ito's, so that colour-blind
readers can tell the edits apart.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mechsteer.results import edits_of, matrix, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#767676"  # contrast 4.5:1 on white and 4.6:1 on black
BLUE, GREEN, VERMILLION = "#0072b2", "#009e73", "#d55e00"
PURPLE, ORANGE, SKY = "#cc79a7", "#e69f00", "#56b4e9"
CELLS_WITH_NUMBERS = 14  # languages; beyond it the numbers of a matrix touch


class Stroke(NamedTuple):
    """How one edit is drawn: colour, dashes and marker each tell it apart alone."""

    colour: str
    dashes: Any
    marker: str


class Metric(NamedTuple):
    """What a metric of the results table is called on an axis."""

    title: str
    percent: bool


STROKES = {
    "none": Stroke(INK, "solid", "s"),
    "clamp": Stroke(VERMILLION, "solid", "o"),
    "random": Stroke(BLUE, (0, (4, 1.5)), "|"),
    "centring": Stroke(GREEN, (0, (1, 1)), "D"),
}
SPARE = (Stroke(PURPLE, "solid", "^"), Stroke(ORANGE, "solid", "v"), Stroke(SKY, "solid", "P"))
METRICS = {
    "retrieval_top1": Metric("top-1 retrieval", True),
    "mexa": Metric("MEXA alignment", True),
    "distance_pairs": Metric("pairs", False),
    "distance_medoid": Metric("to the medoid", False),
    "distance_target": Metric("to the target", False),
}
DISTANCES_SIZE = (3.9, 4.3)  # inches
DISTANCES = ("distance_pairs", "distance_medoid", "distance_target")


def strokes(edits: Iterable[str]) -> dict[str, Stroke]:
    """A stroke for each edit; edits without one of their own take the spare ones in turn."""
    unknown = [edit for edit in edits if edit not in STROKES]
    spare = {edit: SPARE[i % len(SPARE)] for i, edit in enumerate(unknown)}
    return {**STROKES, **spare}


def label(text: object, *, width: int = 18) -> str:
    r"""Text as matplotlib may draw it: one short line, no control characters, no mathematics.

    >>> label("fra_Latn"), label("a$b"), label("x" * 40, width=9)
    ('fra_Latn', 'a\\$b', 'xxxxx…xxx')
    """
    plain = "".join("�" if unicodedata.category(c)[0] == "C" else c for c in str(text))
    if len(plain) > width:
        tail = (width - 1) // 3
        plain = f"{plain[: width - 1 - tail]}…{plain[len(plain) - tail :]}"
    return plain.replace("$", r"\$")


def panel(ax: Axes | None, *, size: tuple[float, float], margins: Sequence[float]) -> Axes:
    """``ax``, or the axes of a new figure; margins (left, bottom, right, top) in inches."""
    if ax is None:
        width, height = size
        left, bottom, right, top = margins
        figure = Figure(figsize=size, facecolor="none")
        box = (left / width, bottom / height, (width - left - right) / width)
        ax = figure.add_axes((*box, (height - bottom - top) / height))
    ax.set_facecolor("none")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[:].set(color=INK, linewidth=0.6)
    ax.tick_params(colors=INK, labelsize=8, width=0.6, length=2.5)
    ax.xaxis.label.set(color=INK, fontsize=8.5)
    ax.yaxis.label.set(color=INK, fontsize=8.5)
    return ax


def title(ax: Axes, text: str) -> None:
    """Name a panel at its top left, where reading starts."""
    ax.set_title(text, loc="left", fontsize=9.5, fontweight="bold", color=INK, pad=6)


def percent(value: float, _position: object = None) -> str:
    """A share as an axis shows it: 0.125 is "12.5%"."""
    return f"{100 * value:.3g}%".replace("-", "\N{MINUS SIGN}")


def points(value: float, _position: object = None) -> str:
    """A difference of shares in signed percentage points, with a real minus; zero has no sign."""
    text = f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}").removesuffix(".0")
    return "0" if text[1:] == "0" else text


def layer_axis(ax: Axes, n_layers: int) -> None:
    """Rows of the residual stream: 0 is the embedding, the one after the last layer the norm."""
    step = math.ceil((n_layers + 1) / 9)
    ticks = [*range(0, n_layers + 1, step)]
    if n_layers + 1 - ticks[-1] < step:
        ticks.pop()
    names = ["emb." if tick == 0 else str(tick) for tick in ticks]
    ax.set_xticks([*ticks, n_layers + 1], [*names, "norm"])
    ax.set_xlim(-0.3, n_layers + 1.3)


def end_labels(ax: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Name each line at its right end (value, text, colour), moved apart where they would touch."""
    low, high = ax.get_ylim()
    gap = 11 / (72 * ax.figure.get_figheight() * ax.get_position().height)
    order = sorted(ends)
    at = [(value - low) / (high - low) for value, _, _ in order]
    for i in range(1, len(at)):
        at[i] = max(at[i], at[i - 1] + gap)
    for i in reversed(range(len(at))):
        at[i] = min(at[i], 1 if i == len(at) - 1 else at[i + 1] - gap)
    for y, (_, text, colour) in zip(at, order, strict=True):
        ax.text(1.02, y, text, color=colour, fontsize=8.5, va="center", transform=ax.transAxes)


def experts_per_layer(
    counts: pd.DataFrame, *, language: str, ax: Axes | None = None, n_layers: int | None = None
) -> Axes:
    """Experts of one language in each layer, with the count that random neurons would have.

    Args:
        counts: columns language, layer (of the MLP, from 0), count and, where layers differ in
            width, random: the expected count; without it the mean over layers.
    """
    ax = panel(ax, size=(2.5, 1.55), margins=(0.42, 0.4, 0.08, 0.28))
    rows = counts[counts["language"] == language].set_index("layer").sort_index()
    layers = np.arange(n_layers or int(counts["layer"].max()) + 1)
    height = rows["count"].reindex(layers, fill_value=0)
    even = pd.Series(height.sum() / len(layers), index=layers)
    expected = rows["random"].reindex(layers).fillna(even) if "random" in rows else even
    ax.bar(layers, height, width=0.78, color=VERMILLION, linewidth=0)
    edges = np.append(layers, len(layers)) - 0.5
    ax.stairs(expected, edges, baseline=None, color=BLUE, linestyle=(0, (4, 1.5)), linewidth=1.2)
    ax.set_ylim(0, 1.05 * max(counts["count"].max(), expected.max()))
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    ax.xaxis.set_major_locator(MaxNLocator(min(len(layers), 8), integer=True))
    ax.set(xlabel="layer", ylabel="experts", xlim=(-0.6, len(layers) - 0.4))
    title(ax, label(language))
    return ax


def curves(
    results: pd.DataFrame,
    *,
    metric: str,
    language: str,
    ax: Axes | None = None,
    chance: float | None = None,
    chosen: int | None = None,
    source: str = "*",
    target: str = "*",
) -> Axes:
    """One metric in every layer for one steered language: base, edits and controls.

    Bands are confidence intervals, or minimum to maximum where an edit has several seeds. The value
    axis spans all languages of ``results``, so panels of one table compare.

    Args:
        results: the tidy results table, filtered to one k and one strength.
        chance: level of the dotted line, if any.
        chosen: layer to mark: the one chosen on dev.
        source: rows to draw: ``*`` is the mean over all ordered pairs.
        target: likewise.
    """
    ax = panel(ax, size=(3.9, 2.5), margins=(0.58, 0.42, 0.72, 0.32))
    rows = results[(results["source"] == source) & (results["target"] == target)]
    rows = rows[rows["metric"] == metric]
    name, is_share = METRICS.get(metric, Metric(label(metric), False))
    ax.set_ylim(*_span(rows, floor=0.0 if is_share else None))
    layer_axis(ax, int(results["layer"].max()) - 1)
    ax.grid(axis="y", color=INK, alpha=0.18, linewidth=0.6)
    if chosen is not None:
        ax.axvline(chosen, color=INK, alpha=0.35, linewidth=0.8)
    ends = _lines(ax, rows, metric=metric, language=language, source=source, target=target)
    if chance is not None:
        ax.axhline(chance, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
        ends.append((chance, "chance", INK))
    end_labels(ax, ends)
    if is_share:
        ax.yaxis.set_major_formatter(FuncFormatter(percent))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set(xlabel="layer", ylabel=name)
    title(ax, label(language))
    return ax


def _lines(
    ax: Axes, rows: pd.DataFrame, *, metric: str, language: str, source: str, target: str
) -> list[tuple[float, str, str]]:
    """Draw every edit's line and band; return where and how each line ends."""
    ends = []
    edits = edits_of(rows)
    drawn = strokes(edits)
    for edit in edits:
        line = series(
            rows, edit=edit, language=language, metric=metric, source=source, target=target
        )
        if line.empty:
            continue
        colour, dashes, _ = drawn[edit]
        ax.fill_between(
            line["layer"], line["low"], line["high"], color=colour, alpha=0.16, linewidth=0
        )
        ax.plot(line["layer"], line["value"], color=colour, linestyle=dashes, linewidth=1.5)
        ends.append((float(line["value"].iloc[-1]), label(edit, width=10), colour))
    return ends


def _span(rows: pd.DataFrame, *, floor: float | None) -> tuple[float, float]:
    """Limits that hold all values and intervals with a little air."""
    values = rows[["value", "ci_low", "ci_high"]].to_numpy(dtype=float)
    low, high = (np.nanmin(values), np.nanmax(values)) if np.isfinite(values).any() else (0.0, 1.0)
    low = low if floor is None else min(floor, low)
    air = 0.06 * (high - low) or 0.05
    return float(low if low == floor else low - air), float(high + air)


def distances(results: pd.DataFrame, *, language: str, figure: Figure | None = None) -> list[Axes]:
    """The paper's three cosine distances in every layer for one steered language, stacked.

    They are 1-cos of: translations (mean over pairs and sentences); language mean and medoid;
    language mean and the target's mean. Any constant offset of all embeddings shrinks all three.
    """
    width, height = DISTANCES_SIZE
    figure = figure or Figure(figsize=DISTANCES_SIZE, facecolor="none")
    drawn = []
    for row, metric in enumerate(DISTANCES):
        ax = figure.add_axes((0.58 / width, (3.0 - 1.28 * row) / height, 2.6 / width, 1.0 / height))
        curves(results, metric=metric, language=language, ax=panel(ax, size=(0, 0), margins=()))
        ax.yaxis.set_major_locator(MaxNLocator(3))
        if row:
            ax.set_title("")
        if row < len(DISTANCES) - 1:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
        drawn.append(ax)
    return drawn


def retrieval_matrix(
    results: pd.DataFrame,
    *,
    layer: int,
    edit: str = "none",
    language: str = "",
    delta: bool = False,
    metric: str = "retrieval_top1",
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Retrieval of every ordered pair at one layer: query language by candidate language.

    Args:
        results: a results table with rows of single pairs.
        layer: row of the residual stream.
        edit: the edit to show.
        language: the steered language; its name is coloured.
        delta: show the difference from no edit, on a diverging scale symmetric about zero.
        metric: any metric with rows of single pairs.
        limit: end of the scale (both ends for a difference); the largest cell by default.
    """
    cells = matrix(results, layer=layer, edit=edit, language=language, metric=metric)
    if delta:
        base = matrix(results, layer=layer, edit="none", language=language, metric=metric)
        cells = cells - base
    ax = panel(ax, size=(5.4, 4.75), margins=(0.95, 0.95, 0.6, 0.32))
    values = cells.to_numpy(dtype=float)
    top = limit or float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    image = ax.imshow(
        np.ma.masked_invalid(values),
        cmap="RdBu_r" if delta else "cividis",
        vmin=-top if delta else 0.0,
        vmax=top,
        interpolation="none",  # one pixel a cell in a vector file
        aspect="auto",
    )
    _name_cells(ax, cells.columns, steered=language if edit != "none" else None)
    if len(cells) <= CELLS_WITH_NUMBERS:
        _number_cells(ax, image, values, signed=delta)
    form = points if delta else percent
    _scale(ax, image, form)
    what = "change of " if delta else ""
    title(
        ax, f"{what}{METRICS[metric].title if metric in METRICS else label(metric)}, layer {layer}"
    )
    return ax


def _name_cells(ax: Axes, codes: Iterable[str], *, steered: str | None) -> None:
    """Languages along both axes, the steered one in the colour of the edit."""
    names = list(codes)
    ticks = range(len(names))
    ax.set_xticks(ticks, [label(name, width=12) for name in names], rotation=60, ha="right")
    ax.set_yticks(ticks, [label(name, width=12) for name in names])
    for text in (*ax.get_xticklabels(), *ax.get_yticklabels()):
        text.set(rotation_mode="anchor", fontsize=8)
    if steered in names:
        where = names.index(steered)
        for text in (ax.get_xticklabels()[where], ax.get_yticklabels()[where]):
            text.set(color=VERMILLION, fontweight="bold")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="candidates (target)", ylabel="queries (source)")


def _number_cells(ax: Axes, image: Any, values: np.ndarray, *, signed: bool) -> None:
    """Write each cell's percentage, dark on light cells and light on dark ones."""
    red, green, blue, _ = np.moveaxis(image.cmap(image.norm(values)), -1, 0)
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    form = "{:+.0f}" if signed else "{:.0f}"
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = form.format(100 * value).replace("-", "\N{MINUS SIGN}")
            colour = "#111111" if light[row, column] > 0.18 else "#ffffff"
            text = "0" if text[1:] == "0" else text
            ax.text(column, row, text, color=colour, fontsize=7, ha="center", va="center")


def _scale(ax: Axes, image: Any, form: Any) -> None:
    """A slim colour scale at the right of a matrix."""
    box = ax.get_position()
    inset = ax.figure.add_axes((box.x1 + 0.015, box.y0, 0.016, box.height))
    bar = ax.figure.colorbar(image, cax=inset, format=FuncFormatter(form))
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(5)
    inset.tick_params(colors=INK, labelsize=7.5, length=0, pad=3)


def effects(
    table: pd.DataFrame, *, heading: str = "", limits: tuple[float, float] | None = None
) -> Axes:
    """Change of a share against no edit: one row a steered language, edits and controls in it.

    Args:
        table: columns language, edit, value, low, high (the interval, or the range of seeds).
        heading: name of the panel.
        limits: ends of the value axis, to share one between panels.
    """
    languages = list(dict.fromkeys(table["language"]))
    edits = edits_of(table)
    height = 0.95 + 0.5 * len(languages)
    ax = panel(None, size=(5.2, height), margins=(0.95, 0.62, 0.15, 0.3))
    drawn = strokes(edits)
    spread = np.linspace(-0.24, 0.24, len(edits)) if len(edits) > 1 else np.zeros(1)
    for offset, edit in zip(spread, edits, strict=True):
        rows = table[table["edit"] == edit]
        colour, _, marker = drawn[edit]
        y = [languages.index(name) + offset for name in rows["language"]]
        ax.hlines(y, rows["low"], rows["high"], color=colour, linewidth=2, alpha=0.55)
        ax.plot(rows["value"], y, marker, color=colour, markersize=5.5, markeredgewidth=1.6)
    ax.axvline(0, color=INK, linewidth=0.9)
    ax.grid(axis="x", color=INK, alpha=0.18, linewidth=0.6)
    ax.set_yticks(range(len(languages)), [label(name, width=12) for name in languages])
    ax.set(ylim=(len(languages) - 0.5, -0.5), xlim=limits)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.xaxis.set_major_formatter(FuncFormatter(points))
    ax.set_xlabel("change against no edit (percentage points)")
    title(ax, label(heading, width=60))
    return ax
