"""What is left of the experts of each language: one panel a copy, one colour a model."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

COPIES = ("other sentences", "shuffled", "romanised")
COLOURS = ("#0072b2", "#cb5200", "#008a65")


def draw(table: pd.DataFrame, path: Path) -> None:
    """Share of experts that keep their score, with intervals; random neurons as ticks."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    languages = list(dict.fromkeys(table["language"]))[::-1]
    models = list(dict.fromkeys(table["model"]))
    style = {"svg.hashsalt": "mechsteer", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(style | {"axes.spines.top": False, "axes.spines.right": False}):
        figure, panels = plt.subplots(1, len(COPIES), sharey=True, figsize=(9, 2.9))
        for ax, copy in zip(panels, COPIES, strict=True):
            for place, (model, colour) in enumerate(zip(models, COLOURS, strict=False)):
                rows = table[(table["copy"] == copy) & (table["model"] == model)]
                y = [languages.index(code) + 0.15 - 0.3 * place for code in rows["language"]]
                ends = 100 * rows[["kept_low", "kept_high"]]
                ax.hlines(y, *ends.to_numpy().T, color=colour, linewidth=1.5)
                ax.plot(100 * rows["kept"], y, "o", color=colour, markersize=5, label=model)
                ax.plot(100 * rows["random"], y, "|", color=colour, markersize=8)
            ax.set_title(copy, loc="left", fontsize=10)
            ax.set_xlim(-3, 103)
        panels[0].set_yticks(range(len(languages)), languages)
        panels[0].legend(frameon=False, loc="lower left", fontsize=8)
        figure.supxlabel("experts that keep their score, % (ticks: random neurons)", fontsize=9)
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
