"""The tidy results table and how to read it: one row an observation, whatever made it."""

from __future__ import annotations

import pandas as pd

COLUMNS = (
    *("edit", "language", "k", "strength", "seed", "layer", "source", "target"),
    *("metric", "value", "ci_low", "ci_high", "n"),
)


def edits_of(results: pd.DataFrame) -> list[str]:
    """Edits of a results table: base first, then interventions, controls last."""
    found = results["edit"].unique().tolist()
    order = {"none": -2, "clamp": -1, "random": 1, "centring": 2}
    return sorted(found, key=lambda edit: (order.get(edit, 0), edit))


def chance(metric: str, n_sentences: int) -> float | None:
    """Value of a metric for embeddings without meaning; None where it has no such level.

    Of n candidates one is right (1/n); MEXA asks to beat all 2n-1 entries of a row and a column.

    >>> chance("retrieval_top1", 50), chance("mexa", 3), chance("distance_pairs", 50)
    (0.02, 0.2, None)
    """
    levels = {"retrieval_top1": 1 / n_sentences, "mexa": 1 / (2 * n_sentences - 1)}
    return levels.get(metric)


def rows_of(results: pd.DataFrame, *, edit: str, language: str, metric: str) -> pd.DataFrame:
    """Rows of one edit for one steered language.

    What depends on no steered language (base, centring) carries the language "" and stands in for
    every language that has no row of its own.
    """
    rows = results[(results["edit"] == edit) & (results["metric"] == metric)]
    own = rows[rows["language"] == language]
    return own if len(own) else rows[rows["language"] == ""]


def series(
    results: pd.DataFrame,
    *,
    edit: str,
    language: str,
    metric: str,
    source: str = "*",
    target: str = "*",
) -> pd.DataFrame:
    """One value a layer with its band: columns layer, value, low, high, seeds.

    Several seeds give their mean, minimum and maximum; a single row its confidence interval.

    Raises:
        ValueError: when a layer has several rows of one seed (more than one k or strength).
    """
    rows = rows_of(results, edit=edit, language=language, metric=metric)
    rows = rows[(rows["source"] == source) & (rows["target"] == target)]
    if rows.duplicated(["layer", "seed"]).any():
        raise ValueError(
            f"{edit} of {language} has several values of {metric} in one layer: "
            "filter the results to one k and one strength first"
        )
    by_layer = rows.groupby("layer")
    seeds = by_layer["value"].size()
    alone = seeds == 1
    band = {
        "value": by_layer["value"].mean(),
        "low": by_layer["value"].min().where(~alone, by_layer["ci_low"].first()),
        "high": by_layer["value"].max().where(~alone, by_layer["ci_high"].first()),
        "seeds": seeds,
    }
    return pd.DataFrame(band).reset_index()


def matrix(
    results: pd.DataFrame, *, layer: int, edit: str, language: str = "", metric: str
) -> pd.DataFrame:
    """Metric of each ordered pair at one layer, source by target, languages in the table's order."""
    rows = rows_of(results, edit=edit, language=language, metric=metric)
    pairs = (rows["layer"] == layer) & (rows["source"] != "*") & (rows["target"] != "*")
    rows = rows[pairs]
    codes = list(dict.fromkeys([*rows["source"], *rows["target"]]))
    table = rows.pivot_table(index="source", columns="target", values="value")
    return table.reindex(index=codes, columns=codes)


def change(
    results: pd.DataFrame,
    *,
    edit: str,
    language: str,
    metric: str,
    source: str = "*",
    target: str = "*",
) -> pd.DataFrame:
    """Like :func:`series`, of the difference from no edit.

    The rows of ``metric.delta`` carry paired intervals; where there are none the difference of the
    values stands in, with the range of seeds but without an interval.
    """
    where = {"language": language, "source": source, "target": target}
    paired = series(results, edit=edit, metric=f"{metric}.delta", **where)
    if len(paired):
        return paired
    edited = series(results, edit=edit, metric=metric, **where)
    base = series(results, edit="none", metric=metric, **where).set_index("layer")["value"]
    several = edited["seeds"] > 1
    offset = edited["layer"].map(base)
    return edited.assign(
        value=edited["value"] - offset,
        low=(edited["low"] - offset).where(several),
        high=(edited["high"] - offset).where(several),
    )
