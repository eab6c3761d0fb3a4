"""Which languages profit, and why: pairs beside distances, shares, the tree, and the doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import pandas as pd

from mechsteer import plots
from mechsteer.crosslingual import Similarity
from mechsteer.crosslingual.similarities.inputs import FEWEST
from mechsteer.plots.pairs import measured, response_of
from mechsteer.reporting.data import ReportData
from mechsteer.reporting.figures import Figure
from mechsteer.reporting.likeness_tables import sheets
from mechsteer.reporting.likeness_words import HEAD, edited, has, random_of, sentences
from mechsteer.reporting.names import briefs
from mechsteer.reporting.svg import inline
from mechsteer.reporting.tables import csv_text
from mechsteer.reporting.words import plural

PANELS = 6  # of bars: states beyond them are in the table
ROWS = 2500  # pairs whose values a page holds
GAIN = f"{HEAD}.delta"
BASES = (HEAD, "retrieval_margin", "mexa", "transfer_accuracy")
WORDS = ("state", "metric", "place", "predictor")


def likeness(data: ReportData) -> Mapping[str, Any]:
    """What the template of the section uses; without an answer, why there is none."""
    if data.similarity is None:
        return {"refused": _refused(data), "figures": [], "sheets": (), "notes": ()}
    found = shortened(data.similarity)
    return {
        "refused": "",
        "said": sentences(found),
        "figures": [*_scatter(data, found), *_importance(found), *_tree(data, found)],
        "sheets": sheets(found),
        "notes": found.notes,
    }


def _refused(data: ReportData) -> str:
    rows = data.results
    single = rows[(rows["source"] != "*") & (rows["target"] != "*")]
    count = len(dict.fromkeys([*single["source"], *single["target"]]))
    if count < FEWEST:
        return (
            f"This cannot be asked of {plural(count, 'language')}: no test of fewer than {FEWEST} "
            "can tell which likeness of languages the pairs follow."
        )
    return "Not asked of this run yet: mechsteer similarity RUN does."


def shortened(found: Similarity) -> Similarity:
    """The same, with no absurdly long names."""
    texts = [str(t) for name in WORDS for t in found.effects.get(name, pd.Series()).unique()]
    short = briefs(dict.fromkeys([*texts, *found.pairs.columns]))

    def cut(frame: pd.DataFrame) -> pd.DataFrame:
        here = {n: frame[n].map(lambda t: short.get(t, t)) for n in WORDS if n in frame}
        return frame.assign(**here).rename(columns=short)

    whole: dict[str, Any] = {
        field.name: cut(frame)
        for field in fields(found)
        if isinstance(frame := getattr(found, field.name), pd.DataFrame)
    }
    return replace(found, **whole)


def _leading(found: Similarity, state: str, metric: str) -> str:
    """The distance with the largest share."""
    rows = response_of(found.effects, state, metric)
    return str(rows["predictor"].iloc[int(rows["share"].to_numpy().argmax())])


def _steered(found: Similarity, state: str) -> str:
    """The language that a state steers to; empty where it steers to none."""
    last = state.rpartition(" ")[2]
    return last if last in set(found.languages["language"]) else ""


def _scatter(data: ReportData, found: Similarity) -> list[Figure]:
    """The base and the gain under the first edit, beside the distance that explains most."""
    if not has(found, "none", HEAD):
        return []
    states = [state for state in edited(found) if has(found, state, GAIN)][:1]
    language = _steered(found, states[0]) if states else ""
    first = _leading(found, "none", HEAD)
    asked = [(first, "none", HEAD), *((first, state, GAIN) for state in states)]
    asked += [
        (other, state, GAIN) for state in states if (other := _leading(found, state, GAIN)) != first
    ]
    panels = tuple(
        inline(
            plots.likeness(found, name, state=state, metric=metric, language=language),
            key=f"likeness-{i}",
            alt=f"{measured(metric)} of every ordered pair of {len(found.languages)} languages "
            f"over {name} distance, {'without an edit' if state == 'none' else state}.",
        )
        for i, (name, state, metric) in enumerate(asked)
    )
    marks = (
        f" Coloured: pairs with {language}, as the query (▸) or searched (◂)." if language else ""
    )
    wide, left = _wide(found, asked)
    return [
        Figure(
            key="likeness",
            title="Pairs of languages: how far apart, and what was measured of them.",
            caption="A point is an ordered pair, query → language searched; a mouse that rests on "
            f"it shows its name and numbers. Named: the pairs farthest from the line.{marks} r and "
            f"p: Mantel test, languages permuted.{left}",
            panels=panels,
            data={"likeness": csv_text(wide)},
            width="medium",
        )
    ]


def _wide(found: Similarity, asked: Sequence[tuple[str, str, str]]) -> tuple[pd.DataFrame, str]:
    """One row a pair: the distances drawn and the values, and what is said of rows left out."""
    keys = ["source", "target"]
    whole: pd.DataFrame | None = None
    for name, state, metric in asked:
        rows = response_of(found.pairs, state, metric).set_index(keys)
        own = rows[[name]].assign(**{f"{state}: {metric}": rows["value"]})
        new = own[[column for column in own if whole is None or column not in whole]]
        whole = own if whole is None else whole.join(new)
    assert whole is not None
    left = len(whole) - ROWS
    said = f" The table beside the page has {left} more pairs." if left > 0 else ""
    return whole.head(ROWS).reset_index(), said


def _importance(found: Similarity) -> list[Figure]:
    """Shares of the base by measure, and of the gain by edit; bars a layer."""
    base = [("none", metric) for metric in BASES if has(found, "none", metric)]
    states = [state for state in edited(found) if has(found, state, GAIN)]
    drawn = states[: PANELS - 1]
    drawn += [r for s in states[:1] if (r := random_of(found, s)) and has(found, r, GAIN)]
    left = len(states) - len(states[: PANELS - 1])
    more = f" The table has {plural(left, 'more state')}." if left else ""
    sets = {
        "shares": ("What explains the pairs without an edit, by measure.", base, ""),
        "gains": ("What explains the gain in top-1 retrieval.", [(s, GAIN) for s in drawn], more),
    }
    return [
        _bars(found, key, title, shown, said) for key, (title, shown, said) in sets.items() if shown
    ]


def _bars(
    found: Similarity, key: str, title: str, shown: Sequence[tuple[str, str]], said: str
) -> Figure:
    panels = tuple(
        inline(
            plots.importance(found, state=state, metric=metric),
            key=f"{key}-{i}",
            alt=f"{title} {measured(metric)}, {state}: share of the variance over pairs that each "
            "distance explains, with intervals.",
        )
        for i, (state, metric) in enumerate(shown)
    )
    rows = pd.concat(
        [
            found.effects[(found.effects["state"] == s) & (found.effects["metric"] == m)]
            for s, m in shown
        ]
    )
    columns = ["state", "metric", "layer", "place", "predictor", "share", "low", "high", "r", "p"]
    return Figure(
        key=key,
        title=title,
        caption="Bars are shares of the variance over pairs (LMG: the mean over all orders of "
        "entering), whiskers their 95% intervals from leaving languages out. A filled bar holds "
        f"beside the other distances, p ≤ 5% after Holm; an empty one does not.{said}",
        panels=panels,
        data={key: csv_text(rows[[*columns, "beta", "p_together", "p_holm", "r2", "r2_unseen"]])},
        width="medium",
    )


def _tree(data: ReportData, found: Similarity) -> list[Figure]:
    """Languages in Glottolog's order beside the order in which the model groups them."""
    if not has(found, "none", HEAD):
        return []
    cells = plots.similarity_of(found)
    ax = plots.language_tree(found, languages=[c for c in data.steered if c in cells.index])
    known = int((found.languages["lineage"] != "").sum())
    unknown = len(found.languages) - known
    alone = f" {plural(unknown, 'language')} without a family there." if unknown and known else ""
    tree = (
        "Rows: Glottolog's tree, families apart."
        if known
        else "Rows stand alone: Glottolog's tree was not at hand."
    )
    return [
        Figure(
            key="tree",
            title="Does the model group languages as their families do?",
            caption="Cells: top-1 retrieval without an edit at the best layer, mean of both "
            f"directions. {tree}{alone} Columns: average-linkage clusters of the cells. Empty "
            "cells are languages with themselves; where clusters follow families, they lie on the "
            "diagonal.",
            panels=(
                inline(
                    ax,
                    key="tree-0",
                    alt=f"Heatmap of retrieval between {len(cells)} languages, rows in the order "
                    "of Glottolog's tree, columns clustered.",
                ),
            ),
            data={"tree": csv_text(cells.reset_index(names="language"))},
            width="broad",
        )
    ]
