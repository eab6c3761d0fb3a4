"""What a probe learns in one language and knows in another, language by language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mechsteer.crosslingual import Transfer
from mechsteer.plots.given import refuse
from mechsteer.plots.heatmaps import (
    CELLS_WITH_NUMBERS,
    cell,
    colour_scale,
    name_cells,
    number_cells,
    signed_cell,
    tell_pairs,
)
from mechsteer.plots.panels import label, panel, percent, points, title
from mechsteer.studies.conditions import BASE, Condition

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def transfer_matrix(
    found: Transfer,
    condition: Condition = BASE,
    *,
    layer: int | None = None,
    delta: bool = False,
    metric: str = "accuracy",
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Accuracy of a probe of each language (row) in every language (column), at one layer.

    The diagonal is a language tested in itself, on other sentences.

    Args:
        found: of ``ms.transfer``.
        condition: what was done to the model; nothing by default.
        layer: row of the residual stream; the best within languages by default.
        delta: show the paired difference from no edit, on a diverging scale.
        metric: ``accuracy`` or ``macro_f1``.
        limit: end of the scale (both ends for a difference); the largest cell by default.
        ax: where to draw; a new figure by default.

    Raises:
        MechsteerError: no such layer, condition or metric.
    """
    if not isinstance(found, Transfer):
        refuse(found, "what ms.transfer found")
    layer = found.best_layer if layer is None else layer
    told = f"{metric}.delta" if delta else metric
    cells = found.matrix(layer, condition=condition, metric=told)
    ax = panel(ax, size=(5.4, 4.75), margins=(0.95, 0.95, 0.6, 0.32))
    values = cells.to_numpy(dtype=float)
    top = limit or float(np.abs(values).max()) or 1.0
    image = ax.imshow(
        values,
        cmap="RdBu_r" if delta else "cividis",
        vmin=-top if delta else 0.0,
        vmax=top,
        interpolation="none",
        aspect="auto",
    )
    steered = condition.language if condition != BASE else None
    name_cells(ax, cells.columns, steered=steered, across="tested in", down="trained in")
    if len(cells) <= CELLS_WITH_NUMBERS:
        number_cells(ax, image, values, form=signed_cell if delta else cell)
    form = points if delta else percent
    tell_pairs(ax, cells.index, cells.columns, values, form, between=" → ")
    colour_scale(ax, image, form)
    title(
        ax, label(f"{condition.label if condition != BASE else 'no edit'}, layer {layer}", width=40)
    )
    return ax
