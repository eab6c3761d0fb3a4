"""Tables of who profits: how the answer changes, single languages, rankings of sources."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mechsteer.crosslingual import Similarity
from mechsteer.plots.pairs import measured
from mechsteer.reporting.tables import Table, table


@dataclass(frozen=True)
class Sheet:
    """A table of the section: its name, what is above it, and itself."""

    key: str
    title: str
    said: str
    table: Table


def sheets(found: Similarity) -> list[Sheet]:
    """How the answer changes; of single languages and rankings of sources what there is."""
    shown = [
        Sheet(
            "answers",
            "How the answer changes with measure, layer and definition",
            "One row an answer: which distance explains most, by four definitions of “explains”, "
            "and which hold beside the others. R² is that of all distances together; “unseen” is "
            "that of pairs of languages left out of the fit, below 0 where their mean would do "
            "better.",
            answers(found),
        )
    ]
    if len(found.characteristics):
        shown.append(
            Sheet(
                "characteristics",
                "What one language is, and how it fares",
                "Of each language the mean over its pairs; of the variance of its ranks the share "
                "that each characteristic explains alone. A star where it holds after Holm, by "
                "permuting languages. Many small groups explain much of anything.",
                table(_placed(found.traits()), caption="Characteristics of single languages"),
            )
        )
    if len(found.rankings):
        shown.append(
            Sheet(
                "rankings",
                "Which language to learn from",
                "Mean NDCG@3 over targets of each way to rank their sources, where a source ranked "
                "well transfers well. A star where the interval of its lead over a random order "
                "leaves out zero; “all together” and “usual best” have not seen the target.",
                table(_placed(found.best_sources()), caption="Rankings of sources"),
            )
        )
    return shown


def _placed(rows: pd.DataFrame) -> pd.DataFrame:
    """Measures and layers in words."""
    where = [_at(place, layer) for place, layer in zip(rows["place"], rows["layer"], strict=True)]
    told = rows.assign(metric=rows["metric"].map(measured), place=where).drop(columns="layer")
    return told.fillna("–").rename(columns={"metric": "measure", "place": "at"})


def _at(place: str, layer: int) -> str:
    named = place or (f"layer {layer}" if layer >= 0 else "–")
    return named.replace("_", " ")


def answers(found: Similarity) -> Table:
    """How the answer changes with measure, layer, state and definition."""
    keys = ["state", "metric", "layer"]
    rows = found.answers()
    fits = found.effects.drop_duplicates(keys)[[*keys, "r2", "r2_unseen"]]
    shown = rows.merge(fits, on=keys)
    shown = shown.assign(
        place=[_at(*at) for at in zip(shown["place"], shown["layer"], strict=True)],
        metric=shown["metric"].map(measured),
        agree=shown["agree"].map({True: "yes", False: "no"}),
        sure=shown["sure"].replace("", "none"),
    )
    names = {
        "metric": "measure", "place": "at", "alone": "most alone (r²)", "ranks": "on ranks",
        "together": "beside others (|β|)", "share": "by share (LMG)", "agree": "all agree",
        "sure": "holds after Holm", "r2": "R²", "r2_unseen": "R², unseen",
    }  # fmt: skip
    columns = ["state", *names]
    return table(shown[columns].rename(columns=names), caption="How the answer changes")
