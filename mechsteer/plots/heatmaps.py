"""Matrices of languages by languages as heatmaps; diverging colours for differences only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mechsteer.plots.panels import INK, VERMILLION, label, panel, percent, points, title
from mechsteer.studies.results import matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELLS_WITH_NUMBERS = 14  # languages; beyond it the numbers of a matrix touch


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
        ax: where to draw; a new figure by default.
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
    title(ax, f"{label(language)}, layer {layer}" if edit != "none" else f"layer {layer}")
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


def _number_cells(ax: Axes, image: AxesImage, values: np.ndarray, *, signed: bool) -> None:
    """Write each cell's percentage, dark on light cells and light on dark ones."""
    red, green, blue, _ = np.moveaxis(np.asarray(image.cmap(image.norm(values))), -1, 0)
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "#111111" if light[row, column] > 0.18 else "#ffffff"
            text = _cell(value, signed=signed)
            ax.text(column, row, text, color=colour, fontsize=7, ha="center", va="center")


def _cell(share: float, *, signed: bool) -> str:
    """A share or a difference of shares as a whole percentage; zero has no sign.

    >>> _cell(0.5, signed=False), _cell(-0.031, signed=True), _cell(-0.001, signed=True)
    ('50', '−3', '0')
    """
    whole = round(100 * share)
    return f"{whole:+d}".replace("-", "\N{MINUS SIGN}") if signed and whole else f"{whole}"


def _scale(ax: Axes, image: AxesImage, form: Callable[..., str]) -> None:
    """A slim colour scale at the right of a matrix."""
    box = ax.get_position()
    inset = ax.figure.add_axes((box.x1 + 0.015, box.y0, 0.016, box.height))
    bar = ax.figure.colorbar(image, cax=inset, format=FuncFormatter(form))
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(5)
    inset.tick_params(colors=INK, labelsize=7.5, length=0, pad=3)
