"""Who is retrieved from whom: the base, and what the edit changed, pair by pair."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mechsteer import plots
from mechsteer.display import number
from mechsteer.plots.panels import row_name
from mechsteer.reporting.data import HEADLINE, ReportData
from mechsteer.reporting.figures import Figure
from mechsteer.reporting.svg import inline
from mechsteer.reporting.tables import cells_csv
from mechsteer.studies.conditions import Arm
from mechsteer.studies.results import NO_EDIT, matrix, of_arm


def base_figure(data: ReportData) -> Figure | None:
    """Retrieval of every pair without an edit, at each layer chosen on dev."""
    layers = sorted(set(_layers(data, NO_EDIT).values()))
    cells = {
        layer: matrix(data.shown, layer=layer, language=data.steered[0], metric=HEADLINE)
        for layer in layers
    }
    if not cells:
        return None
    panels = tuple(
        inline(
            plots.retrieval_matrix(data.shown, layer=layer, language=data.steered[0]),
            key=f"matrix-{layer}",
            alt=f"Top-1 retrieval of {len(cells[layer])} by {len(cells[layer])} languages, "
            f"{row_name(layer, data.n_layers)}, without an edit; mean {_mean(cells[layer]):.1%}.",
        )
        for layer in layers
    )
    rows = [_rows(cells[layer], layer=layer) for layer in layers]
    return Figure(
        key="matrix",
        title="Top-1 retrieval of every ordered pair without an edit.",
        caption="Rows are the query languages, columns the languages searched; cells in per cent.",
        panels=panels,
        data=cells_csv({"pairs": rows}),
        width="matrix",
    )


def change_figure(data: ReportData) -> Figure | None:
    """What the first edit changed in every pair, one panel a steered language."""
    arm = Arm("edit", data.edits[0])
    layers, called = _layers(data, arm), data.called(arm.edit)
    cells = {code: _change(data, arm, code, layer) for code, layer in layers.items()}
    if not cells:
        return None
    sizes = {code: float(np.nanmax(np.abs(cell), initial=0.0)) for code, cell in cells.items()}
    limit = max(sizes.values())
    moved = {code: cell for code, cell in cells.items() if sizes[code]}
    still = ", ".join(code for code in cells if code not in moved)
    unmoved = f" Not one pair changed for {still}." if still else ""
    panels = tuple(
        inline(
            plots.retrieval_matrix(
                data.shown, arm, layer=layers[code], language=code, delta=True, limit=limit
            ),
            key=f"change-{i}",
            alt=f"Change of top-1 retrieval by {called} of {code}, "
            f"{row_name(layers[code], data.n_layers)}; mean {number(100 * _mean(cell), '+.1f')} "
            "percentage points.",
        )
        for i, (code, cell) in enumerate(moved.items())
    )
    rows = [_rows(cell, steered=code, layer=layers[code]) for code, cell in cells.items()]
    chances = [
        _rows(p, steered=code, layer=layers[code])
        for code in cells
        if len(p := _p_values(data, arm, code, layers[code]))
    ]
    framed = " Framed: significant at 5 %, exact McNemar per pair, Holm over all pairs."
    framed = framed if chances else ""
    return Figure(
        key="change",
        title=f"Change of top-1 retrieval by {called}, pair by pair.",
        caption="Red is better, blue is worse, in percentage points; one scale for all panels. "
        f"The steered language is named in colour.{framed}{unmoved}{data.undrawn}"
        if moved
        else unmoved.strip(),
        panels=panels,
        data=cells_csv({"change": rows, "change-p": chances}),
        width="matrix",
        languages=tuple(moved),
        metric=HEADLINE,
    )


def _layers(data: ReportData, arm: Arm) -> dict[str, int]:
    """Chosen layer of each language drawn, where the results hold single pairs at it."""
    rows = data.shown[of_arm(data.shown, arm) & (data.shown["metric"] == HEADLINE)]
    stored = set(rows.loc[(rows["source"] != "*") & (rows["target"] != "*"), "layer"])
    chosen = {code: data.chosen_layer[code] for code in data.drawn if code in data.chosen_layer}
    return {code: layer for code, layer in chosen.items() if layer in stored}


def _change(data: ReportData, arm: Arm, code: str, layer: int) -> pd.DataFrame:
    edited, base = (
        matrix(data.shown, one, layer=layer, language=code, metric=HEADLINE)
        for one in (arm, NO_EDIT)
    )
    return edited - base


def _p_values(data: ReportData, arm: Arm, code: str, layer: int) -> pd.DataFrame:
    return matrix(data.shown, arm, layer=layer, language=code, metric=f"{HEADLINE}.p")


def _mean(cells: pd.DataFrame) -> float:
    """Mean over the pairs that have a value."""
    return float(np.nanmean(cells.to_numpy(dtype=float)))


def _rows(cells: pd.DataFrame, **named: object) -> pd.DataFrame:
    """A matrix as drawn: one row a query language, one column a target, ``named`` before them."""
    return pd.DataFrame(named, index=cells.index).join(cells).reset_index(names="source")
