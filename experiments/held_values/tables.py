"""The results as a tidy table and as Markdown."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

HEADS = ("model", "target", "k", "held at")
METRICS = {
    "top1, best": "top-1, best layer",
    "top1, last block": "last block",
    "top1, final norm": "final norm",
    "bits per byte": "bits per byte",
    "written": "written in it",
    "distinct pairs of tokens": "distinct pairs",
}


def write_results(results: pd.DataFrame, folder: Path) -> None:
    """Write ``results.csv``, one row a metric of a state, and ``tables.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    results.to_csv(folder / "results.csv", index=False, float_format="%.5g")
    (folder / "tables.md").write_text(table(results), encoding="utf-8")


def table(results: pd.DataFrame) -> str:
    """Markdown, a line a state: values with their 95 % intervals, changes of top-1 in points."""
    heads = [*HEADS, *METRICS.values()]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    keys = ["model", "target", "k", "value_of", "pooling", "random"]
    named = results.rename(columns={"value": "number"})
    for model in named["model"].unique():
        own = named[named["model"] == model]
        for state, rows in own.groupby(keys[1:], sort=False):
            target, k, value, pooling, random = state
            held = (
                f"{value} of {'maxima' if pooling == 'max' else 'means'}" if target else "no edit"
            )
            share = f"{100 * k:g} %" if target else ""
            cells = [_cell(rows, metric) for metric in METRICS]
            words = [model, target, share, f"random, {held}" if random else held, *cells]
            lines.append("| " + " | ".join(words) + " |")
    return "\n".join(lines) + "\n"


def _cell(rows: pd.DataFrame, metric: str) -> str:
    found = rows[rows["metric"].str.startswith(metric)]
    return "; ".join(_shown(row, metric) for row in found.itertuples())


def _shown(row: object, metric: str) -> str:
    value, low, high = (getattr(row, name) for name in ("number", "ci_low", "ci_high"))
    if metric == "bits per byte":
        return f"{value:.2f}"
    scale, digits = (1, 2) if metric.startswith("distinct") else (100, 0)
    shown = f"{scale * value:.{digits}f} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"
    change = getattr(row, "change", float("nan"))
    moved = pd.notna(change) and bool(getattr(row, "target", ""))
    return f"{shown} ({round(100 * change):+d})" if moved else shown
