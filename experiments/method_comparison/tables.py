"""From rows of every method to one table and one figure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

METRICS = ("top1, best layer", "MEXA, best layer", "top1, final norm", "language probability")


def summarised(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over targets (and seeds of a control); intervals are those of the widest target."""
    group = rows["method"].str.replace(r", seed \d+$", "", regex=True)
    keys = ["method", "cost", "metric"]
    columns = ["strength", "bits_per_byte_rise", "value", "ci_low", "ci_high", "change"]
    columns += ["change_low", "change_high"]
    return (
        rows.assign(method=group)
        .groupby(keys, sort=False, observed=True)[columns]
        .mean()
        .reset_index()
    )


def table(summary: pd.DataFrame, cost: float) -> str:
    """Markdown of one cost: a row a method, a column a metric, change from no edit in brackets."""
    chosen = summary[summary["cost"].isin([0.0, cost])]
    lines = [f"| method | λ | bits per byte | {' | '.join(METRICS)} |"]
    lines.append("|---|---|---|" + "---|" * len(METRICS))
    for method, rows in chosen.groupby("method", sort=False):
        first = rows.iloc[0]
        cells = [str(method), f"{first.strength:.2f}", f"{100 * first.bits_per_byte_rise:+.1f} %"]
        cells += [_cell(rows[rows["metric"] == metric]) for metric in METRICS]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    row = rows.iloc[0]
    shown = f"{100 * row.value:.1f}"
    if pd.isna(row.change):
        return f"{shown} [{100 * row.ci_low:.0f}, {100 * row.ci_high:.0f}]"
    if row["cost"] == 0 and row.change == 0:
        return f"{shown} [{100 * row.ci_low:.1f}, {100 * row.ci_high:.1f}]"
    change = f"{100 * row.change:+.1f} [{100 * row.change_low:+.1f}, {100 * row.change_high:+.1f}]"
    return f"{shown} ({change})"


def write_results(rows: pd.DataFrame, folder: Path, *, best_layer: int) -> None:
    """Write the tidy CSV, the Markdown tables and the figure."""
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / "results.csv", index=False, float_format="%.5g", lineterminator="\n")
    summary = summarised(rows)
    parts = [f"Best layer on dev: row {best_layer} of the residual stream. Values in per cent.\n"]
    for cost in sorted(set(rows["cost"]) - {0.0}):
        head = f"## Bits per byte up by at most {100 * cost:.0f} %"
        parts.append(f"{head}\n\n{table(summary, cost)}\n")
    (folder / "tables.md").write_text("\n".join(parts), encoding="utf-8")
    draw(summary, folder / "figure.svg")


def draw(summary: pd.DataFrame, path: Path) -> None:
    """Change of top-1 at the best layer, one panel a cost, with intervals."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    rows = summary[summary["metric"] == "top1, best layer"]
    free = rows[rows["method"] == "centring after the model"]
    costs = sorted(set(rows["cost"]) - {0.0})
    names = [name for name in dict.fromkeys(rows["method"]) if name != "no edit"][::-1]
    with mpl.rc_context({"svg.hashsalt": "mechsteer", "font.size": 9}):
        figure, panels = plt.subplots(1, len(costs), sharey=True, figsize=(9, 4.4), squeeze=False)
        for axes, cost in zip(panels[0], costs, strict=True):
            here = pd.concat([rows[rows["cost"] == cost], free]).set_index("method").loc[names]
            change = 100 * here["change"]
            error = [change - 100 * here["change_low"], 100 * here["change_high"] - change]
            axes.errorbar(change, range(len(names)), xerr=error, fmt="o", ms=4, lw=1.2)
            axes.axvline(0, color="0.6", lw=0.8)
            axes.set_title(f"bits per byte ≤ +{100 * cost:.0f} %", fontsize=9)
            axes.set_yticks(range(len(names)), names)
        figure.supxlabel("change of top-1 retrieval at the best layer, points", fontsize=9)
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
