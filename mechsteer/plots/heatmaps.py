"""Matrices of languages by languages as heatmaps; diverging colours for differences only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool
from matplotlib.image import AxesImage
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mechsteer.plots.given import arm_of, named, only, table_of
from mechsteer.plots.panels import INK, VERMILLION, label, panel, percent, points, row_name, title
from mechsteer.plots.spots import tell_cells
from mechsteer.studies.conditions import Arm
from mechsteer.studies.findings import Study
from mechsteer.studies.results import COLUMNS, NO_EDIT, matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PAIRS = ("language", "layer", "source", "target", "metric", "value")
CELLS_WITH_NUMBERS = 14  # languages; beyond it the numbers of a matrix touch


def retrieval_matrix(
    results: pd.DataFrame | Study,
    arm: Arm | str = NO_EDIT,
    *,
    layer: int | None = None,
    language: str = "",
    delta: bool = False,
    metric: str = "retrieval_top1",
    limit: float | None = None,
    alpha: float = 0.05,
    ax: Axes | None = None,
) -> Axes:
    """Retrieval of every ordered pair at one layer: query language by candidate language.

    Args:
        results: a results table with rows of single pairs, or the study.
        arm: what to show, as figures call it: ``none``, ``clamp``, ``random``, ``centring``, say.
        layer: row of the residual stream; a study's best layer by default.
        language: the steered language; its name is coloured.
        delta: show the difference from no edit, on a diverging scale symmetric about zero. Cells
            whose difference is significant (rows ``METRIC.p`` of the table) have a frame.
        metric: any metric with rows of single pairs.
        limit: end of the scale (both ends for a difference); the largest cell by default.
        alpha: largest corrected p-value that is called significant.
        ax: where to draw; a new figure by default.

    Raises:
        MechsteerError: no study and no such table; no such arm, language, metric or layer.
    """
    layer = results.best_layer if layer is None and isinstance(results, Study) else layer
    results = table_of(results, "results", (*COLUMNS[:2], *_PAIRS))
    arm = arm_of(results, arm)
    language = named(language, results["language"].unique()) if language else ""
    pairs = only(results[results["source"] != "*"], "metric", metric)
    layer = int(only(pairs, "layer", layer)["layer"].iloc[0])
    cells = matrix(results, arm, layer=layer, language=language, metric=metric)
    if delta:
        cells = cells - matrix(results, layer=layer, language=language, metric=metric)
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
    name_cells(ax, cells.columns, steered=language if arm != NO_EDIT else None)
    if len(cells) <= CELLS_WITH_NUMBERS:
        number_cells(ax, image, values, form=signed_cell if delta else cell)
    if delta:
        p = matrix(results, arm, layer=layer, language=language, metric=f"{metric}.p")
        _frame_cells(ax, p.reindex_like(cells).to_numpy(dtype=float) <= alpha)
    form = points if delta else percent
    tell_pairs(ax, cells.index, cells.columns, values, form, between=" → ")
    colour_scale(ax, image, form)
    where = row_name(layer, int(results["layer"].max()) - 1)
    title(ax, f"{label(language)}, {where}" if arm != NO_EDIT else where)
    return ax


def name_cells(
    ax: Axes,
    codes: Iterable[str],
    *,
    steered: str | None,
    across: str = "candidates (target)",
    down: str = "queries (source)",
) -> None:
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
    ax.set(xlabel=across, ylabel=down)


def _frame_cells(ax: Axes, chosen: Bool[np.ndarray, "source target"]) -> None:
    """Draw one frame around each chosen cell."""
    corners = ((-0.44, -0.44), (0.44, -0.44), (0.44, 0.44), (-0.44, 0.44), (-0.44, -0.44))
    frames = [
        Path([(column + x, row + y) for x, y in corners], closed=True)
        for row, column in np.argwhere(chosen)
    ]
    if frames:
        outline = Path.make_compound_path(*frames)
        ax.add_patch(PathPatch(outline, fill=False, edgecolor="#111111", linewidth=1.1))


def number_cells(
    ax: Axes, image: AxesImage, values: np.ndarray, *, form: Callable[[float], str]
) -> None:
    """Write each cell's value, dark on light cells and light on dark ones; nothing where empty."""
    red, green, blue, _ = np.moveaxis(np.asarray(image.cmap(image.norm(values))), -1, 0)
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value) and (text := form(value)):
            colour = "#111111" if light[row, column] > 0.18 else "#ffffff"
            ax.text(column, row, text, color=colour, fontsize=7, ha="center", va="center")


def tell_pairs(
    ax: Axes,
    rows: Iterable[object],
    columns: Iterable[object],
    values: np.ndarray,
    form: Callable[[float], str],
    *,
    between: str,
) -> None:
    """Say what each cell of a matrix is that has a value: row, column, value."""
    heads = [label(name) for name in columns]
    texts = [
        [
            f"{label(name)}{between}{head}: {form(value)}" if np.isfinite(value) else ""
            for head, value in zip(heads, line, strict=True)
        ]
        for name, line in zip(rows, values, strict=True)
    ]
    tell_cells(ax, texts)


def cell(share: float) -> str:
    """A share as a whole percentage.

    >>> cell(0.5)
    '50'
    """
    return f"{round(100 * share)}"


def signed_cell(share: float) -> str:
    """A difference of shares as a whole percentage; zero has no sign.

    >>> signed_cell(0.5), signed_cell(-0.031), signed_cell(-0.001)
    ('+50', '−3', '0')
    """
    whole = round(100 * share)
    return f"{whole:+d}".replace("-", "\N{MINUS SIGN}") if whole else "0"


def colour_scale(ax: Axes, image: AxesImage, form: Callable[..., str]) -> None:
    """A slim colour scale at the right of a matrix."""
    box = ax.get_position()
    inset = ax.figure.add_axes((box.x1 + 0.015, box.y0, 0.016, box.height))
    bar = ax.figure.colorbar(image, cax=inset, format=FuncFormatter(form))
    bar.outline.set_visible(False)
    height = inset.get_window_extent().height / ax.figure.dpi  # inches; a number wants a fifth
    bar.locator = MaxNLocator(int(np.clip(5 * height, 1, 5)))
    inset.tick_params(colors=INK, labelsize=7.5, length=0, pad=3)
