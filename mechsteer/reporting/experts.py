"""Pictures of the experts: where they live, how well their layers detect, who shares them."""

from __future__ import annotations

import pandas as pd

from mechsteer import plots
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.figures import Figure
from mechsteer.reporting.svg import inline
from mechsteer.reporting.tables import Table, cells_csv, csv_text, table

PANELS = 60  # languages whose layers are drawn


def experts_figure(data: ReportData) -> Figure:
    """Where the experts of each language live; of very many languages, the steered and others."""
    every = list(dict.fromkeys([*data.counts["language"]]))
    first = sorted(every, key=lambda code: code not in data.steered)[:PANELS]
    shown = [code for code in every if code in first]
    left = f" Drawn: {len(shown)} of {len(every)} {data.kinds}." if len(shown) < len(every) else ""
    panels = tuple(
        inline(
            plots.experts_per_layer(data.counts, language=code),
            key=f"experts-{i}",
            alt=f"Experts per layer for {code}, beside the count expected of random neurons.",
        )
        for i, code in enumerate(shown)
    )
    columns = ("language", "stack", "layer", "count", "random")
    drawn = [name for name in columns if name in data.counts]
    return Figure(
        key="experts",
        title="Experts in each layer.",
        caption="Bars count the selected neurons of each layer; the dashed line is the count "
        f"expected of as many neurons drawn at random from the whole model.{left}",
        panels=panels,
        data={"experts": csv_text(data.told(data.counts[drawn]))},
        width="narrow",
        languages=tuple(shown),
    )


def ap_figure(data: ReportData) -> Figure | None:
    """How well each layer tells each language, or label, from the others."""
    if "ap_max" not in data.counts:
        return None
    columns = [name for name in ("language", "stack", "layer") if name in data.counts]
    return Figure(
        key="ap",
        title=f"How well each layer tells a {data.kind} from all others.",
        caption="Average precision of the layer's best neuron; the scale starts at chance, the "
        f"smallest share of sentences that a {data.kind} has. 1 is a perfect detector.",
        panels=(
            inline(
                plots.layer_ap(data.counts),
                key="ap",
                alt="Heatmap of the best average precision in every layer of "
                f"{data.counts['language'].nunique()} {data.kinds}.",
            ),
        ),
        data={"layer-ap": csv_text(data.told(data.counts[[*columns, "ap_max", "prevalence"]]))},
        width="single",
    )


def overlap_figure(data: ReportData) -> Figure | None:
    """Which languages share their experts."""
    if data.overlap is None or data.overlap["language"].nunique() < 2:
        return None
    cells = data.overlap.pivot_table(
        index="language", columns="other", values="jaccard", sort=False, observed=True
    )
    apart = data.overlap["language"] != data.overlap["other"]
    if not (data.overlap.loc[apart, "jaccard"] > 0).any():
        return Figure(
            key="overlap",
            title=f"Experts that {data.kinds} share: none.",
            caption=f"No neuron is among the experts of two of the {len(cells)} {data.kinds}.",
            panels=(),
            data=cells_csv({"overlap": [data.told(_named(cells))]}),
            width="matrix",
        )
    return Figure(
        key="overlap",
        title=f"Experts that {data.kinds} share.",
        caption=f"Jaccard index: neurons among the experts of both {data.kinds}, over those of "
        f"either. {data.kinds.capitalize()} are ordered by average-linkage clustering, so that "
        f"those who share stand side by side; a {data.kind} with itself is left out.",
        panels=(
            inline(
                plots.overlap(data.overlap),
                key="overlap",
                alt=f"Matrix of expert overlap of {len(cells)} by {len(cells)} {data.kinds}.",
            ),
        ),
        data=cells_csv({"overlap": [data.told(_named(cells))]}),
        width="matrix",
    )


def _named(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.rename_axis(columns=None).reset_index()


def alone(data: ReportData) -> list[str]:
    """Languages of the table of experts that no other language shares a script with."""
    if data.label:
        return []
    experts = data.experts
    if "script_ap" not in experts:
        return list(experts["language"].unique())
    return list(experts.loc[experts["script_ap"].isna(), "language"].unique())


def survival_table(data: ReportData) -> Table | None:
    """How many experts still tell copies of their language's sentences, in percent."""
    if data.survival is None:
        return None
    shares = ["kept", "kept_low", "kept_high", "random", "in_top", "chance"]
    shown = data.survival[["language", "copy", "k", "score", "copy_score", "least", *shares]].copy()
    shown[shares] = 100 * shown[shares]
    names = {
        "score": "score, median", "copy_score": "on the copy", "least": "to keep",
        "kept": "keep it, %", "kept_low": "from", "kept_high": "to", "random": "random, %",
        "in_top": "in top k, %", "chance": "chance, %",
    }  # fmt: skip
    return table(shown.rename(columns=names), caption="Experts on copies of the sentences")
