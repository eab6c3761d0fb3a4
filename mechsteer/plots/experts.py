"""Where experts live and who shares them: layers, average precision, overlap of languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.ticker import MaxNLocator

from mechsteer.errors import MechsteerError
from mechsteer.experts import Experts, NeuronScores
from mechsteer.plots.given import counts_of, named, overlap_of, with_columns
from mechsteer.plots.heatmaps import CELLS_WITH_NUMBERS, colour_scale, number_cells, tell_pairs
from mechsteer.plots.panels import BLUE, VERMILLION, bars, label, panel, percent, title
from mechsteer.plots.spots import tell
from mechsteer.studies import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def experts_per_layer(
    counts: pd.DataFrame | Study | Experts | NeuronScores,
    *,
    language: str = "",
    ax: Axes | None = None,
    n_layers: int | None = None,
) -> Axes:
    """Experts of one language in each layer, with the count that random neurons would have.

    Args:
        counts: columns language, layer (of the MLP, from 0) and count; stack, where a model has an
            encoder and a decoder; and, where layers differ in width, random: the expected count,
            without it the mean over layers. Or a study, experts, or scores, of which the best 100.
        language: whose experts; of a table of one language its own.
        ax: where to draw; a new figure by default.
        n_layers: layers of the model, of both stacks together; up to the last one counted by
            default.

    Raises:
        MechsteerError: none of these; no such language, or several and none named.
    """
    counts = counts_of(counts, ("language", "layer", "count"))
    language = _one(counts, language)
    ax = panel(ax, size=(2.5, 1.55), margins=(0.42, 0.4, 0.08, 0.28))
    place, names = _places(counts)
    names += [str(layer) for layer in range(len(names), n_layers or 0)]
    rows = counts[counts["language"] == language].set_index(place[counts["language"] == language])
    rows = rows.sort_index()
    layers = np.arange(len(names))
    height = rows["count"].reindex(layers, fill_value=0)
    even = pd.Series(height.sum() / len(layers), index=layers)
    expected = rows["random"].reindex(layers, fill_value=0.0) if "random" in rows else even
    bars(ax, layers - 0.39, height.to_numpy(), width=0.78, color=VERMILLION)
    edges = np.append(layers, len(layers)) - 0.5
    ax.stairs(expected, edges, baseline=None, color=BLUE, linestyle=(0, (4, 1.5)), linewidth=1.2)
    ax.set_ylim(0, 1.05 * max(counts["count"].max(), expected.max()) or 1)
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    step = -(-len(names) // 8)
    ax.set_xticks(layers[::step], names[::step])
    ax.set(xlabel="layer (from 0)", ylabel="experts", xlim=(-0.6, len(layers) - 0.4))
    told = zip(names, height, expected, strict=True)
    texts = [f"layer {at}: {n}, of random neurons {by_luck:.1f}" for at, n, by_luck in told]
    tell(ax, layers, height.to_numpy() / 2, texts)
    title(ax, label(language))
    return ax


def layer_ap(
    counts: pd.DataFrame | Study | NeuronScores,
    *,
    column: str = "ap_max",
    ax: Axes | None = None,
) -> Axes:
    """Average precision in every layer of every language, from chance to 1.

    Args:
        counts: columns language, layer (of the MLP, from 0), prevalence, ``column`` and, where a
            model has an encoder and a decoder, stack; or a study, or scores.
        column: ``"ap_max"``, the best neuron of the layer, or ``"ap_p99"``.
        ax: where to draw; a new figure by default.

    Raises:
        MechsteerError: none of these, or no such column.
    """
    columns = ("language", "layer", "prevalence", column)
    counts = with_columns(counts_of(counts, columns), columns, "counts", numbers=columns[2:])
    place, names = _places(counts)
    cells = counts.assign(place=place).pivot_table(
        index="language", columns="place", values=column, sort=False
    )
    height = 0.24 * len(cells)
    ax = panel(ax, size=(6.4, height + 0.8), margins=(0.95, 0.45, 0.6, 0.35))
    image = ax.imshow(
        cells.to_numpy(dtype=float),
        cmap="cividis",
        vmin=float(counts["prevalence"].min()),
        vmax=1.0,
        interpolation="none",  # one pixel a cell in a vector file
        aspect="auto",
    )
    ax.set_yticks(range(len(cells)), [label(code, width=12) for code in cells.index])
    step = -(-cells.shape[1] // 13)
    ax.set_xticks(range(0, cells.shape[1], step), [names[int(at)] for at in cells.columns[::step]])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="layer (from 0)")
    layers = [f"layer {names[int(at)]}" for at in cells.columns]
    values = cells.to_numpy(dtype=float)
    tell_pairs(ax, cells.index, layers, values, "{:.3f}".format, between=", ")
    if cells.shape[1] <= CELLS_WITH_NUMBERS:
        number_cells(ax, image, values, form=lambda value: f"{value:.2f}")
    colour_scale(ax, image, lambda value, _: f"{value:.1f}")
    shown = {"ap_max": "best neuron", "ap_p99": "99th percentile of neurons"}
    title(ax, f"average precision, {shown.get(column, label(column))}")
    return ax


def overlap(table: pd.DataFrame | Study | NeuronScores, *, ax: Axes | None = None) -> Axes:
    """Experts that languages share: Jaccard index of every two, similar languages side by side.

    The order is that of the leaves of an average-linkage clustering of ``1 - jaccard``, turned so
    that neighbours are as similar as they can be.

    Args:
        table: columns language, other and jaccard, one row an ordered pair; or a study, or scores,
            of which the best 100 of each language.
        ax: where to draw; a new figure by default.

    Raises:
        MechsteerError: none of these.
    """
    table = overlap_of(table)
    wide = table.pivot_table(index="language", columns="other", values="jaccard", sort=False)
    order = clustered(wide.to_numpy(dtype=float))
    cells = wide.to_numpy(dtype=float)[np.ix_(order, order)]
    np.fill_diagonal(cells, np.nan)
    ax = panel(ax, size=(5.4, 4.75), margins=(0.95, 0.95, 0.6, 0.32))
    top = max(float(np.nanmax(cells, initial=0.0)), 0.1)  # a few shared neurons are few
    image = ax.imshow(
        np.ma.masked_invalid(cells), cmap="cividis", vmin=0, vmax=top, interpolation="none"
    )
    ax.set_aspect("auto")
    names = [label(code, width=12) for code in wide.index[order]]
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    tell_pairs(ax, wide.index[order], wide.index[order], cells, percent, between=" and ")
    if len(names) <= CELLS_WITH_NUMBERS:
        decimals = 0 if top > 0.1 else 1
        number_cells(
            ax, image, cells, form=lambda value: f"{100 * value:.{decimals}f}" if value else ""
        )
    colour_scale(ax, image, lambda value, _: f"{100 * value:.3g}%")
    title(ax, "shared experts (Jaccard index, %)")
    return ax


def _one(counts: pd.DataFrame, language: str) -> str:
    """The language asked for, or the only one."""
    several = list(dict.fromkeys(counts["language"]))
    if not language and len(several) > 1:
        raise MechsteerError(f"expected language=, one of {', '.join(map(str, several[:6]))}")
    return named(language, several) if language else str(several[0])


def _places(counts: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """Place of every row on an axis of layers, and the name of every place.

    The layers of a decoder follow those of its encoder: ``e0``, ``e1``, ``d0``, ``d1``.
    """
    stack = counts.get("stack", pd.Series("", index=counts.index)).astype(str)
    place, names = counts["layer"].astype(int), list[str]()
    for name, layers in counts["layer"].groupby(stack, sort=False):
        place = place.where(stack != name, place + len(names))
        names += [f"{str(name)[:1]}{layer}" for layer in range(int(layers.max()) + 1)]
    return place, names


def clustered(similarity: Float[np.ndarray, "item item"]) -> list[int]:
    """Items in an order that puts similar ones side by side; fewer than 3 stay as they are.

    Source: Bar-Joseph, Gifford and Jaakkola 2001 (optimal leaf ordering), as SciPy has it.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if len(similarity) < 3:
        return list(range(len(similarity)))
    distance = 1 - (similarity + similarity.T) / 2
    np.fill_diagonal(distance, 0)
    condensed = squareform(distance, checks=False)
    tree = optimal_leaf_ordering(linkage(condensed, "average"), condensed)
    return [int(leaf) for leaf in leaves_list(tree)]
