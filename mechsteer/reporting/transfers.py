"""What a probe of one language knows of others, before and after: sentences, matrices, a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mechsteer import plots
from mechsteer.crosslingual import Transfer
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.figures import Figure
from mechsteer.reporting.names import brief
from mechsteer.reporting.svg import inline
from mechsteer.reporting.tables import Table, csv_text, table
from mechsteer.reporting.words import isolated, signed
from mechsteer.studies import conditions
from mechsteer.studies.conditions import BASE, Condition

PANELS = 4  # edited states that get a matrix
FAINT = 0.05  # a change of accuracy below which no scale of colours ends: small ones look small
METRIC = "accuracy"


def transfer(data: ReportData) -> Mapping[str, Any] | None:
    """What the template of the section uses; None without probes."""
    found = data.transfer
    if found is None:
        return None
    return {
        "said": sentences(found),
        "figure": _matrices(found),
        "changes": _changes(found),
    }


def sentences(found: Transfer) -> list[str]:
    """How well probes do across languages and within, and what the first edit changed."""
    table = _at_best(found)
    base = table[table["kind"] == BASE.kind].iloc[0]
    said = [
        f"At layer {found.best_layer}, where probes do best within their own language "
        f"({base['within']:.1%} right), they are right about {base['value']:.1%} of sentences in "
        f"another (95% interval {base['ci_low']:.1%} to {base['ci_high']:.1%}; chance "
        f"{found.chance:.1%}, always the commonest class {found.majority:.1%})."
    ]
    edits = edits_of(found)
    if not edits:
        return [*said, "No edit was probed."]
    own = _row(table, edits[0])
    moved = own["delta_low"] > 0 or own["delta_high"] < 0
    said.append(
        f"{isolated(brief(edits[0].label))} changes that by {_change(own)}"
        + ("." if moved else ": no change that is sure.")
        + _beside(table, edits[0])
    )
    return said


def edits_of(found: Transfer) -> list[Condition]:
    """Edited states, no controls, in order."""
    return [c for c in _conditions(found) if c.kind == "edit"]


def _conditions(found: Transfer) -> list[Condition]:
    return [_condition(cells) for cells in found.conditions.to_dict("records")]


def _condition(cells: Mapping[Any, Any]) -> Condition:
    """What a row of the tidy table is about, the opposite of ``Condition.columns``."""
    dosed = cells["kind"] in ("edit", "random")
    return Condition(
        kind=cells["kind"],
        edit=cells["edit"] or None,
        language=cells["language"] or None,
        k=int(cells["k"]) or None,
        strength=float(cells["strength"]) if dosed else None,
        seed=None if cells["seed"] < 0 else int(cells["seed"]),
    )


def _at_best(found: Transfer) -> pd.DataFrame:
    rows = found.table(METRIC)
    return rows[rows["layer"] == found.best_layer]


def _row(table: pd.DataFrame, condition: Condition) -> pd.Series[Any]:
    told = condition.columns()
    here = np.logical_and.reduce([table[name] == told[name] for name in conditions.COLUMNS])
    return table[here].iloc[0]


def _change(row: pd.Series[Any]) -> str:
    return (
        f"{signed(row['delta'])} points ({signed(row['delta_low'])} to {signed(row['delta_high'])})"
    )


def _beside(table: pd.DataFrame, edit: Condition) -> str:
    """The controls of an edit: random neurons, the mean and range of seeds, and centring."""
    said = []
    drawn = table[
        (table["kind"] == "random")
        & (table["edit"] == (edit.edit or ""))
        & (table["language"] == (edit.language or ""))
    ]["delta"]
    if len(drawn) == 1:
        said.append(f"random neurons by {signed(drawn.iloc[0])}")
    elif len(drawn):
        said.append(
            f"random neurons by {signed(drawn.mean())} (range of {len(drawn)} seeds "
            f"{signed(drawn.min())} to {signed(drawn.max())})"
        )
    centred = table[table["kind"] == "centring"]
    said += [f"centring by {_change(centred.iloc[0])}"] if len(centred) else []
    return f" Beside it: {', '.join(said)}." if said else ""


def _matrices(found: Transfer) -> Figure:
    """Before, and what each edit changed; one scale for all changes."""
    layer, edits = found.best_layer, edits_of(found)
    drawn = edits[:PANELS]
    deltas = {c: found.matrix(layer, condition=c, metric=f"{METRIC}.delta") for c in drawn}
    limit = max([FAINT, *(float(np.abs(cells.to_numpy()).max()) for cells in deltas.values())])
    n = len(found.languages)
    base = inline(
        plots.transfer_matrix(found, layer=layer),
        key="transfer-0",
        alt=f"Accuracy of probes trained in each of {n} languages, tested in each, layer {layer}.",
    )
    changes = [
        inline(
            plots.transfer_matrix(found, c, layer=layer, delta=True, limit=limit),
            key=f"transfer-{i}",
            alt=f"Change of that accuracy under {c.label}.",
        )
        for i, c in enumerate(drawn, 1)
    ]
    before = found.matrix(layer)
    csv = {"transfer": csv_text(before.rename_axis(columns=None).reset_index())}
    csv |= {
        f"transfer-change-{i}": csv_text(cells.rename_axis(columns=None).reset_index())
        for i, cells in enumerate(deltas.values(), 1)
    }
    left = len(edits) - len(drawn)
    return Figure(
        key="transfer",
        title="Accuracy of a probe, language by language: before, and what edits changed.",
        caption="Rows are the languages that a probe was trained in, columns those it was tested "
        "in, on the same sentences in every language; per cent, and percentage points of change "
        "(red is better, blue is worse). The steered language is named in colour."
        + (f" The table has {left} more." if left > 0 else ""),
        panels=(base, *changes),
        data=csv,
        width="matrix",
    )


def _changes(found: Transfer) -> Table:
    """Every state at every layer, in per cent and points."""
    rows = found.table(METRIC)
    shares = ["value", "ci_low", "ci_high", "within", "delta", "delta_low", "delta_high"]
    shown = rows.assign(**{name: (100 * rows[name]).round(2) for name in shares})
    shown = shown.assign(edit=shown["edit"].map(brief), seed=shown["seed"].replace(-1, pd.NA))
    names = {
        "value": "across", "ci_low": "from", "ci_high": "to", "delta": "change",
        "delta_low": "from ", "delta_high": "to ",
    }  # fmt: skip
    columns = ["kind", "edit", "language", "layer", *shares]
    return table(shown[columns].rename(columns=names), caption="Accuracy of probes")
